"""Every example explains itself, refuses senseless numbers in a sentence, and reads nothing that it writes over."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(path, *words, cwd):
    """A process of its own, as for a reader; most are over before they have begun to compute."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    command = [sys.executable, str(path), *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=environment, timeout=60)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_help_is_help_and_ends_no_sentence_in_its_midst(path, tmp_path):
    done = run(path, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")
    said = " ".join(done.stdout.split())
    if path.name not in ("app.py", "pictures.py"):  # which speak of what they do here, and not of what they show
        first = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).partition("\n\n")[0]
        assert " ".join(first.split()) in said
    assert re.search(r"[.:] (options|positional arguments):|open the dashboard in a browser", said, re.IGNORECASE)


NUMBERS = {
    "01_series": "--epochs", "03_characters": "--epochs", "04_sentiment": "--epochs", "05_next_word": "--epochs",
    "demo": "--updates", "doctor": "--steps", "drawing_tools": "--steps",
}  # fmt: skip


def test_no_number_is_left_out():
    having = {path.stem for path in EXAMPLES if "type=int" in path.read_text(encoding="utf-8")}
    assert having == NUMBERS.keys()


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_without_sense_are_refused(name, value, tmp_path):
    done = run(ROOT / "examples" / f"{name}.py", NUMBERS[name], value, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: {NUMBERS[name]}: expected at least 1, got {value}\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_demo_does_not_learn_what_it_would_replace(tmp_path):
    text = tmp_path / "demo_output" / "sample.txt"
    text.parent.mkdir()
    text.write_text("what it wrote before")
    (tmp_path / "link").symlink_to(text)
    done = run(ROOT / "examples" / "demo.py", "--text", "link", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: --text link: expected a text of yours, got what the demo writes and would replace" in done.stderr
    assert text.read_text() == "what it wrote before"
