"""What a person sees: plain lines in a pipe, a bar on a terminal, and the words that matter in both."""

import io
import math

import pytest

from tinygrad_rnn.errors import DataError
from tinygrad_rnn.train import Bar, Lines, Progress, Quiet, metrics, suited


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def progress(step, **changes):
    figures = {"total": 200, "epoch": 1, "loss": 2.34567, "learning_rate": 0.0012345, "gradient_norm": 0.51234}
    return Progress(**({"step": step, "steps_per_second": 40.0} | figures | changes))


def told(report):
    report.begin(50, 200)
    for step in (51, 200):
        report.step(progress(step))
    report.line(progress(100))
    report.evaluated(100, 1.5, True)
    report.evaluated(150, 1.75, False)
    report.say("[red]Saved[/red] to [/models/a].")
    report.end()


def test_lines():
    stream = io.StringIO()
    told(Lines(stream))
    assert stream.getvalue().splitlines() == [
        "going on after step 50",
        "step 100/200, epoch 1: loss 2.3457, lr 0.00123, gradient 0.512, 40.0 steps/s, 0:02 left",
        "step 100: validation loss 1.5000, the best so far",
        "step 150: validation loss 1.7500",
        "[red]Saved[/red] to [/models/a].",
    ]


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({"total": None, "gradient_norm": None}, "step 100, epoch 1: loss 2.3457, lr 0.00123, 40.0 steps/s"),
        ({"total": 1_000_100, "steps_per_second": 10.0}, "10.0 steps/s, 27:46:40 left"),
        ({"steps_per_second": 0.0}, "0.0 steps/s"),
    ],
)
def test_lines_that_know_less(changes, end):
    stream = io.StringIO()
    report = Lines(stream)
    report.begin(0, None)
    report.line(progress(100, **changes))
    assert stream.getvalue().endswith(end + "\n")
    assert stream.getvalue().count("\n") == 1


def test_quiet_says_only_what_must_be_read(capsys):
    told(Quiet())
    assert capsys.readouterr() == ("", "[red]Saved[/red] to [/models/a].\n")


def test_lines_go_to_standard_output(capsys):
    Lines().evaluated(3, 1.0, False)
    assert capsys.readouterr().out == "step 3: validation loss 1.0000\n"


def test_a_bar_with_loss_rate_and_time_left(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    told(Bar(stream))
    shown = stream.getvalue()
    assert "50/200" in shown
    assert "200/200" in shown
    assert "loss 2.3457  40.0 steps/s  0:00 left" in shown
    assert "step 100: validation loss 1.5000, the best so far" in shown
    assert "[red]Saved[/red] to [/models/a]." in shown, "text is not markup"
    report = Bar(stream)
    report.end()


def test_the_bar_is_for_terminals_only(monkeypatch):
    pytest.importorskip("rich")
    assert isinstance(suited(Terminal()), Bar)
    assert type(suited(io.StringIO())) is Lines
    monkeypatch.setitem(__import__("sys").modules, "rich.console", None)
    assert type(suited(Terminal())) is Lines


def test_metrics_come_back_and_survive_a_torn_line(tmp_path):
    path = tmp_path / "m.jsonl"
    for step in range(5):
        metrics.append(path, {"step": step, "loss": math.nan if step == 1 else 0.1 * step, "note": "ü\n"})
    with open(path, "ab") as file:
        file.write(b'{"step": 5, "lo')
    lines = metrics.read(path)
    assert [figures["loss"] for figures in lines] == [0.0, None, 0.2, pytest.approx(0.3), 0.4]
    metrics.rewind(path, 2)
    assert metrics.read(path) == lines[:3]
    metrics.append(path, {"step": 3})
    assert metrics.read(path)[3:] == [{"step": 3}]
    metrics.rewind(tmp_path / "none", 2)
    assert not (tmp_path / "none").exists()


def test_metrics_that_cannot_be_read_or_written(tmp_path):
    (tmp_path / "m").write_bytes(b'{"step": 1}\n{"st\n')
    with pytest.raises(DataError, match="m, line 2: expected a JSON object, got"):
        metrics.read(tmp_path / "m")
    with pytest.raises(DataError, match="expected metrics to read, got No such file"):
        metrics.read(tmp_path / "none")
    with pytest.raises(DataError, match="expected a place to write metrics, got Is a directory"):
        metrics.append(tmp_path, {})
