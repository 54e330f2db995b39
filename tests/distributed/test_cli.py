"""`mpiexec -n N tinygrad-rnn train` just works: one voice, one folder, the weights of one process."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.distributed.launch import ROOT, finish, launch, start
from tinygrad_rnn import checkpoint
from tinygrad_rnn.data.pieces import PIECE

OPTIONS = ["gru", "--hidden", "16", "--batch", "5", "--time", "12", "--dropout", "0"]


def train(*options):
    return ("tinygrad_rnn", "train", *options)


@pytest.fixture
def text(tmp_path):
    """A small text file."""
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog; " * 60)
    return path


@pytest.mark.mpi
def test_the_run_is_that_of_one_process_and_goes_on_with_another_number_of_ranks(tmp_path, text):
    pytest.importorskip("mpi4py")
    launch(1, *train(*OPTIONS, "--text", text, "--steps", 30, "--out", tmp_path / "one"))
    printed = launch(3, *train(*OPTIONS, "--text", text, "--steps", 20, "--out", tmp_path / "several"))
    assert printed.count("3 ranks, 1.67 tracks each") == printed.count("Done after step 20.") == 1
    printed = launch(2, *train("--resume", "--steps", 30, "--out", tmp_path / "several"))
    assert printed.count("going on after step 20") == printed.count("Done after step 30.") == 1
    one, several = (checkpoint.load(tmp_path / name / "last.safetensors").arrays for name in ("one", "several"))
    for name, array in several.items():
        if not name.startswith("run/"):  # float32
            np.testing.assert_allclose(array, one[name], rtol=0, atol=2e-5)


@pytest.mark.mpi
@pytest.mark.parametrize("unit", ["characters", "words"])
def test_a_text_of_several_pieces_is_read_in_shares_and_trained_on_as_by_one_process(tmp_path, unit):
    pytest.importorskip("mpi4py")
    words = np.random.default_rng(0).choice(["fünf", "sechs", "sieben", "acht", "好"], size=150_000)
    lines = [" ".join(words[at : at + 9]) for at in range(0, len(words), 9)]
    (tmp_path / "text.txt").write_bytes("\r\n".join(lines).encode())
    assert (tmp_path / "text.txt").stat().st_size > 3 * PIECE
    options = [*OPTIONS, "--unit", unit, "--text", tmp_path / "text.txt", "--validation", "0.01"]
    alone = launch(1, *train(*options, "--steps", 12, "--out", tmp_path / "one"))
    launch(4, *train(*options, "--steps", 8, "--out", tmp_path / "several"))
    together = launch(3, *train("--resume", "--steps", 12, "--out", tmp_path / "several"))
    counted = [next(line for line in printed.splitlines() if " different" in line) for printed in (alone, together)]
    assert counted[0] == counted[1]
    one, several = (checkpoint.load(tmp_path / name / "last.safetensors") for name in ("one", "several"))
    assert one.description["model"] == several.description["model"], "the same vocabulary in the same order"
    for name, array in several.arrays.items():
        if not name.startswith("run/"):  # float32
            np.testing.assert_allclose(array, one.arrays[name], rtol=0, atol=2e-5)


@pytest.mark.mpi
def test_what_one_rank_refuses_is_said_once(tmp_path, text):
    pytest.importorskip("mpi4py")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "last.safetensors").write_bytes(b"")
    process = start(3, *train(*OPTIONS, "--text", text, "--steps", 20, "--out", tmp_path / "used"))
    printed = finish(process, 60)
    assert process.returncode != 0
    assert printed.count("holds a run already") == 1, printed
    assert "Traceback" not in printed


@pytest.mark.mpi
def test_ctrl_c_at_mpiexec_saves_the_run(tmp_path, text):
    pytest.importorskip("mpi4py")
    process = start(2, *train(*OPTIONS, "--text", text, "--steps", 100_000, "--out", tmp_path / "run"))
    assert process.stdout is not None
    assert any("2 ranks" in line for line in process.stdout)
    while not (tmp_path / "run" / "last.safetensors").exists():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    printed = finish(process, 60)
    assert printed.count("Interrupted by Ctrl-C after step") == 1, printed
    assert process.returncode != 0
    checkpoint.load(tmp_path / "run" / "last.safetensors")


def test_without_the_extra_the_command_says_what_to_install(tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ModuleNotFoundError(\"No module named 'mpi4py'\")")
    environment = {**os.environ, "PMI_SIZE": "4", "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", *train("--out", str(tmp_path / "run"))]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "4 processes under mpiexec: expected mpi4py" in done.stderr
    assert "pip install 'tinygrad_rnn[mpi]'" in done.stderr
