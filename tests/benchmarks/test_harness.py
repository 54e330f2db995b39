"""The benchmark harness tells a wrong side, a missing side and a dead side from a slow one. No timing is asserted."""

import pytest

from tests.benchmarks.__main__ import parse
from tests.benchmarks.names import SIDES, Side
from tests.benchmarks.race import Result, Worker, race
from tests.benchmarks.tables import Table, disagreements, duration, race_table, ratio
from tests.benchmarks.worker import turn
from tests.benchmarks.workloads import WORKLOADS


def test_medians_and_ratios():
    results = {
        "eager": Result(seconds=[3e-3, 1e-3, 2e-3], outputs=[1.0, 2.0, 3.0]),
        "torch": Result(seconds=[4e-3, 4e-3, 1e-3], outputs=[1.0, 2.0, 3.0]),
        "jax": Result(missing="jax is not installed"),
    }
    table = race_table("title", results, ["torch", "jax"])
    assert table.rows[1][0:2] == ["tinygrad_rnn eager", "2 ms"]
    assert table.rows[1][-2:] == ["0.75", ""], "the median of 3/4, 1/4 and 2, and not 2 ms over 4 ms"
    assert table.rows[3][1] == "missing"
    assert table.notes == ["JAX jitted scan: jax is not installed"]


def test_a_side_that_computes_something_else_is_called_wrong():
    results = {"torch": Result(outputs=[1.0, 0.5, 0.25]), "eager": Result(outputs=[1.0, 0.51, 0.25])}
    (complaint,) = disagreements(results)
    assert complaint.startswith("WRONG: tinygrad_rnn eager computes")
    results["eager"].outputs[1] = 0.5 + 1e-6
    assert disagreements(results) == []


def test_a_nan_is_wrong_too():
    nan = float("nan")
    assert disagreements({"torch": Result(outputs=[1.0, 1.0, 1.0]), "eager": Result(outputs=[nan, nan, nan])})


def test_tables_as_text_and_markdown():
    table = Table("Speed", ["side", "time"])
    table.add("ours", "1 ms")
    table.notes.append("a note")
    assert table.render(markdown=False) == "Speed\nside  time\n----  ----\nours  1 ms\n  a note\n"
    assert table.render(markdown=True) == "### Speed\n\n| side | time |\n| ---- | ---: |\n| ours | 1 ms |\n\n- a note\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4.56e-5, "45.6 µs"), (8e-8, "80 ns"), (float("nan"), "missing")],
)
def test_durations_have_units(seconds, text):
    assert duration(seconds) == text


def test_ratio_of_something_missing_is_empty():
    there, missing = Result(seconds=[1.0]), Result(missing="not installed")
    assert ratio(there.over(missing)) == ratio(missing.over(there)) == ""


def test_a_missing_library_is_named_and_the_others_race_on(monkeypatch):
    monkeypatch.setitem(SIDES, "nobody", Side("Nobody", "torchlike", "no_such_library"))
    # The worker looks the side up itself, and there it does not exist: that is a death, not an absence.
    assert race(["nobody"], "recording", rounds=1)["nobody"].missing == "BROKEN: KeyError: 'nobody'"
    results = race(["autograd"], "no_such_task", rounds=1)
    assert results["autograd"].missing in {"no `no_such_task` here", "autograd is not installed"}


def test_a_closed_worker_has_ended():
    worker = Worker("eager", threads=1)
    try:
        assert worker.prepare("no_such_task").missing == "no `no_such_task` here"
        assert worker.process.poll() is None
    finally:
        worker.close()
    assert worker.process.poll() is not None


def test_a_turn_divides_by_its_repeats():
    calls = []
    answer = turn(lambda: calls.append(1), repeats=7)
    assert len(calls) == 7
    assert answer["seconds"] >= 0


@pytest.mark.parametrize("name", WORKLOADS)
def test_workloads_are_float32_and_the_same_every_time(name):
    load = WORKLOADS[name]
    inputs, targets = load.batch()
    assert inputs.shape[:2] == targets.shape[:2] == (load.T, load.B)
    assert (load.batch()[0] == inputs).all()
    assert {array.dtype.name for array in load.parameters().values()} == {"float32"}


def test_an_unknown_workload_is_refused_by_name(capsys):
    with pytest.raises(SystemExit):
        parse(["--workloads", "W1,W10"])
    assert "unknown: W10; there are W1, W2" in capsys.readouterr().err
