"""Run a program of the tests under mpiexec: `launch(3, "tests.distributed.cases", "out")`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT = 240  # seconds for any run: a machine may be busy


def mpiexec() -> str:
    """The launcher beside this Python, which is where the wheel puts it, or the one on PATH."""
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    assert found, "mpi4py is installed, but there is no mpiexec: pip install 'tinygrad_rnn[mpi]'"
    return found


def command(ranks: int, *program: object) -> list[str]:
    """The command line of a Python module and its arguments on so many ranks; on one, without mpiexec."""
    python = [sys.executable, "-W", "error", "-m", *map(str, program)]
    return [mpiexec(), "-n", str(ranks), *python] if ranks > 1 else python


def start(ranks: int, *program: object, **environment: str) -> subprocess.Popen[str]:
    """Start it, both streams piped as one, in a session of its own."""
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command(ranks, *program),
        cwd=ROOT,
        env={**os.environ, **one_thread, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], limit: float = LIMIT) -> str:
    """Wait for the end and return what was printed; kills the whole session and fails after the limit."""
    try:
        return process.communicate(timeout=limit)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        raise AssertionError(f"still running after {limit} s; printed: {process.communicate()[0]}") from None


def launch(ranks: int, *program: object, **environment: str) -> str:
    """Run to the end and return what was printed; fails unless the status is 0."""
    process = start(ranks, *program, **environment)
    printed = finish(process)
    assert process.returncode == 0, f"status {process.returncode}; printed:\n{printed}"
    return printed
