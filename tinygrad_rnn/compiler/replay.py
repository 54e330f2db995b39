"""Replay: run the bound calls of a plan, and know whose results its buffers hold.

In steady state a call is a loop over a flat list: no Tensor, no dictionary, no allocation. Buffers are overwritten by
the next call, so a plan remembers which call it belongs to until its `backward()` has run; while that may still come,
another call gets a plan of its own, up to a few.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import GraphError
from ..protection import owner
from ..writes import changes
from .planning import Plan
from .program import Program
from .unrolled import Routine

MOST_PLANS = 4
"""So many calls of one thread can wait for their backward."""


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """No garbage collection meanwhile: recording makes many objects, none of them garbage yet, and searching them takes
    longer than making them. What is left of them afterwards is there to stay.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():  # else the user keeps objects from being searched, which has to stay so
                gc.freeze()
                gc.unfreeze()  # into the oldest generation, with no search on the way
            gc.enable()


class Run:
    """One plan in use. ticket: counts its calls; a backward with an old ticket is stale. owner: what may still call
    backward. lock: that of its pool. thread: the one that called last. once: whether the forward part cannot be run
    again for a second backward, since it has written in place.
    """

    def __init__(self, program: Program, lock: Any, once: bool = False) -> None:
        self.program = program
        self.lock = lock
        self.once = once
        self.thread = threading.get_ident()
        self._prepare()
        self.ticket = 0
        self.spent = True
        self.owner: Any = None

    def _prepare(self) -> None:
        with without_collection():
            self.plan = Plan(self.program)
            calls = zip((self.plan.forward, self.plan.backward), self.plan.sources, strict=True)
            self.parts = [Routine(*side) for side in calls]

    def idle(self) -> bool:
        """Whether nobody can still ask for the gradients of the last call."""
        return self.spent or self.owner is None or self.owner() is None

    def forward(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the forward part. Returns views of the plan's buffers."""
        if self.plan.stale():
            self._prepare()
        plan = self.plan
        self.ticket += 1
        self.spent = False
        for buffer, array in zip(plan.inputs, inputs, strict=True):
            buffer[...] = array
        self.parts[0].run()
        return plan.outputs

    def backward(
        self, cotangents: Sequence[np.ndarray | None], ticket: int, since: int | None = None
    ) -> list[np.ndarray | None]:
        """Run the backward part. Returns views of the plan's buffers; raises GraphError if another call has overwritten
        them, or a parameter that it reads was written. since: when the call was made, None if just now.
        """
        if ticket != self.ticket:
            raise GraphError(
                f"backward through a compiled function: its buffers were overwritten by {self.ticket - ticket} later "
                f"call(s). At most {MOST_PLANS} calls can wait for their backward(); call it sooner, or compute what "
                f"needs no gradient under no_grad()."
            )
        plan = self.plan
        if since is not None and changes.newest > since:
            # for a second sweep the forward part is run again
            self._refuse_written(zip(plan.parameters, plan.bound, strict=True) if self.spent else plan.late, since)
        if self.spent and self.once:
            raise GraphError(
                "a second backward through a compiled function that writes in place, which would write again: call the "
                "function anew, or add up what is to be differentiated."
            )
        if self.spent:  # a second sweep with retain_graph: residuals may have been written over, draws are kept
            repeat = [
                k for k, ins in enumerate(plan.sources[0]) if ins.primitive is None or ins.primitive.kind != "random"
            ]
            Routine([plan.forward[k] for k in repeat], [plan.sources[0][k] for k in repeat]).run()
        self.spent = True
        for buffer, g in zip(plan.cotangents, cotangents, strict=True):
            if buffer is not None:
                buffer[...] = 0 if g is None else g
        self.parts[1].run()
        return plan.gradients

    def _refuse_written(self, read: Iterable[tuple[Any, np.ndarray]], since: int) -> None:
        """Raise GraphError if one of these parameters was written after the call."""
        for node, array in read:
            change = changes.get(id(owner(array)))
            if change is not None and change[1] > since:
                raise GraphError(
                    f"backward through a compiled function: {node.describe()} has been modified by an inplace "
                    f"operation at {change[2] or 'an unknown place'} after the call, and its old value is needed for "
                    f"the gradient. Call backward() before the parameters are updated, or call the function again."
                )


class Pool:
    """The plans of one program. once: see `Run`.

    lock: held from the choice of a run until its results are copied, and while one is swept, for threads may share a
    compiled function; reentrant, since a sweep may meet a finaliser.
    """

    def __init__(self, program: Program, once: bool = False) -> None:
        self.program = program
        self.once = once
        self.runs: list[Run] = []
        self.lock = threading.RLock()

    def idle(self) -> Run:
        """A plan whose last call is over; the oldest one of this thread if all still wait for their backward()."""
        thread = threading.get_ident()
        own = 0
        for run in self.runs:
            if run.idle():
                run.thread = thread
                return run
            own += run.thread == thread
        if own < MOST_PLANS:
            self.runs.append(Run(self.program, self.lock, self.once))
        else:
            oldest = next(k for k, run in enumerate(self.runs) if run.thread == thread)
            self.runs.append(self.runs.pop(oldest))
        return self.runs[-1]

    def own(self, run: Run, owner: Any) -> None:
        """Note who may call backward for the last call of a run."""
        run.owner = weakref.ref(owner)
