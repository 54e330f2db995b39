"""Windows: what lies outside of loops is done for as many time steps at once as fit into the cache together.

What a loop needs is computed one window ahead of it, and chains of elementwise operations go through a window before
they begin with the next.
"""

from __future__ import annotations

import bisect
import functools
from collections import defaultdict
from collections.abc import Iterable

from .kinds import Kinds
from .program import Instruction

Batch = tuple[int, int]
"""Instructions that may be done together: number of the kind, and of the window of time."""

WINDOW_BYTES = 1 << 17
"""Bytes of the largest value of a loop over the steps of one window: several such values fit into a second-level cache.
"""


def times(instructions: Iterable[Instruction]) -> dict[Instruction, int | None]:
    """The time step of each instruction, if it has one."""
    step = functools.cache(lambda scope: scope.t)
    return {ins: step(ins.scope) for ins in instructions}


def batches(kinds: Kinds, loops: set[int], time: dict[Instruction, int | None]) -> dict[Instruction, Batch]:
    """The batch of each instruction: its kind, and outside of loops also its window, in the order of the loop.

    loops: the kinds that are steps of loops, all of window 0. time: the step of each instruction.
    """
    found: dict[Instruction, Batch] = {}
    for backward in (False, True):
        steps = [ins for ins, kind in kinds.of.items() if kind in loops and ins.backward == backward]
        largest = max((ins.nbytes for ins in steps if ins.op not in ("stack", "concatenate")), default=0)
        length = max(1, WINDOW_BYTES // largest) if largest else 1 << 60
        sizes: dict[int, list[int]] = defaultdict(list)
        for ins in steps:
            sizes[kinds.of[ins]].append(ins.key)
        ticks = sorted(max(sizes.values(), key=len, default=[]))
        sign = -1 if backward else 1
        for ins, kind in kinds.of.items():
            if ins.backward == backward:
                t = time[ins]
                step = bisect.bisect_left(ticks, ins.key) if t is None else t
                found[ins] = kind, 0 if kind in loops else sign * (step // length)
    return found
