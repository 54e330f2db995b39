"""Every command against everything that a command must bear: a table, so that none is forgotten."""

import subprocess

import pytest

from tests.cli.test_commands import COMMANDS

SMALL = ("--hidden", 4, "--batch", 4, "--time", 10, "--steps", 3)
USES = {
    "train": ("train", "rnn", "--text", "text.txt", *SMALL, "--out", "new"),
    "sample": ("sample", "run", "--length", 5),
    "forecast": ("forecast", "series.csv", "--column", "wave", "--lag", 5, "--epochs", 2, "--hidden", 4),
    "draw": ("draw", "rnn", "--steps", 2, "--out", "d.svg"),
    "compare": ("compare", "rnn", "--steps", 2),
    "doctor": ("doctor", "rnn", "--steps", 2),
    "bench": ("bench", "rnn", "--hidden", 4, "--input", 3, "--batch", 2, "--time", 3, "--classes", 3, "--rounds", 1),
    "export": ("export", "run", "--out", "w.safetensors"),
    "app": ("app", "--no-browser"),
    "info": ("info",),
    "completion": ("completion", "bash"),
}
SAYS = {
    "train": "settings", "sample": "text", "forecast": "forecast", "draw": "summary", "compare": "parameters",
    "doctor": "ok", "bench": "seconds", "export": "bytes", "app": "port", "info": "extras", "completion": "script",
}  # fmt: skip
BUSY_IN = {
    "train": "tinygrad_rnn.language.LanguageModel.__init__",
    "sample": "tinygrad_rnn.language.load",
    "forecast": "tinygrad_rnn.data.read_column",
    "draw": "viz.draw",
    "compare": "tinygrad_rnn.compare.compare_gradients",
    "doctor": "tinygrad_rnn.compare.diagnose",
    "bench": "tinygrad_rnn.cli.bench._sides",
    "export": "tinygrad_rnn.language.load",
    "app": "tests.cli.test_matrix.Server.wait",
    "info": "tinygrad_rnn.cli.info._blas",
    "completion": "tinygrad_rnn.cli.completion._entries",
}
"""What each command is doing when Ctrl-C comes; training and forecasts that are under way are in test_process."""


class Server:
    """In place of Streamlit's process: ended as soon as it is waited for."""

    returncode = 0

    def __init__(self, words, **options):
        self.words = words

    def wait(self):
        return 0

    def terminate(self):
        pass


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    pytest.importorskip("streamlit")
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(subprocess, "Popen", Server)
    monkeypatch.setattr("tinygrad_rnn.cli.app._refuse_taken", lambda port: None)  # whoever may have it here


def test_no_command_is_left_out():
    assert list(USES) == list(SAYS) == list(BUSY_IN) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_main_use_piped(tg, trained, series, command):
    done = tg(*USES[command])
    assert (done.code, done.err) == (0, "")
    assert done.out
    assert "\x1b" not in done.out
    assert "\r" not in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_one_object_on_one_line(tg, trained, series, command):
    done = tg(*USES[command], "--json")
    assert (done.code, done.err) == (0, "")
    assert SAYS[command] in done.json


@pytest.mark.parametrize("command", COMMANDS)
def test_quiet_says_no_more(tg, trained, series, command):
    aloud = tg(*USES[command])
    quiet = tg(*USES[command], "--quiet", *(["--overwrite"] if command == "train" else []))
    assert (quiet.code, quiet.err) == (0, "")
    assert len(quiet.out) <= len(aloud.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_flag_is_refused_with_the_usage(tg, command):
    done = tg(*USES[command], "--no-such-flag")
    assert (done.code, done.out) == (2, "")
    assert "unrecognized arguments: --no-such-flag" in done.err
    assert "usage: " in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_ends_in_a_word_and_leaves_nothing_half_done(tg, trained, series, monkeypatch, tmp_path, command):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr(BUSY_IN[command], interrupted)
    done = tg(*USES[command])
    assert done.code == 130
    said = "The dashboard has ended. Start it again with: tinygrad-rnn app" if command == "app" else "Interrupted."
    assert said in done.out + done.err
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--text", "folder"), ("train", "--config", "folder"), ("train", "--resume", "--out", "folder"),
        ("sample", "folder"), ("forecast", "folder"), ("draw", "folder", "--out", "d.svg"), ("export", "folder"),
        ("train", "--text", "/proc/self/mem"), ("forecast", "/proc/self/mem"), ("sample", "/proc/self/mem"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_name(tg, tmp_path, words):
    (tmp_path / "folder").mkdir()
    (path,) = {word for word in words if word in ("folder", "/proc/self/mem")}
    done = tg(*words)
    assert (done.code, done.out) == (2, "")
    assert path in done.err
    assert "Traceback" not in done.err
    assert done.err.count("\n") == 1
