"""Every learning-rate schedule against PyTorch's, step by step over 50 steps."""

import warnings

import numpy as np
import pytest

import tinygrad_rnn.optim as optim
from tinygrad_rnn.nn import Parameter
from tinygrad_rnn.optim import lr_scheduler

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

SCHEDULES = [
    ("StepLR", {"step_size": 7, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [3, 10, 10, 30], "gamma": 0.3}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 9}),
    ("LinearLR", {"start_factor": 0.2, "end_factor": 0.7, "total_iters": 13}),
    ("ExponentialLR", {"gamma": 0.93}),
    ("PolynomialLR", {"total_iters": 40, "power": 1.7}),
    ("CosineAnnealingLR", {"T_max": 11, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 2, "eta_min": 0.001}),
    ("LambdaLR", {"lr_lambda": lambda step: 1 / (1 + 0.1 * step)}),
    ("LambdaLR", {"lr_lambda": [lambda step: 0.9**step, lambda step: 1 + step]}),
    ("MultiplicativeLR", {"lr_lambda": lambda step: 0.95 if step % 2 else 1.01}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 60}),
    ("OneCycleLR", {"max_lr": [0.5, 0.1], "epochs": 6, "steps_per_epoch": 10, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 50, "three_phase": True, "pct_start": 0.25, "div_factor": 10.0}),
]


def _pair(optimizer="SGD"):
    options = {"momentum": 0.9} if optimizer == "SGD" else {}
    ours = [{"params": [Parameter(np.ones(2))]}, {"params": [Parameter(np.ones(3))], "lr": 0.02}]
    theirs = [
        {"params": [torch.nn.Parameter(torch.ones(2))]},
        {"params": [torch.nn.Parameter(torch.ones(3))], "lr": 0.02},
    ]
    return getattr(optim, optimizer)(ours, lr=0.1, **options), getattr(torch.optim, optimizer)(
        theirs, lr=0.1, **options
    )


def _options(optimizer):
    return [{k: v for k, v in g.items() if k in ("lr", "momentum", "betas")} for g in optimizer.param_groups]


def _assert_alike(ours, theirs, step):
    for mine, yours in zip(_options(ours), _options(theirs), strict=True):
        for key, value in yours.items():
            np.testing.assert_allclose(mine[key], value, rtol=1e-12, err_msg=f"{key} at step {step}")


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=[f"{n}-{'-'.join(o)}" for n, o in SCHEDULES])
def test_fifty_steps_are_those_of_pytorch(name, options, optimizer):
    ours, theirs = _pair(optimizer)
    mine = getattr(lr_scheduler, name)(ours, **options)
    yours = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    for step in range(50):
        _assert_alike(ours, theirs, step)
        np.testing.assert_allclose(mine.get_last_lr(), yours.get_last_lr(), rtol=1e-12)
        for part in (ours, theirs, mine, yours):
            part.step()
    if hasattr(mine, "_get_closed_form_lr"):
        np.testing.assert_allclose(mine._get_closed_form_lr(), yours._get_closed_form_lr(), rtol=1e-12)


@pytest.mark.parametrize("options", [
    {"patience": 2, "factor": 0.5},
    {"mode": "max", "patience": 1, "cooldown": 3, "min_lr": [0.01, 0.001]},
    {"threshold": 0.5, "threshold_mode": "abs", "patience": 0, "eps": 1e-2},
])  # fmt: skip
def test_plateaus_are_noticed_as_by_pytorch(options):
    ours, theirs = _pair()
    mine = lr_scheduler.ReduceLROnPlateau(ours, **options)
    yours = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    metrics = np.random.default_rng(5).normal(size=50) + np.linspace(3, -3, 50)
    for step, metric in enumerate(metrics):
        mine.step(metric)
        yours.step(metric)
        _assert_alike(ours, theirs, step)
    assert ours.param_groups[0]["lr"] < 0.1


def _sequence(module, optimizer):
    parts = [
        module.LinearLR(optimizer, start_factor=0.1, total_iters=5),
        module.CosineAnnealingLR(optimizer, T_max=20),
        module.ExponentialLR(optimizer, gamma=0.8),
    ]
    return module.SequentialLR(optimizer, parts, milestones=[6, 30])


def _chain(module, optimizer):
    return module.ChainedScheduler(
        [module.ConstantLR(optimizer, factor=0.1, total_iters=6), module.ExponentialLR(optimizer, gamma=0.9)]
    )


@pytest.mark.parametrize("build", [_sequence, _chain])
def test_combined_schedules_are_those_of_pytorch(build):
    ours, theirs = _pair()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own use of step(epoch)
        mine, yours = build(lr_scheduler, ours), build(torch.optim.lr_scheduler, theirs)
        for step in range(50):
            _assert_alike(ours, theirs, step)
            for part in (ours, theirs, mine, yours):
                part.step()
