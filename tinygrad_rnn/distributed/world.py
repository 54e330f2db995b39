"""Who takes part: `world()` gives this process its rank, and the means to talk to the others.

Imports `errors` and the watchdog beside it, and mpi4py only in a process that a launcher such as `mpiexec` has started.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..errors import DistributedError, TinygradError, explain
from .watchdog import PATIENCE, Watchdog, abort

__all__ = ["World", "launched", "world"]

# How many processes the launcher has started: MPICH and Intel MPI, Open MPI, MVAPICH.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_PATIENCE = "TINYGRAD_RNN_PATIENCE"


class World:
    """This process among those of the run. As a context it makes sure that an error here ends all of them.

    comm: an mpi4py communicator; None for a process by itself, with which everything works too and costs nothing.
    Attributes: rank, from 0; size, how many there are; exchanges, how many gradient exchanges there were.
    """

    def __init__(self, comm: Any = None, patience: float = PATIENCE) -> None:
        self.rank = 0 if comm is None else comm.Get_rank()
        self.size = 1 if comm is None else comm.Get_size()
        self.comm = comm if self.size > 1 else None
        self.exchanges = 0
        self._watchdog = None if self.comm is None else Watchdog(self.comm, patience)
        self._known_to_all: BaseException | None = None

    def __repr__(self) -> str:
        return f"<rank {self.rank} of {self.size}>"

    @property
    def patience(self) -> float:
        """Seconds that the others wait for a rank before they give up."""
        return PATIENCE if self._watchdog is None else self._watchdog.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        if not seconds > 0:
            raise ValueError(explain("world, patience", expected="a positive number of seconds", got=str(seconds)))
        if self._watchdog is not None:
            self._watchdog.patience = seconds

    @property
    def leads(self) -> bool:
        """Whether this is the rank that talks to the user and writes files."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """Which of `count` rows are this rank's: contiguous, in the order of ranks, in number equal or one apart."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def total(self, buffer: np.ndarray, what: str = "a sum") -> None:
        """Sum a C-contiguous float array over all ranks, in place: one Allreduce."""
        if self.comm is not None and self._watchdog is not None:
            from mpi4py import MPI

            with self._watchdog.waiting(what):
                self.comm.Allreduce(MPI.IN_PLACE, buffer, op=MPI.SUM)

    def spread(self, thing: Any, what: str = "a broadcast") -> Any:
        """What rank 0 passes, on every rank; pickled, but for arrays, which `fill` spreads without copies."""
        if self.comm is None or self._watchdog is None:
            return thing
        with self._watchdog.waiting(what):
            return self.comm.bcast(thing, root=0)

    def fill(self, array: np.ndarray, what: str = "a broadcast") -> None:
        """Overwrite a C-contiguous array with that of rank 0."""
        if self.comm is not None and self._watchdog is not None:
            with self._watchdog.waiting(what):
                self.comm.Bcast(array, root=0)

    def collect(self, thing: Any, what: str = "a gathering") -> list[Any]:
        """What all ranks pass, in their order, on every rank; pickled."""
        if self.comm is None or self._watchdog is None:
            return [thing]
        with self._watchdog.waiting(what):
            return self.comm.allgather(thing)

    def merge(self, thing: Any, join: Callable[[Any, Any], Any], what: str = "a reduction") -> Any:
        """What all ranks pass, joined two by two, on every rank; pickled. join: (one, other) -> both, in any order."""
        if self.comm is None or self._watchdog is None:
            return thing
        with self._watchdog.waiting(what):
            return self.comm.allreduce(thing, op=join)

    def known_to_all(self, error: BaseException) -> BaseException:
        """Mark an error that every rank is about to raise, so that rank 0 alone speaks of it; returns it."""
        self._known_to_all = error
        return error

    def fail(self, error: BaseException) -> None:
        """Print the error of this rank and end all ranks; in a process by itself, do nothing."""
        if self.comm is None:
            return
        if error is not self._known_to_all:
            if not isinstance(error, TinygradError | KeyboardInterrupt):
                traceback.print_exception(error)
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            print(f"rank {self.rank} of {self.size} failed: {text}", file=sys.stderr, flush=True)
        elif self.leads:
            print(f"all {self.size} ranks: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        else:
            import time

            time.sleep(1.0)  # rank 0 speaks, and ends everybody
        abort(self.comm)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not (isinstance(error, SystemExit) and not error.code):
            self.fail(error)


def launched() -> int:
    """How many processes an MPI launcher says it has started; 1 if none has started this one."""
    for name in _SIZES:
        with contextlib.suppress(KeyError, ValueError):
            return int(os.environ[name])
    return 1


def world(patience: float | None = None) -> World:
    """The World of this process: the same object at every call.

    patience: seconds that the ranks wait for one that does not come before all are ended; 20 if neither this nor the
    environment variable TINYGRAD_RNN_PATIENCE says otherwise, and never less than three times the longest step.
    From the first call on, an exception that nobody catches ends all ranks.
    Raises DistributedError, an ImportError, if a launcher has started several processes and mpi4py is not installed or
    belongs to another MPI.
    """
    found = _world()
    if patience is not None:
        found.patience = patience
    return found


@functools.cache
def _world() -> World:
    size = launched()
    if size == 1:
        return World()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py without an MPI library
        do = "Install both in the environment that runs this: pip install 'tinygrad_rnn[mpi]'."
        got = f"{type(error).__name__}: {error}"
        raise DistributedError(
            explain(f"{size} processes under mpiexec", expected="mpi4py and an MPI library", got=got, do=do)
        ) from error
    if MPI.COMM_WORLD.Get_size() == 1:
        do = "Use the mpiexec beside this Python (bin/mpiexec), or an mpi4py that is built for the launcher's MPI."
        got = f"a world of one: mpi4py uses {MPI.Get_library_version().splitlines()[0]}"
        raise DistributedError(explain("world", expected=f"the {size} processes of the launcher", got=got, do=do))
    made = World(MPI.COMM_WORLD)
    if _PATIENCE in os.environ:
        try:
            made.patience = float(os.environ[_PATIENCE])
        except ValueError as error:
            got = repr(os.environ[_PATIENCE])
            raise DistributedError(explain(_PATIENCE, expected="a positive number of seconds", got=got)) from error
    sys.excepthook = _ending_all(made, sys.excepthook)
    return made


def _ending_all(world: World, before: Callable[..., Any]) -> Callable[..., Any]:
    """An excepthook: without it a failed rank would wait at its exit for the others, and they for it."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        world.fail(error)
        before(kind, error, trace)

    return hook
