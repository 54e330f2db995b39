"""Ranks as threads of one process: the collective calls of `distributed.World`, without MPI."""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Rank:
    """One of several threads that call the same methods in the same order."""

    def __init__(self, rank: int, size: int, shared: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.size, self._shared, self._barrier = rank, size, shared, barrier

    def rows(self, count: int) -> slice:
        """As World.rows."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def collect(self, thing: Any, what: str) -> list[Any]:
        """As World.collect."""
        self._shared[self.rank] = thing
        self._barrier.wait(10)
        found = list(self._shared)
        self._barrier.wait(10)
        return found

    def merge(self, thing: Any, join: Callable[[Any, Any], Any], what: str) -> Any:
        """As World.merge."""
        return functools.reduce(join, self.collect(thing, what))


def together(size: int, work: Callable[[Any], Any]) -> list[Any]:
    """What `work(rank)` returns on each of so many ranks; raises what one of them raises."""
    shared, barrier = [None] * size, threading.Barrier(size)

    def run(rank: int) -> Any:
        try:
            return work(Rank(rank, size, shared, barrier))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as threads:
        futures = [threads.submit(run, rank) for rank in range(size)]
    errors = [error for error in (future.exception() for future in futures) if error is not None]
    if errors:  # that of the rank that broke, not of those that waited for it
        raise next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
    return [future.result() for future in futures]
