"""A full disk, a folder that may not be written, a dying process: what stood at the path stays, and nothing is left.

Every writer goes through `files.replace`, and the last test here keeps it so; the others hold each to it, from outside.
"""

import ast
import contextlib
import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.writers import WRITERS, close, content
from tinygrad_rnn import files
from tinygrad_rnn.cli import main as command_line
from tinygrad_rnn.errors import DataError, TinygradError
from tinygrad_rnn.train import metrics

ROOT = Path(__file__).resolve().parent.parent
CALLED = [name for name in WRITERS if not name.startswith("command_")]
COMMANDS = [name for name in WRITERS if name.startswith("command_")]


@pytest.fixture
def standing(tmp_path, request):
    """A function that writes version 0 of a file and returns what it holds."""

    def write(name):
        WRITERS[name](tmp_path / name, 0)
        return content(tmp_path / name)

    return write


def unchanged(folder, name, before):
    assert content(folder / name) == before
    assert sorted(set(os.listdir(folder)) - {"series.csv"}) == [name]


@contextlib.contextmanager
def full_disk():
    """The limit on file size fails in the middle of a write, as a full disk does, and needs no disk to fill.

    It holds for the whole process, the log that pytest may be writing included: keep the block short.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", CALLED)
def test_a_full_disk(tmp_path, standing, name):
    before = standing(name)
    with pytest.raises((OSError, TinygradError), match="File too large") as caught, full_disk():
        WRITERS[name](tmp_path / name, 1)
    assert name in str(caught.value), "the error names the file that was asked for"
    assert ".tmp" not in str(caught.value)
    unchanged(tmp_path, name, before)


def test_a_full_disk_between_lines_of_metrics(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with pytest.raises(DataError, match="No space left on device"), full_disk():  # noqa: PT012
        for step in range(100):
            metrics.append(path, {"step": step, "loss": 0.125})
    whole = path.read_bytes()
    assert whole.endswith(b"}\n")
    assert [line["step"] for line in metrics.read(path)] == list(range(len(whole.splitlines())))
    assert len(whole) > 200


@pytest.mark.parametrize("name", CALLED)
def test_a_folder_that_may_not_be_written(tmp_path, standing, monkeypatch, name):
    before = standing(name)
    close(tmp_path, monkeypatch)
    with pytest.raises((OSError, TinygradError), match="Permission denied") as caught:
        WRITERS[name](tmp_path / name, 1)
    assert name in str(caught.value)
    assert ".tmp" not in str(caught.value)
    unchanged(tmp_path, name, before)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("code", "do"),
    [
        (errno.ENOSPC, "Free some space or choose another disk; what was there before is untouched."),
        (errno.EROFS, "Choose a place you have permission for."),
        (errno.EIO, "Give the path of a regular file."),
    ],
)
def test_commands_say_what_happened_in_a_sentence(tmp_path, standing, monkeypatch, capsys, name, code, do):
    before = standing(name)
    capsys.readouterr()

    def fail(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SystemExit) as stopped:
        WRITERS[name](tmp_path / name, 1)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("tinygrad-rnn: ")
    assert f"{tmp_path / name}: " in said
    assert os.strerror(code) in said
    assert do in said
    assert "Traceback" not in said
    monkeypatch.undo()
    unchanged(tmp_path, name, before)


def test_a_run_whose_folder_may_not_be_written(tmp_path, monkeypatch, capsys):
    text, folder = tmp_path / "text.txt", tmp_path / "run"
    text.write_text("the cat sat on the mat. " * 40)
    folder.mkdir()
    close(folder, monkeypatch)
    words = ("train", "rnn", "--text", text, "--out", folder, "--hidden", 4, "--batch", 2, "--time", 5, "--steps", 2)
    assert command_line([str(word) for word in words]) == 2
    said = capsys.readouterr().err
    assert "Permission denied" in said
    assert "Choose a place you have permission for." in said
    assert os.listdir(folder) == []


def killed(folder, kills, *names):
    command = [sys.executable, "-m", "tests.writers", folder, str(kills), "0", *names]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_killed_at_random_moments(tmp_path):
    assert killed(tmp_path, 3, "drawing.svg", "model.onnx", "command_draw.svg")["kills"] == 27


@pytest.mark.slow
def test_every_writer_killed_at_random_moments(tmp_path):
    tally = killed(tmp_path, 4)
    assert tally["kills"] == 12 * len(WRITERS)
    assert tally["replaced"] > 10, "the kills come too early to hit anything"


def test_two_processes_that_export_to_one_path(tmp_path):
    loop = """
import sys
from pathlib import Path
from tests.writers import WRITERS
for _ in range(40):
    WRITERS[sys.argv[2]](Path(sys.argv[1]), int(sys.argv[3]))
"""
    for name in ("drawing.html", "model.onnx"):
        path, both = tmp_path / name, []
        for k in (0, 1):
            WRITERS[name](path, k)
            both.append(path.read_bytes())
        writers = [subprocess.Popen([sys.executable, "-c", loop, path, name, str(k)], cwd=ROOT) for k in (0, 1)]
        while any(writer.poll() is None for writer in writers):
            assert path.read_bytes() in both
        assert [writer.returncode for writer in writers] == [0, 0]
        assert path.read_bytes() in both
    assert sorted(os.listdir(tmp_path)) == ["drawing.html", "model.onnx"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that Python closes for us
def test_ctrl_c_between_any_two_steps_leaves_nothing(tmp_path):
    # Not at random but at every single line of `replace`, the one after which the temporary file exists among them.
    path = tmp_path / "a"
    files.replace(path, b"old")
    at = 0
    while True:
        at += 1
        count = 0

        def stop(frame, event, argument, at=at):
            nonlocal count
            if frame.f_code.co_filename != files.__file__:
                return None
            count += event == "line"
            if count == at:
                count += 1
                raise KeyboardInterrupt
            return stop

        sys.settrace(stop)
        try:
            files.replace(path, b"new")
            break
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        assert path.read_bytes() in (b"old", b"new")
        assert os.listdir(tmp_path) == ["a"], f"interrupted at line event {at}"
        files.replace(path, b"old")
    assert at > 25, "the trace saw too few lines"


ALLOWED = {"tinygrad_rnn/files.py": "the writer itself", "tinygrad_rnn/train/metrics.py": "lines are appended"}
WRITES = {"write_text", "write_bytes", "savefig", "tofile", "savetxt", "savez", "to_csv", "save_file", "mkstemp"}


def writes(tree):
    """The lines of a syntax tree that write a file themselves."""
    buffers = {
        ast.unparse(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value) in ("io.BytesIO()", "io.StringIO()")
    }
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        modes = [a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        opened = name in ("open", "fdopen") and any(set(mode) & set("wax+") and len(mode) <= 3 for mode in modes)
        in_memory = name == "savefig" and ast.unparse(call.args[0]) in buffers
        if opened or (name in WRITES and not in_memory):
            yield call.lineno


def test_there_is_one_writer():
    found = {}
    for folder in ("tinygrad_rnn", "viz", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            lines = list(writes(ast.parse(path.read_text())))
            if lines:
                found[path.relative_to(ROOT).as_posix()] = lines
    assert found.pop("tinygrad_rnn/files.py")
    assert found.keys() <= ALLOWED.keys(), f"write through files.replace: {found}"


def test_the_api_reference_is_replaced_as_a_whole():
    recipe = re.search(r"^docs:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
    lines = recipe.splitlines()
    assert "rm -rf docs/.new" in lines[0], "what a killed run left goes first"
    assert "-o docs/.new" in recipe
    assert "-o docs/api" not in recipe
    assert lines[-1].endswith("rm -rf docs/api && mv docs/.new docs/api")
