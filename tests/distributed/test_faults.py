"""A rank that breaks ends all, in time and with its message; what it leaves can be taken up by any number of ranks."""

import os
import re
import signal
import time

import numpy as np
import pytest

from tests.distributed.launch import finish, launch, start
from tinygrad_rnn import checkpoint
from tinygrad_rnn.train import BEST, LAST, read_metrics

pytest.importorskip("mpi4py")

pytestmark = pytest.mark.mpi
PROGRAM = "tests.distributed.runs"
STEPS = 120
LIMIT = 30  # seconds from the fault to the end of the last rank


def weights(folder):
    """The weights of a run's last checkpoint, by name; reading them checks that the file is whole."""
    return {name: a for name, a in checkpoint.load(folder / LAST).arrays.items() if not name.startswith("run/")}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The folder and the last line of a run of one process that nothing happens to."""
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    return folder, launch(1, PROGRAM, folder, STEPS).splitlines()[-1]


def assert_same_weights(folder, reference):
    expected = weights(reference)
    for name, array in weights(folder).items():
        assert np.abs(array - expected[name]).max() <= 1e-12 * np.abs(expected[name]).max(), name


def assert_ended(processes):
    """None of the ranks is left."""
    end = time.monotonic() + 5
    while left := [pid for pid in processes if os.path.exists(f"/proc/{pid}") and "Z" not in state_of(pid)]:
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.1)


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def processes_in(printed):
    """The ranks' processes, by rank."""
    return {int(rank): int(pid) for pid, rank in re.findall(r"pid (\d+) of rank (\d+)\n", printed)}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("raise:1:20", "rank 1 of 3 failed: ZeroDivisionError: broken on purpose"),
        ("raise:0:1", "rank 0 of 3 failed: ZeroDivisionError: broken on purpose"),
        ("exit:2:20", "rank 2 of 3 failed: SystemExit: 3"),
        ("hang:1:20", "rank 1 of 3 has not come to exchange 20 within"),
        ("stop:0:20", "rank 0 of 3 has not come to exchange 20 within"),
        ("shapes:1:0", "rank 1, rnn.weight_ih_l0: expected float64[24, 4] as on rank 0, got float64[27, 4]"),
        ("version:2:0", "rank 2, the version of NumPy: expected"),
        ("data:1:0", "rank 1, data: expected"),
        ("nan:2:20", "all 3 ranks: AnomalyError: training step 20: expected a finite loss, got nan"),
        ("drift:1:20", "all 3 ranks: DistributedError: weights: expected the same on all ranks, got another"),
    ],
)
def test_a_rank_that_breaks_ends_all_with_its_message(tmp_path, unbroken, broken, message):
    process = start(3, PROGRAM, tmp_path / "run", STEPS, broken)
    printed = finish(process, LIMIT + 20)  # with the start of the interpreters
    assert process.returncode != 0
    assert printed.count(message) == 1, printed
    assert_ended(processes_in(printed).values())
    if broken.startswith(("raise:1", "hang")):
        last = launch(2, PROGRAM, tmp_path / "run", STEPS).splitlines()[-1]
        assert last == unbroken[1]
        assert_same_weights(tmp_path / "run", unbroken[0])


def test_a_signal_to_one_rank_interrupts_all_after_the_same_step(tmp_path, unbroken):
    printed = launch(3, PROGRAM, tmp_path / "run", STEPS, "interrupt:1:20")
    assert "Interrupted by a signal to another rank after step 20." in printed
    assert "interrupted 20" in printed
    assert launch(4, PROGRAM, tmp_path / "run", STEPS).splitlines()[-1] == unbroken[1]
    assert_same_weights(tmp_path / "run", unbroken[0])


def test_every_rank_draws_its_own_and_a_resumed_run_draws_the_same(tmp_path):
    whole = launch(3, PROGRAM, tmp_path / "whole", 12, "dropout:0:0")
    first = launch(3, PROGRAM, tmp_path / "parts", 7, "dropout:0:0")
    second = launch(3, PROGRAM, tmp_path / "parts", 12, "dropout:0:0")
    draws = re.findall(r"rank (\d) draws (\S+)", whole)
    assert len({number for _, number in draws}) == 3 * 12
    assert sorted(draws) == sorted(re.findall(r"rank (\d) draws (\S+)", first + second))
    assert_same_weights(tmp_path / "parts", tmp_path / "whole")


def test_rank_0_alone_speaks_and_writes(tmp_path, unbroken):
    printed = launch(3, PROGRAM, tmp_path / "run", STEPS)
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("step ")] == [
        str(step) for step in range(1, STEPS + 1)
    ]
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in unbroken[0].iterdir()}
    ours, theirs = (read_metrics(folder / "metrics.jsonl") for folder in (tmp_path / "run", unbroken[0]))
    for mine, other in zip(ours, theirs, strict=True):
        for name in {"step", "epoch", "loss", "validation_loss", "gradient_norm"} & other.keys():
            assert mine[name] == pytest.approx(other[name], rel=1e-12)
    expected = checkpoint.load(unbroken[0] / BEST).arrays
    for name, array in checkpoint.load(tmp_path / "run" / BEST).arrays.items():
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("moment", range(20))
def test_a_killed_rank_ends_all_and_the_run_can_be_taken_up(tmp_path, unbroken, moment):
    rng = np.random.default_rng(moment)
    after, pause = int(rng.integers(STEPS - 30)), float(rng.uniform(0, 0.02))
    process = start(3, PROGRAM, tmp_path / "run", STEPS)
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if len(processes_in(printed)) == 3 and (after == 0 or f"step {after} " in printed):
            break
    ranks = processes_in(printed)
    time.sleep(pause)
    os.kill(ranks[int(rng.integers(3))], signal.SIGKILL)
    killed = time.monotonic()
    printed += finish(process, LIMIT)
    assert time.monotonic() - killed < LIMIT
    assert process.returncode != 0
    assert "Killed (signal 9)" in printed, printed
    assert "finished" not in printed
    assert_ended(ranks.values())
    last = launch(1 + moment % 4, PROGRAM, tmp_path / "run", STEPS).splitlines()[-1]
    assert last == unbroken[1]
    assert_same_weights(tmp_path / "run", unbroken[0])
