"""The loop does what one would write by hand, and tells what it does."""

import io
import json
import math
import os
import signal

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.train.runs import VOCABULARY, CharacterModel, build, objective
from tinygrad_rnn import checkpoint, nn, optim
from tinygrad_rnn.errors import AnomalyError
from tinygrad_rnn.train import BEST, LAST, METRICS, Ended, Lines, Quiet, Trainer, mean_loss, read_metrics


class Line(nn.Module):
    """y = a x, one parameter, so that everything can be computed by hand."""

    def __init__(self, slope=0.0):
        super().__init__()
        self.slope = nn.Parameter(tg.tensor(slope, dtype=tg.float64))

    def forward(self, x):
        return self.slope * tg.tensor(x)


def squared(model, batch, state):
    x, y = batch
    return ((model(x) - tg.tensor(y)) ** 2).mean()


def line(batches=None, rate=0.1, **options):
    model = Line()
    optimizer = optim.SGD(model.parameters(), lr=rate)
    if batches is None:
        batches = [(np.array([1.0, 2.0]), np.array([2.0, 4.0])), (np.array([3.0]), np.array([6.0]))]
    options = {"report": Quiet(io.StringIO())} | options
    return Trainer(model, optimizer, batches, squared, **options)


def test_the_loop_equals_one_written_by_hand():
    trainer = build(None, evaluate_every=1000)
    trainer.fit(steps=20)
    twin = build(None)  # the same model, optimiser, batches and draws, in their first state
    state, done = None, 0
    while done < 20:
        for batch in twin.feed.batches:
            twin.optimizer.zero_grad()
            loss, state = objective(twin.model, batch, state)
            loss.backward()
            nn.utils.clip_grad_norm_(twin.model.parameters(), 0.1)
            twin.optimizer.step()
            twin.schedulers["step"].step()
            state = tuple(part.detach() for part in state)
            done += 1
            if done == 20:
                break
        else:
            state = None
            twin.schedulers["epoch"].step()
    for one, two in zip(trainer.model.parameters(), twin.model.parameters(), strict=True):
        assert np.array_equal(one.detach().numpy(), two.detach().numpy())


def test_a_step_by_hand():
    trainer = line(rate=0.1)
    outcome = trainer.fit(steps=1)
    # d/da mean((a x - y)^2) at a = 0 is -mean(2 x y) = -10
    assert trainer.model.slope.item() == pytest.approx(1.0)
    assert outcome == (Ended.FINISHED, 1, 0, pytest.approx(math.nan, nan_ok=True))


def test_clipping_bounds_the_step_and_reports_the_norm_before(tmp_path):
    trainer = line(rate=0.1, clip=0.5, folder=tmp_path, log_every=1)
    trainer.fit(steps=1)
    assert trainer.model.slope.item() == pytest.approx(0.05, abs=1e-6)
    assert read_metrics(tmp_path / METRICS)[0]["gradient_norm"] == pytest.approx(10)


def test_steps_and_epochs_whichever_comes_first():
    assert line().fit(steps=3, epochs=9)[1:3] == (3, 1)
    assert line().fit(steps=30, epochs=2)[1:3] == (4, 2)
    assert line().fit(epochs=0)[1:3] == (0, 0)
    trainer = line()
    assert [trainer.fit(steps=k).step for k in (2, 2, 5)] == [2, 2, 5]
    with pytest.raises(ValueError, match=r"fit: expected steps or epochs, got neither. Say fit\(steps=1000\)."):
        trainer.fit()


def test_the_state_is_carried_detached_and_dropped_at_the_end_of_an_epoch():
    seen = []

    def carrying(model, batch, state):
        seen.append(None if state is None else (state["h"].item(), state["h"].requires_grad, type(state["pair"])))
        loss = squared(model, batch, None)
        return loss, {"h": loss * 0 + len(seen), "pair": (loss, [loss])}

    trainer = line()
    trainer.objective = carrying
    trainer.fit(epochs=2)
    assert seen == [None, (1.0, False, tuple), None, (3.0, False, tuple)]


def test_validation_uses_evaluation_mode_and_records_nothing():
    modes = []

    def watching(model, batch, state):
        modes.append((model.training, tg.is_grad_enabled()))
        return squared(model, batch, state)

    trainer = line(evaluate_every=1)
    trainer.objective = watching
    trainer.evaluate = lambda model: mean_loss(model, watching, [(np.ones(1), np.ones(1))])
    trainer.fit(steps=2)
    assert modes == [(True, True), (False, False)] * 2
    assert trainer.model.training


def test_mean_loss_counts_entries():
    model = Line(1.0)
    batches = [(np.ones(3), np.full(3, 2.0)), (np.ones(1), np.full(1, 4.0))]
    assert mean_loss(model, squared, batches) == pytest.approx((3 * 1 + 1 * 9) / 4)
    assert mean_loss(model, lambda model, batch, state: squared(model, batches[batch], state), [0, 1]) == 5
    assert mean_loss(model, lambda model, batch, state: squared(model, batch[:2], state), [(*batches[1], [1, 2])]) == 9
    assert math.isnan(mean_loss(model, squared, []))


def test_the_best_weights_are_kept_and_can_be_loaded_by_themselves(tmp_path):
    losses = iter([3.0, 1.0, 2.0, 1.0])
    trainer = line(evaluate=lambda model: next(losses), evaluate_every=1, folder=tmp_path, description={"kind": "line"})
    slopes = []
    trainer.optimizer.register_step_post_hook(lambda *_: slopes.append(trainer.model.slope.item()))
    outcome = trainer.fit(steps=4)
    assert outcome.best == 1.0
    best = checkpoint.load(tmp_path / BEST)
    assert best.description == {"model": {"kind": "line"}, "step": 2, "validation_loss": 1.0}
    fresh = Line()
    fresh.load_state_dict(best.arrays)
    assert fresh.slope.item() == slopes[1]
    last = checkpoint.load(tmp_path / LAST)
    assert last.arrays["slope"] == slopes[3]
    assert last.description["model"] == {"kind": "line"}


def test_patience(tmp_path):
    losses = iter([3.0, 4.0, 2.0, math.nan, 2.0, 5.0])
    said = io.StringIO()
    trainer = line(
        evaluate=lambda model: next(losses), evaluate_every=2, patience=3, report=Quiet(said), folder=tmp_path
    )
    assert trainer.fit(steps=100) == (Ended.STOPPED_EARLY, 12, 5, 2.0)
    assert said.getvalue() == "Stopped early after step 12: 3 evaluations without a better loss. The best was 2.0000.\n"
    assert [figures.get("best") for figures in read_metrics(tmp_path / METRICS)] == [True, False, True] + [False] * 3


def test_patience_with_a_loss_that_is_never_a_number():
    assert line(evaluate=lambda model: math.nan, evaluate_every=1, patience=2).fit(steps=9)[:2] == (
        Ended.STOPPED_EARLY,
        2,
    )


def test_training_is_done_in_training_mode_and_every_step_is_reported():
    seen = []

    class Watching(Quiet):
        def step(self, progress):
            seen.append((progress.step, trainer.model.training))

    trainer = line(report=Watching())
    trainer.model.eval()
    trainer.fit(steps=3)
    assert seen == [(1, True), (2, True), (3, True)]


def test_schedulers_are_stepped_each_at_its_time():
    calls = []

    class Scheduler:
        def __init__(self, name):
            self.name = name

        def step(self, *loss):
            calls.append((self.name, *loss))

    trainer = line(
        evaluate=lambda model: 0.5,
        step_scheduler=Scheduler("step"),
        epoch_scheduler=Scheduler("epoch"),
        plateau_scheduler=Scheduler("plateau"),
    )
    trainer.fit(epochs=1)
    assert calls == [("step",), ("step",), ("epoch",), ("plateau", 0.5)]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(tmp_path, bad):
    trainer = line(folder=tmp_path)
    trainer.fit(steps=3)
    slope = trainer.model.slope.item()
    trainer.objective = lambda model, batch, state: model.slope * bad
    text = "training step 4: expected a finite loss, got (nan|inf). Lower the learning rate or clip"
    with pytest.raises(AnomalyError, match=text), np.errstate(all="ignore"):
        trainer.fit(steps=9)
    assert trainer.model.slope.item() == slope
    assert checkpoint.load(tmp_path / LAST).arrays["slope"] == slope


def test_metrics(tmp_path):
    trainer = line(folder=tmp_path, log_every=2, evaluate=lambda model: 1.0, rate=0.01)
    trainer.fit(epochs=2)
    lines = read_metrics(tmp_path / METRICS)
    assert [(figures["step"], figures["epoch"], "loss" in figures) for figures in lines] == [
        (2, 0, True),
        (2, 1, False),
        (4, 1, True),
        (4, 2, False),
    ]
    assert lines[0]["learning_rate"] == 0.01
    assert lines[0]["gradient_norm"] is None
    # The first step sees a = 0: mean(4, 16) = 10; the second a = 0.1 and (0.1 * 3 - 6)^2.
    assert lines[0]["loss"] == pytest.approx((10 + 5.7**2) / 2)
    assert 0 < lines[0]["seconds"] <= lines[2]["seconds"] < 60
    assert lines[0]["steps_per_second"] > 1
    for text in (tmp_path / METRICS).read_text().splitlines():
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_by_default_a_run_is_saved_at_the_end_of_every_epoch(tmp_path):
    found = []

    def looking(model, batch, state):
        tally = checkpoint.load(tmp_path / LAST).description["run"]["tally"]
        found.append((tally["step"], tally["epoch"]))
        return squared(model, batch, state)

    trainer = line(folder=tmp_path, rate=0.01)
    trainer.objective = looking
    trainer.fit(epochs=3)
    assert found == [(0, 0), (0, 0), (2, 1), (2, 1), (4, 2), (4, 2)]


def test_lines_of_a_run():
    said = io.StringIO()
    line(report=Lines(said), log_every=2, evaluate=lambda model: 1.0, rate=0.01).fit(steps=4)
    first, second, third = said.getvalue().splitlines()
    assert first.startswith("step 2/4, epoch 0: loss 21.2450, lr 0.01, ")
    assert second == "step 2: validation loss 1.0000, the best so far"
    assert third.startswith("step 4/4, epoch 1: loss ")


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line(evaluate=lambda model: 1.0).fit(epochs=2)
    assert os.listdir(tmp_path) == []


def test_ctrl_c_without_a_folder_says_that_nothing_was_saved():
    said = io.StringIO()
    trainer = line(report=Quiet(said))
    trainer.optimizer.register_step_post_hook(lambda *_: os.kill(os.getpid(), signal.SIGINT))
    assert trainer.fit(steps=5)[:2] == (Ended.INTERRUPTED, 1)
    assert said.getvalue() == "Interrupted by Ctrl-C after step 1. Nothing was saved: no folder was given.\n"


def test_the_hint_how_to_resume_is_the_callers(tmp_path):
    said = io.StringIO()
    trainer = line(report=Lines(said), folder=tmp_path, resume_hint="To go on: tool train --resume")
    trainer.optimizer.register_step_post_hook(lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    trainer.fit(steps=5)
    expected = f"Interrupted by SIGTERM after step 1. Saved to {tmp_path / LAST}. To go on: tool train --resume\n"
    assert said.getvalue() == expected


def test_the_total_is_known_when_the_batches_know_theirs():
    totals = []

    class Watching(Quiet):
        def begin(self, step, total):
            totals.append((step, total))

    for batches, options in (
        ([(np.ones(1), np.ones(1))] * 3, {"epochs": 2}),
        ([(np.ones(1), np.ones(1))] * 3, {"epochs": 2, "steps": 4}),
        (type("Endless", (), {"__iter__": lambda self: iter([(np.ones(1), np.ones(1))])})(), {"epochs": 2}),
    ):
        line(batches, report=Watching()).fit(**options)
    assert totals == [(0, 6), (0, 4), (0, None)]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"validation": [], "evaluate": lambda model: 0.0}, "Trainer: expected validation or evaluate, got both"),
        ({"save_every": 0}, "Trainer, save_every: expected at least 1, or None, got 0"),
        ({"patience": 0}, "Trainer, patience: expected at least 1, or None, got 0"),
        ({"clip": 0.0}, "Trainer, clip: expected a positive norm, or None, got 0.0"),
        ({"clip": math.nan}, "Trainer, clip: expected a positive norm, or None, got nan"),
    ],
)
def test_options_out_of_range(options, text):
    with pytest.raises(ValueError, match=text):
        line(**options)


def test_a_character_model_learns(tmp_path):
    trainer = build(
        tmp_path, validation=None, step_scheduler=None, epoch_scheduler=None, plateau_scheduler=None, clip=5.0
    )
    trainer.fit(steps=200)
    losses = [figures["loss"] for figures in read_metrics(tmp_path / METRICS)]
    assert losses[0] > 0.9 * math.log(len(VOCABULARY))
    assert losses[-1] < 0.5 * losses[0]
    again = CharacterModel()
    held = checkpoint.load(tmp_path / LAST)
    again.load_state_dict({name: array for name, array in held.arrays.items() if not name.startswith("run/")})
    assert again.head.bias.detach().numpy().tobytes() == trainer.model.head.bias.detach().numpy().tobytes()
