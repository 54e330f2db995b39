"""A run that was stopped, interrupted or killed and taken up again ends as if nothing had happened, bit for bit."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.train.runs import build, everything
from tinygrad_rnn import checkpoint
from tinygrad_rnn.data import StreamBatches
from tinygrad_rnn.errors import CheckpointError, DataError, MissingCheckpointError, StateDictError
from tinygrad_rnn.train import BEST, LAST, METRICS, read_metrics

STEPS = 40
TIMES = ("seconds", "steps_per_second")


def figures(folder):
    """The lines of metrics without what a clock says."""
    lines = read_metrics(folder / METRICS)
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def files(folder):
    """The weights that the folder holds, by file, as bytes."""
    return {
        name: {key: array.tobytes() for key, array in checkpoint.load(folder / name).arrays.items()}
        for name in (LAST, BEST)
    }


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """For each kind of batches the run that was never interrupted: its folder and all that it came to."""
    runs = {}
    for kind in ("stream", "shuffled", "bucketed"):
        folder = tmp_path_factory.mktemp(kind)
        trainer = build(folder, kind)
        trainer.fit(steps=STEPS)
        runs[kind] = folder, everything(trainer)
    return runs


@pytest.mark.parametrize("kind", ["stream", "shuffled", "bucketed"])
@pytest.mark.parametrize("stops", [(1,), (7,), (8,), (14,), (20,), (39,), (2, 3, 21, 35)], ids=str)
def test_a_resumed_run_ends_like_the_unbroken_one(tmp_path, unbroken, kind, stops):
    for stop in stops:
        trainer = build(tmp_path, kind, seed=0 if stop == stops[0] else stop)  # what a seed decides is all restored
        if stop != stops[0]:
            trainer.resume()
        trainer.fit(steps=stop)
    trainer = build(tmp_path, kind, seed=99)
    trainer.resume()
    trainer.fit(steps=STEPS)
    folder, expected = unbroken[kind]
    assert everything(trainer) == expected
    assert figures(tmp_path) == figures(folder)
    assert files(tmp_path) == files(folder)


@pytest.mark.parametrize("kind", ["stream", "shuffled"])
def test_one_trainer_may_go_on_by_itself(unbroken, tmp_path, kind):
    trainer = build(tmp_path, kind)
    for steps in (5, 7, 30, STEPS, STEPS):
        outcome = trainer.fit(steps=steps)
        assert outcome.step == steps
    assert everything(trainer) == unbroken[kind][1]


@pytest.mark.parametrize("kind", ["stream", "shuffled", "bucketed"])
def test_epochs_and_saving_only_at_their_ends(tmp_path, kind):
    options = {"evaluate_every": None, "save_every": None, "log_every": None}
    (tmp_path / "a").mkdir()
    whole = build(tmp_path / "a", kind, **options)
    whole.fit(epochs=4)
    expected = everything(whole)
    for epochs in (1, 3, 4):
        trainer = build(tmp_path / "b", kind, **options)
        if epochs > 1:
            trainer.resume()
        assert trainer.fit(epochs=epochs).epoch == epochs
    assert everything(trainer) == expected
    assert [line["epoch"] for line in figures(tmp_path / "b")] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert figures(tmp_path / "a") == figures(tmp_path / "b")


def start(folder, kind="stream", steps=STEPS):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.train.runs", folder, kind, str(steps)], stdout=subprocess.PIPE, text=True
    )


def kill_at_random_moments(folder, kind, kills, seed):
    """SIGKILL the run again and again, resuming it each time, then let it finish. Returns where each kill left it."""
    rng = np.random.default_rng(seed)
    reached = []
    while len(reached) < kills:
        process = start(folder, kind)
        # Every third kill falls into importing and resuming, the others into training and saving.
        if rng.random() < 0.67:
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.communicate()
        if (folder / LAST).exists():
            tally = checkpoint.load(folder / LAST).description["run"]["tally"]
            reached.append(tally["step"])
            if tally["step"] == STEPS:  # it was done: begin anew, and go on killing
                for name in os.listdir(folder):
                    os.unlink(folder / name)
    process = start(folder, kind)
    assert process.communicate()[0].endswith(f"finished {STEPS}\n")
    return reached


def check_killed(folder, kind, unbroken):
    whole, expected = unbroken[kind]
    killed = build(folder, kind, seed=5)
    killed.resume()
    assert everything(killed) == expected
    assert files(folder) == files(whole)
    assert figures(folder) == figures(whole)
    assert sorted(os.listdir(folder)) == [BEST, LAST, METRICS]


def test_a_killed_run_is_resumed_as_if_nothing_had_happened(tmp_path, unbroken):
    kill_at_random_moments(tmp_path, "stream", kills=3, seed=0)
    check_killed(tmp_path, "stream", unbroken)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kills"), [("stream", 50), ("shuffled", 15), ("bucketed", 15)])
def test_many_kills(tmp_path, unbroken, kind, kills):
    reached = kill_at_random_moments(tmp_path, kind, kills, seed=1)
    assert len(set(reached)) > 3, f"the kills came at steps {reached}"
    check_killed(tmp_path, kind, unbroken)


@pytest.mark.parametrize(("number", "cause"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_an_interrupted_run_saves_says_so_and_resumes(tmp_path, unbroken, number, cause):
    process = start(tmp_path, steps=100_000)
    assert process.stdout.readline() == "training\n"
    time.sleep(0.05)
    process.send_signal(number)
    said = process.communicate()[0]
    assert process.returncode == 0
    step = checkpoint.load(tmp_path / LAST).description["run"]["tally"]["step"]
    assert said == (
        f"Interrupted by {cause} after step {step:,}. Saved to {tmp_path / LAST}. "
        f"To go on, build the same Trainer, then call resume() and fit().\ninterrupted {step}\n"
    )
    whole = build(None)
    whole.fit(steps=step + 5)
    expected = everything(whole)
    resumed = build(tmp_path, seed=7)
    resumed.resume()
    resumed.fit(steps=step + 5)
    assert everything(resumed) == expected


def other_stream(**options):
    return StreamBatches(np.arange(100) % 20, **({"batch": 3, "time": 17} | options))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (
            {"description": {"hidden": 9}},
            CheckpointError,
            r"expected the model {.*9}, got {.*8,.*. Resume with the conf",
        ),
        ({"epoch_scheduler": None}, CheckpointError, "expected the same schedulers, got a difference in the epoch"),
        ({"generators": []}, CheckpointError, r"generators: expected \['PCG64'\], got \['PCG64', 'PCG64'\]. Pass the"),
        (
            {"kind": "shuffled"},
            DataError,
            "resumed run: expected batches of the kind that the run began with, got Shuf",
        ),
        ({"kind": "bucketed"}, CheckpointError, "generators: expected"),
    ],
)
def test_a_run_of_something_else_is_not_resumed(tmp_path, change, error, text):
    build(tmp_path).fit(steps=4)
    other = build(tmp_path, **change)
    before = everything(other)
    with pytest.raises(error, match=text):
        other.resume()
    assert everything(other) == before


def test_other_data_and_another_model_are_not_resumed(tmp_path):
    build(tmp_path).fit(steps=4)
    trainer = build(tmp_path)
    trainer.feed.batches = other_stream()
    with pytest.raises(DataError, match=r"stream state, steps: expected 32, got"):
        trainer.resume()
    trainer = build(tmp_path)
    trainer.model.extra = type(trainer.model.head)(2, 2)
    with pytest.raises(StateDictError, match=r'Missing key\(s\) in state_dict: "extra.weight", "extra.bias"'):
        trainer.resume()


def test_fewer_batches_than_were_taken(tmp_path):
    build(tmp_path, "shuffled").fit(steps=6)
    trainer = build(tmp_path, "shuffled")
    trainer.feed.batches = [1, 2, 3]
    trainer.resume()
    with pytest.raises(DataError, match=r"resumed run: expected at least 6 batches, got 3. Resume with the data"):
        trainer.fit(steps=10)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(MissingCheckpointError, match=r"last.safetensors: expected a checkpoint to read, got No such"):
        build(tmp_path).resume()
    checkpoint.save(tmp_path / LAST, {})
    with pytest.raises(CheckpointError, match="expected a training run, got weights without one"):
        build(tmp_path).resume()
    with pytest.raises(ValueError, match=r"Trainer: expected a folder, got none. Pass folder="):
        build(None).resume()


def test_a_run_is_not_overwritten_unasked(tmp_path):
    build(tmp_path).fit(steps=6)
    with pytest.raises(
        CheckpointError, match=r"expected no training run, got last.safetensors, best.safetensors, metr"
    ):
        build(tmp_path).fit(steps=9)
    assert checkpoint.load(tmp_path / LAST).description["run"]["tally"]["step"] == 6
    build(tmp_path, overwrite=True, evaluate_every=100).fit(steps=4)
    assert [line["step"] for line in read_metrics(tmp_path / METRICS)] == [4]
    assert not (tmp_path / BEST).exists()


def test_a_folder_that_cannot_be_made_fails_before_training(tmp_path):
    (tmp_path / "file").touch()
    trainer = build(tmp_path / "file" / "run")
    with pytest.raises(CheckpointError, match="expected a folder for the run, got"):
        trainer.fit(steps=1)
