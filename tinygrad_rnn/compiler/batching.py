"""Batching across time and across examples: of all instructions of one kind that are ready, one on stacked operands is
made.

The schedule is by agenda (Neubig et al. 2017): again and again a kind is chosen, and all its members whose operands are
known are done at once. Kinds on a cycle, the steps of loops, go first, so that whatever hangs off a loop (the head, the
loss, their gradients) waits until the loop is done and is then done for all steps together. Time is near linear in the
size of the program: members are never compared in pairs.
"""

from __future__ import annotations

import heapq
import sys
from collections import defaultdict
from typing import Any

from .builder import Builder
from .joining import Joining
from .kinds import Kinds
from .program import VIEWS, Instruction, Program
from .windows import Batch, batches, times


def batch(program: Program) -> Program:
    """Group instructions and schedule the groups; the order of the result is the schedule."""
    return _Agenda(program).run()


LOOPS = -sys.maxsize
"""In place of a window: what stands in loops goes before whatever is ready in any window."""


class _Agenda:
    """The state of one scheduling: what is ready, and what stands for each instruction so far."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.kinds = Kinds(program)
        self.loops = self.kinds.loops
        self.b = Builder()
        self.new: dict[Instruction, Instruction] = {}
        self.ready: dict[int, dict[Batch, list[Instruction]]] = {}  # by window, or LOOPS
        self.waiting: list[int] = []  # a heap of the keys of `ready`
        self.time = times(self.kinds.of)
        self.batch = batches(self.kinds, self.loops, self.time)
        self.position = {ins: i for i, ins in enumerate(program.instructions)}
        self.left: dict[Any, int] = defaultdict(int)  # of a batch, and of each time step of it
        for ins, batch in self.batch.items():
            self.left[batch] += 1
            self.left[batch, self.time[ins]] += 1
        self.joining = Joining(program, self.kinds, self.b, self.new)

    def run(self) -> Program:
        instructions = self.program.instructions
        for ins in instructions:
            if ins.primitive is None:
                self.new[ins] = self.b.leaf(ins)
        for backward in (False, True):
            self._part([ins for ins in instructions if ins.backward == backward and ins.primitive is not None])
        return self.program.rebuilt(self.new, self.b.order)

    def _part(self, members: list[Instruction]) -> None:
        """Schedule one side of the cut."""
        self.missing: dict[Instruction, int] = {}
        self.readers: dict[Instruction, list[Instruction]] = defaultdict(list)
        begin = []
        for ins in members:
            waits = {a for a in ins.args if a not in self.new}
            self.missing[ins] = len(waits)
            for a in waits:
                self.readers[a].append(ins)
            if not waits:
                begin.append(ins)
        # draws in the order in which they were recorded: eager draws the same numbers
        for ins in [i for i in begin if i.primitive and i.primitive.kind == "random"]:
            self._count_off([ins], self.batch[ins])
            self._done(ins, self.b.keep(ins))
        for ins in begin:
            if ins not in self.new:
                self._arrived(ins)
        while self.ready:
            place = self.waiting[0]
            batches = self.ready.get(place)
            if not batches:
                heapq.heappop(self.waiting)
                self.ready.pop(place, None)
                continue
            batch = min(batches, key=self._priority) if len(batches) > 1 else next(iter(batches))
            # by time; the parts of one wide operation, which have one time, in their order in the program
            group = sorted(batches.pop(batch), key=lambda ins: (ins.key, self.position[ins]))
            self._count_off(group, batch)
            for ins, value in zip(group, self.joining.done(group), strict=True):
                self._done(ins, value)

    def _count_off(self, group: list[Instruction], batch: Batch) -> None:
        self.left[batch] -= len(group)
        for ins in group:
            self.left[batch, self.time[ins]] -= 1

    def _priority(self, batch: Batch) -> tuple[bool, float]:
        """What is ready as a whole first, in loops that is to say for one step; then by level."""
        kind, window = batch
        if kind not in self.loops:
            return self.left[batch] > len(self.ready[window][batch]), self.kinds.level[kind]
        ready = self.ready[LOOPS][batch]
        t = self.time[ready[0]]
        return self.left[batch, t] > sum([self.time[ins] == t for ins in ready]), self.kinds.level[kind]

    def _arrived(self, ins: Instruction) -> None:
        """All operands of an instruction are known: views are done at once, the rest waits for its kind to be
        chosen.
        """
        waiting = [ins]
        for ins in waiting:  # grows while we walk it
            if ins.op not in VIEWS:
                self._is_ready(ins)
                continue
            self.new[ins] = self._view(ins)
            waiting.extend(self._released(ins))

    def _is_ready(self, ins: Instruction) -> None:
        batch = self.batch[ins]
        place = LOOPS if batch[0] in self.loops else batch[1]
        if place not in self.ready:
            self.ready[place] = defaultdict(list)
            heapq.heappush(self.waiting, place)
        self.ready[place][batch].append(ins)

    def _released(self, ins: Instruction) -> list[Instruction]:
        free = []
        for reader in self.readers.pop(ins, ()):
            self.missing[reader] -= 1
            if not self.missing[reader]:
                free.append(reader)
        return free

    def _done(self, ins: Instruction, value: Instruction) -> None:
        self.new[ins] = value
        for reader in self._released(ins):
            self._arrived(reader)

    def _view(self, ins: Instruction) -> Instruction:
        return self.b.again(ins, tuple([self.new[a] for a in ins.args]))
