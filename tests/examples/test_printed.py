"""Examples that show their output in the head comment print exactly that."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOWN = [path for path in sorted((ROOT / "examples").glob("[0-9]*.py")) if "\nPrints:\n" in path.read_text()]


def test_there_are_such_examples():
    assert len(SHOWN) >= 4


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.stem)
def test_an_example_prints_what_it_shows(path, tmp_path):
    shown = textwrap.dedent(path.read_text().split("\nPrints:\n")[1].split('"""')[0])
    # A process of its own: an example may register an op, which others must not find.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout == shown
    assert f"python examples/{path.name}" in path.read_text()
    assert not list(tmp_path.iterdir())
