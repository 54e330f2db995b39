"""The trainer with the optimisers, schedulers and loaders of the package: all resume bit for bit."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.optim import lr_scheduler
from tinygrad_rnn.train import Quiet, Trainer
from tinygrad_rnn.utils.data import DataLoader, TensorDataset


def objective(model, batch, state):
    x, y = batch
    return nn.functional.mse_loss(model(x), y)


def build(folder, optimizer, scheduler, *, drawn_from_default=False, **options):
    """Regression on shuffled batches with dropout; the scheduler goes where `options` says."""
    tg.manual_seed(3)
    rng = np.random.default_rng(4)
    x = rng.standard_normal((30, 3)).astype(np.float32)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(0.3), nn.Linear(5, 1))
    optimizer = optimizer(model.parameters())
    generator = None if drawn_from_default else np.random.default_rng(5)
    data = TensorDataset(tg.tensor(x), tg.tensor(x.sum(1, keepdims=True) ** 2))
    loader = DataLoader(data, batch_size=4, shuffle=True, generator=generator)
    schedulers = {options.pop("when", "step_scheduler"): scheduler(optimizer)} if scheduler else {}
    defaults = {"evaluate_every": 3, "evaluate": lambda model: objective(model, data[:], None).item(), "log_every": 5}
    options = defaults | {"report": Quiet()} | schedulers | options
    return Trainer(model, optimizer, loader, objective, folder=folder, **options)


def outcome(trainer):
    state = trainer.model.state_dict()
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}, trainer.optimizer.param_groups[0]["lr"]


def adam(parameters):
    return optim.Adam(parameters, lr=0.01)


RUNS = {
    "SGD, StepLR": {
        "optimizer": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
        "scheduler": lambda o: lr_scheduler.StepLR(o, 4, 0.5),
    },
    "AdamW, OneCycleLR": {
        "optimizer": lambda p: optim.AdamW(p, lr=0.01),
        "scheduler": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=40),
    },
    "RMSprop, ReduceLROnPlateau": {
        "optimizer": lambda p: optim.RMSprop(p, lr=0.05, momentum=0.5),
        "scheduler": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
        "when": "plateau_scheduler",
    },
    "Adagrad, ExponentialLR by epochs": {
        "optimizer": lambda p: optim.Adagrad(p, lr=0.1),
        "scheduler": lambda o: lr_scheduler.ExponentialLR(o, 0.7),
        "when": "epoch_scheduler",
    },
    "LBFGS by closure, clipped": {
        "optimizer": lambda p: optim.LBFGS(p, lr=0.1, max_iter=4),
        "scheduler": None,
        "closure": True,
        "clip": 1.0,
    },
    "everything from the default generator": {"optimizer": adam, "scheduler": None, "drawn_from_default": True},
}


@pytest.mark.parametrize("name", RUNS)
def test_resumed_runs_end_like_unbroken_ones(tmp_path, name):
    whole = build(None, **RUNS[name])
    whole.fit(steps=30)
    expected = outcome(whole)
    for stop in (3, 8, 19, 30):
        trainer = build(tmp_path, **RUNS[name])
        if stop > 3:
            trainer.resume()
        trainer.fit(steps=stop)
    assert outcome(trainer) == expected


def test_lbfgs_learns_on_the_whole_data():
    rng = np.random.default_rng(0)
    x = tg.tensor(rng.standard_normal((20, 3)))
    model = nn.Linear(3, 1).double()
    optimizer = optim.LBFGS(model.parameters(), lr=0.5)
    losses = []

    class Watching(Quiet):
        def step(self, progress):
            losses.append(progress.loss)

    batch = (x, x.sum(1, keepdim=True))
    before = objective(model, batch, None).item()
    Trainer(model, optimizer, [batch], objective, closure=True, log_every=1, report=Watching()).fit(steps=10)
    assert losses[0] == before, "the loss reported is the one before the step"
    assert objective(model, batch, None).item() < 1e-6 * before
