"""How the tests call the command line: in this process, or as one of its own where a terminal or signal counts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tinygrad_rnn.cli import main

ROOT = Path(__file__).resolve().parents[2]


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self):
        (line,) = self.out.splitlines()
        return json.loads(line)


@pytest.fixture
def tg(capfd, monkeypatch, tmp_path):
    """`tg("train", "--steps", 3)` in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        capfd.readouterr()
        # What a command does to numbers must not depend on the strictness that the suite runs under.
        with np.errstate(all="warn"):
            code = main([str(word) for word in words])
        return Done(code, *capfd.readouterr())

    return call


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat and the dog sat on the cat. " * 40)
    return path


@pytest.fixture
def series(tmp_path):
    path = tmp_path / "series.csv"
    rows = (f"{t},{np.sin(0.3 * t):.6f}" for t in range(120))
    path.write_text("step,wave\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def trained(tg, text, tmp_path):
    done = tg("train", "rnn", "--text", text, "--hidden", 8, "--batch", 4, "--time", 10, "--steps", 12, "--quiet")
    assert done == (0, "", "")
    return tmp_path / "run"


def process(*words, cwd, env=None, **options):
    """A process of its own, with the project found wherever it starts."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONFAULTHANDLER": "",
        **(env or {}),
    }
    command = [sys.executable, "-m", "tinygrad_rnn", *map(str, words)]
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
