"""Nobody waits for ever: a thread that ends the run on all ranks when one of them does not come.

Imports nothing of the package. A collective call returns only when every rank has made it, so a rank that hangs would
hang all others with it. The watchdog of each rank looks at how long its main thread has been waiting; past the limit it
asks around who else waits, names those who do not answer, and aborts.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

__all__ = ["PATIENCE", "Watchdog", "abort"]

PATIENCE = 20.0  # seconds
_GAPS = 3  # a rank may also take so many times as long as the longest of this rank's own stretches of work
_ROLL_CALL = 1.5  # seconds for the others to answer: their limits end at nearly the same time
_TAG = 21_845


class Watchdog:
    """Guards the collective calls of one rank.

    comm: an mpi4py communicator of several ranks. patience: seconds that a call may wait for the slowest rank; three
    times the longest stretch of work between two calls, if that is more.
    """

    def __init__(self, comm: Any, patience: float = PATIENCE) -> None:
        self.comm, self.patience = comm, patience
        self._waiting: tuple[str, float] | None = None
        self._longest, self._left = 0.0, time.monotonic()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Around a collective call; `what` names it in the message: "exchange 57"."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="mpi watchdog", daemon=True)
            self._thread.start()
        now = time.monotonic()
        self._longest = max(self._longest, now - self._left)
        self._waiting = what, now
        try:
            yield
        finally:
            self._waiting = None
            self._left = time.monotonic()

    @property
    def limit(self) -> float:
        """Seconds that a call may wait now."""
        return max(self.patience, _GAPS * self._longest)

    def _watch(self) -> None:
        while True:
            time.sleep(0.25)
            waiting = self._waiting
            if waiting is not None and time.monotonic() - waiting[1] > self.limit:
                self._give_up(*waiting)

    def _give_up(self, what: str, since: float) -> None:
        rank, size = self.comm.Get_rank(), self.comm.Get_size()
        present = self._roll_call(rank, size, what)
        if self._waiting != (what, since):
            return  # it came after all
        absent = [str(other) for other in range(size) if other not in present]
        if rank == min(present):
            who = f"rank {', '.join(absent)} of {size} has not come" if absent else "the ranks have not all come"
            text = f"{who} to {what} within {time.monotonic() - since:.0f} s: hanging, or that slow. All ranks end."
            print(f"{text} To wait longer: world(patience=seconds).", file=sys.stderr, flush=True)
        else:
            time.sleep(1.0)
        abort(self.comm)

    def _roll_call(self, rank: int, size: int, what: str) -> set[int]:
        """The ranks that wait, this one included."""
        others = [other for other in range(size) if other != rank]
        sent = [self.comm.isend(what, dest=other, tag=_TAG) for other in others]
        present, end = {rank}, time.monotonic() + _ROLL_CALL
        while len(present) < size and time.monotonic() < end:
            for other in others:
                if other not in present and self.comm.iprobe(source=other, tag=_TAG):
                    self.comm.recv(source=other, tag=_TAG)
                    present.add(other)
            time.sleep(0.05)
        del sent
        return present


def abort(comm: Any) -> None:
    """End all ranks now, with status 1; does not return.

    The pause lets the launcher pass on what was printed. MPI is given a few seconds to end the others, and the process
    then ends without it, which every launcher takes for a failure of the whole run.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(0.3)
    last = threading.Timer(3.0, os._exit, (1,))
    last.daemon = True
    last.start()
    comm.Abort(1)
    os._exit(1)
