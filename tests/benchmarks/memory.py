"""How much memory a training step keeps, and how much it takes and gives back: the compiler beside the expert.

Counted are the NumPy arrays that live after the first steps, by tracemalloc: buffers, parameters and gradients of both
sides, without the batch. Nothing here depends on the speed of the machine. tests/compiler/test_memory.py holds the
figures to their bounds.
"""

import gc
import importlib
import tracemalloc
from typing import NamedTuple

import numpy as np

from tests.benchmarks.names import SIDES
from tests.benchmarks.tables import Table
from tests.benchmarks.workloads import WORKLOADS

BOUND = 1.2
SIDES_COUNTED = ["manual", "compiled-step", "compiled"]
WARM, STEPS = 2, 5


class Bytes(NamedTuple):
    """kept: by arrays that outlive a step. passing: taken and given back within one, at most, by everything in Python.

    grown: what `kept` grows by in STEPS steps. objects: the same of everything in Python that is no array.
    """

    kept: int
    passing: int
    grown: int
    objects: int


def measure(side: str, name: str) -> Bytes:
    """The bytes of a training step of a workload."""
    builder = importlib.import_module(f"tests.benchmarks.sides.{SIDES[side].module}")
    batch = sum(array.nbytes for array in WORKLOADS[name].batch())
    tracemalloc.start()
    try:
        before = _arrays()
        work, _ = builder.step(side, name)
        for _ in range(WARM):
            work()
        kept = _arrays()
        tracemalloc.reset_peak()
        now = tracemalloc.get_traced_memory()[0]
        work()
        passing = tracemalloc.get_traced_memory()[1] - now
        gc.collect()
        now = tracemalloc.get_traced_memory()[0]
        for _ in range(STEPS):
            work()
        gc.collect()
        everything = tracemalloc.get_traced_memory()[0] - now
        grown = _arrays() - kept
    finally:
        tracemalloc.stop()
    return Bytes(kept - before - batch, passing, grown, everything - grown)


def _arrays() -> int:
    """Bytes of all arrays that were made since tracing began."""
    gc.collect()
    arrays = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([arrays]).traces)


def table(names: list[str]) -> Table:
    """One row a workload."""
    result = Table(
        f"Memory that a training step keeps in arrays (MB); bound {BOUND} times the expert's, growth 0",
        ["workload", "expert", "compiled step", "/ expert", "passing", "growth", "compiled loss", "/ expert", "growth"],
    )
    for name in names:
        found = {side: measure(side, name) for side in SIDES_COUNTED}
        expert, step, loss = (found[side] for side in SIDES_COUNTED)
        result.add(
            f"{name} {WORKLOADS[name]}",
            *(f"{expert.kept / 1e6:.2f}", f"{step.kept / 1e6:.2f}", f"{step.kept / expert.kept:.2f}"),
            *(f"{step.passing / 1e6:.2f}", f"{step.grown}"),
            *(f"{loss.kept / 1e6:.2f}", f"{loss.kept / expert.kept:.2f}", f"{loss.grown}"),
        )
    return result
