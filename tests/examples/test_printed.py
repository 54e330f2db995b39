"""Numbered examples print exactly what their head comment shows, but for rounding errors: those are the machine's."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NUMBERED = sorted((ROOT / "examples").glob("[0-9]*.py"))
LONG = {"01_series": pytest.mark.slow}  # more than five seconds; all have sixty


def without_rounding_errors(text):
    """Numbers written with an exponent are rounding errors here; columns are as wide as they happen to be."""
    return re.sub(r" +", " ", re.sub(r"\d(\.\d+)?e[-+]\d+", "ROUNDING", text))


def test_there_are_such_examples():
    assert [path.name[:2] for path in NUMBERED] == [f"{number:02}" for number in range(1, 10)]


@pytest.mark.parametrize("path", [pytest.param(path, marks=LONG.get(path.stem, ()), id=path.stem) for path in NUMBERED])
def test_an_example_prints_what_it_shows(path, tmp_path):
    head = path.read_text(encoding="utf-8").split('"""')[1]
    shown = textwrap.dedent(head.split("\nPrints:\n")[1])
    # A process of its own: an example may register an op, which others must not find.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60
    )
    assert done.stderr == ""
    assert without_rounding_errors(done.stdout) == without_rounding_errors(shown)
    assert f"    python examples/{path.name}" in head
    assert not list(tmp_path.iterdir())
