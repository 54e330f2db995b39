"""Race several sides in turns, each in its own process.

A process is stopped while the others run: an idle BLAS thread spins for a while and would spoil its neighbour's turn.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
TURN_SECONDS = 0.1


@dataclass
class Result:
    """What one side of a race took.

    seconds: per unit of work, one number a round. first: the first call, with compilation. threads: processor seconds
    per second, median. outputs: what the first three calls returned. missing: why there is nothing, or "".
    """

    seconds: list[float] = field(default_factory=list)
    first: float = 0.0
    threads: float = 0.0
    outputs: list[float | None] = field(default_factory=list)
    missing: str = ""

    @property
    def median(self) -> float:
        """Median seconds per unit of work; NaN if the side is missing."""
        return statistics.median(self.seconds) if self.seconds else float("nan")

    def over(self, other: "Result") -> float:
        """How many times as long as another side, the median over rounds; NaN if either is missing.

        Within a round both had the machine as it was then. Its speed changes by half from one minute to the next, and a
        quotient of medians would compare one side's fast minutes with the other's slow ones.
        """
        pairs = list(zip(self.seconds, other.seconds, strict=False))
        return statistics.median(a / b for a, b in pairs) if pairs else float("nan")


def race(sides: list[str], task: str, rounds: int, threads: int = 1, clock: str = "wall") -> dict[str, Result]:
    """Let each side do the task `rounds` times, in turns whose order rotates. Returns a result per side.

    clock: "wall"; or "processor", which is fair to all on a machine that others use, and means little with two threads.
    """
    workers = {side: Worker(side, threads) for side in sides}
    try:
        results = {side: _prepared(worker, task) for side, worker in workers.items()}
        running = [side for side in sides if not results[side].missing]
        shares: dict[str, list[float]] = {side: [] for side in running}
        repeats = {side: workers[side].repeats() for side in running}
        for turn in range(rounds):
            start = turn % len(running) if running else 0
            for side in running[start:] + running[:start]:
                answer = workers[side].ask(repeats=repeats[side])
                share = answer["threads"] if clock == "processor" else 1.0
                results[side].seconds.append(answer["seconds"] * share / workers[side].units)
                shares[side].append(answer["threads"])
        for side in running:
            results[side].threads = statistics.median(shares[side])
        return results
    finally:
        for worker in workers.values():
            worker.close()


def _prepared(worker: "Worker", task: str) -> Result:
    """A side that breaks is a row of the table; the others race on."""
    try:
        return worker.prepare(task)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return Result(missing=f"BROKEN: {str(error).splitlines()[-1]}")


class Worker:
    """The parent's end of one side: a process that is stopped (SIGSTOP) except while it answers."""

    def __init__(self, side: str, threads: int) -> None:
        self.side = side
        self.units = 1
        count = str(threads)
        # Thread counts must stand in the environment before NumPy, torch or XLA are imported.
        names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"]
        environment = os.environ | dict.fromkeys(names, count) | {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
        if threads == 1:
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        command = [sys.executable, "-m", "tests.benchmarks.worker"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=ROOT
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Wake the process, ask, wait for the answer, stop it again. Raises RuntimeError with its last words."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGCONT)
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"side {self.side!r} died on {request}:\n{_tail(self.process.stderr)}")
        self.process.send_signal(signal.SIGSTOP)
        return json.loads(answer)

    def prepare(self, task: str) -> Result:
        """Build the task and run it three times."""
        answer = self.ask(side=self.side, task=task)
        self.units = answer.get("units", 1)
        return Result(
            first=answer.get("first", 0.0), outputs=answer.get("outputs", []), missing=answer.get("missing", "")
        )

    def repeats(self) -> int:
        """How many runs fill one turn."""
        seconds = min(self.ask(repeats=1)["seconds"] for _ in range(3))
        return max(1, round(TURN_SECONDS / max(seconds, 1e-6)))

    def close(self) -> None:
        """End the process."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def _tail(stream: IO[str] | None) -> str:
    return "".join(stream.readlines()[-12:]).rstrip() if stream else ""
