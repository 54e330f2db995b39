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
from collections.abc import Sequence
from typing import Any

from ..primitive import Primitive
from .address import Address, address, contiguous, in_grid, side_by_side
from .address import emit as emit_view
from .builder import Builder
from .chains import Chains
from .kinds import Kinds, base
from .program import VIEWS, Instruction, Program
from .stacking import batched
from .windows import Batch, batches


def _cell(x: object, before: int) -> object:
    return x.copy()  # type: ignore[attr-defined]


# A copy of a value that is handed in, so that it can lie in a buffer of ours beside `before`, a value with that key.
cell = Primitive("cell", _cell, "elementwise")


def batch(program: Program) -> Program:
    """Group instructions and schedule the groups; the order of the result is the schedule."""
    return _Agenda(program).run()


LOOPS = -sys.maxsize
"""In place of a window: what stands in loops goes before whatever is ready in any window."""

SMALL = 1 << 12
"""Bytes of an operand of a reduction, up to which it is copied so that many of them become one."""

LARGE = 1 << 16
"""Bytes of an operand of a product, from which on it is large enough to be done by itself."""


class _Agenda:
    """The state of one scheduling: what is ready, what stands for each instruction so far, and which values lie side by
    side.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.kinds = Kinds(program)
        self.loops = self.kinds.loops
        self.b = Builder()
        self.new: dict[Instruction, Instruction] = {}
        self.places: dict[Instruction, Address] = {}
        self.ready: dict[int, dict[Batch, list[Instruction]]] = {}  # by window, or LOOPS
        self.waiting: list[int] = []  # a heap of the keys of `ready`
        self.batch = batches(self.kinds, self.loops)
        self.position = {ins: i for i, ins in enumerate(program.instructions)}
        self.time = {ins: ins.scope.t for ins in self.batch}
        self.left: dict[Any, int] = defaultdict(int)  # of a batch, and of each time step of it
        for ins, batch in self.batch.items():
            self.left[batch] += 1
            self.left[batch, self.time[ins]] += 1
        self.chains = Chains()  # of instructions of the program
        self.groups = Chains()  # of new ones: whole groups that lie side by side
        wishes = [ins for ins in program.instructions if ins.op == "stack" and ins.params["axis"] == 0]
        for ins in sorted(wishes, key=lambda ins: -ins.nbytes):
            self.chains.link([base(a) for a in ins.args])

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
            batch = min(batches, key=self._priority)
            # by time; the parts of one wide operation, which have one time, in their order in the program
            group = sorted(batches.pop(batch), key=lambda ins: (ins.key, self.position[ins]))
            self._count_off(group, batch)
            self._emit(group)

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

    def _emit(self, group: list[Instruction]) -> None:
        """Do a group as one instruction if that is possible and pays; else in smaller groups, or one by one."""
        made = self._together(group) if len(group) > 1 else None
        values = dict(zip(group, made, strict=True)) if made is not None else {}
        if made is None and len(group) > 2 and group[0].primitive and group[0].primitive.kind == "elementwise":
            for split in self._splits(group):
                tried = [(part, self._together(part)) for part in split if len(part) > 1]
                for part, made in tried:
                    if made is not None:
                        values.update(zip(part, made, strict=True))
                if all(made is not None for _, made in tried):
                    break
        for ins in group:
            self._done(ins, values[ins] if ins in values else self._single(ins))

    def _place(self, ins: Instruction) -> Address:
        found = self.places.get(ins)
        return address(ins, self.places) if found is None else found

    def _splits(self, group: list[Instruction]) -> list[list[list[Instruction]]]:
        """Ways to split a group, fewest parts first: by the value that is read, or by which part of it is read."""
        by_value: dict[Any, list[Instruction]] = defaultdict(list)
        by_part: dict[Any, list[Instruction]] = defaultdict(list)
        mixed: dict[Any, list[Instruction]] = defaultdict(list)  # one operand per part, the others by value
        found = [[self._place(self.new[a]) for a in m.args] for m in group]
        few = [len({p.root for p in column}) <= 2 for column in zip(*found, strict=True)]
        for m, places in zip(group, found, strict=True):
            by_value[tuple([p.root for p in places])].append(m)
            by_part[tuple([(p.offset, p.strides, p.root.shape) for p in places])].append(m)
            mixed[tuple([p.root if f else (p.offset, p.strides) for p, f in zip(places, few, strict=True)])].append(m)
        ways = [list(way.values()) for way in (by_value, by_part, mixed)]
        return sorted([way for way in ways if 1 < len(way) < len(group)], key=len)

    def _single(self, ins: Instruction) -> Instruction:
        args = tuple([self.new[a] for a in ins.args])
        if ins.op == "stack":
            return self._stack(args, ins.params["axis"], ins)
        return self.b.again(ins, args)

    def _together(self, group: list[Instruction]) -> list[Instruction] | None:
        """The values of a group computed at once, in its order; it may be reordered on the way."""
        one = group[0]
        assert one.primitive is not None
        if one.op in ("stack", "concatenate") and (one.op == "stack" or self.kinds.of[one] in self.loops):
            return None  # a wish to lie side by side: planning sees to it
        if one.primitive.kind == "elementwise":
            return None if self._lies_across(group) else self._elementwise(group)
        operands = [[self.new[m.args[i]] for m in group] for i in range(len(one.args))]
        stacked = [any(x is not column[0] for x in column) for column in operands]
        if one.op == "matmul" and not self._worth_stacking(group, operands, stacked):
            return None
        if one.op == "matmul" and all(stacked) and one.args[0].ndim == one.args[1].ndim == 2:
            crossed = self._all_with_all(group, operands)
            if crossed is not None:
                return crossed
        light = one.primitive.kind == "shape" or (one.primitive.kind == "reduce" and one.args[0].nbytes > SMALL)
        if light and not all(self._beside(group, i) for i, many in enumerate(stacked) if many):
            return None
        args = [
            self._stack(tuple(column), 0, one) if many else column[0]
            for column, many in zip(operands, stacked, strict=True)
        ]
        made = batched(self.b, one, args, stacked, len(group))
        return None if made is None else [self.b.item(made, i, m) for i, m in enumerate(group)]

    def _worth_stacking(self, group: list[Instruction], operands: Any, stacked: list[bool]) -> bool:
        """Whether the operands of products may be copied: small ones may, large ones must lie side by side already, or
        be rows of one tall matrix, which a loop can be made to write side by side.
        """
        for i, many in enumerate(stacked):
            if many and group[0].args[i].nbytes > LARGE:
                places = [self._place(x) for x in operands[i]]
                tall = i == 0 and not stacked[1] and all(p.strides[-1] == 1 for p in places)
                if not tall and side_by_side(places) is None:
                    return False
        return True

    def _lies_across(self, group: list[Instruction]) -> bool:
        """Whether the members of a group are to lie beside others, each beside its like at other steps, and none beside
        another member.
        """
        inside = set(group)
        beside = [n for m in group for n in (self.chains.next.get(m), self.chains.previous.get(m)) if n is not None]
        return bool(beside) and not any(n in inside for n in beside)

    def _all_with_all(self, group: list[Instruction], operands: list[list[Instruction]]) -> list[Instruction] | None:
        """Products of each of some matrices with each of some weights: one product of all rows with the stacked
        weights.
        """
        lefts, rights = (list(dict.fromkeys(column)) for column in operands)
        n, m = len(lefts), len(rights)
        pairs = {(a, b): i for i, (a, b) in enumerate(zip(*operands, strict=True))}
        if n * m != len(group) or len(pairs) != len(group) or m == len(group) == n:
            return None
        b, one = self.b, group[0]
        rows = lefts[0] if n == 1 else self._stack(tuple(lefts), 0, one)
        rows = b.reshape(rows, (n * one.shape[0], rows.shape[-1]), one)
        product = b.matmul(rows, self._stack(tuple(rights), 0, one), one)
        product = b.reshape(product, (m, n, *one.shape), one)
        made: list[Any] = [None] * len(group)
        for k, right in enumerate(rights):
            block = b.item(product, k, one)
            for t, left in enumerate(lefts):
                i = pairs[left, right]
                made[i] = b.item(block, t, group[i])
        return made

    def _elementwise(self, group: list[Instruction]) -> list[Instruction] | None:
        """Elementwise operations at once, if all operands lie side by side or in a grid, or can be made to without
        copying.
        """
        # as an operand lies that is one value, so that the result may be written over it; else by time
        found = None
        for i in range(len(group[0].args)):
            places = [self._place(self.new[m.args[i]]) for m in group]
            if all(p.root is places[0].root for p in places) and len({p.offset for p in places}) == len(group):
                offset = {m: p.offset for m, p in zip(group, places, strict=True)}
                found = self._arranged(sorted(group, key=offset.__getitem__))
                break
        if found is None:
            found = self._arranged(group)
        if found is None:
            return None
        order, lead, args = found
        one = group[0]
        ndim = len(lead) + one.ndim
        wide = []
        for x, stacked in args:
            if stacked and x.ndim < ndim:
                x = self.b.reshape(x, (*lead, *(1,) * (ndim - x.ndim), *x.shape[len(lead) :]), one)
            wide.append(x)
        made = self.b.emit(one.primitive, tuple(wide), one.params, (*lead, *one.shape), one.dtype, one)
        flat = self.b.reshape(made, (len(group), *one.shape), one)
        values = {m: self.b.item(flat, i, m) for i, m in enumerate(order)}
        return [values[m] for m in group]

    def _arranged(self, order: list[Instruction]) -> tuple[list[Instruction], tuple[int, ...], list[Any]] | None:
        """How the operands of a group lie: (order, leading axes, (operand, whether it is stacked) each); None if they
        do not.
        """
        n = len(order)
        columns: list[Any] = []
        row = n
        for i in range(len(order[0].args)):
            parts = [self.new[m.args[i]] for m in order]
            if all(p is parts[0] for p in parts):
                columns.append((parts[0], None))
                continue
            places = [self._place(p) for p in parts]
            flat = side_by_side(places)
            if flat is None:
                grid = in_grid(places)
                if grid is None:
                    if not self._beside(order, i):
                        return None
                elif row not in (n, grid[0]):
                    return None
                else:
                    row, flat = grid
            columns.append((parts, flat))
        lead = (n,) if row == n else (n // row, row)
        args: list[Any] = []
        for parts, place in columns:
            if isinstance(parts, Instruction):
                args.append((parts, False))
            elif place is None:
                stacked = self._stack(tuple(parts), 0, order[0])
                args.append((self.b.reshape(stacked, (*lead, *parts[0].shape), order[0]), True))
            else:
                if len(place.shape) == len(parts[0].shape) + 1 and row != n:
                    step = place.strides[0]
                    place = Address(
                        place.root, place.offset, (*lead, *place.shape[1:]), (step * row, step, *place.strides[1:])
                    )
                args.append((emit_view(self.b, place, order[0]), True))
        return order, lead, args

    def _beside(self, group: Sequence[Instruction], i: int) -> bool:
        """Whether an operand of all members lies side by side already, or can be made to without copying."""
        parts = [self.new[m.args[i]] for m in group]
        places = [self._place(p) for p in parts]
        if side_by_side(places) is not None:
            return True
        if self.kinds.of[group[0]] in self.loops:
            return False  # a few calls at every step matter less than freedom to compute each value where it is wanted
        first = places[0]
        if any(p[1:] != first[1:] or p.root.shape != first.root.shape for p in places):
            return False
        if any(p.root.op == "stack" and p.root.params["axis"] == 0 for p in places):
            return False  # it lies where its own operands lie
        roots = [base(m.args[i]) for m in group]
        if any(p.root.primitive is None for p in places[1:]) or len({p.root for p in places}) < len(places):
            return False
        whole = all(p.root is self.new[r] for p, r in zip(places, roots, strict=True))
        return self.chains.link(roots) if whole else self.groups.link([p.root for p in places])

    def _stack(self, parts: tuple[Instruction, ...], axis: int, like: Instruction) -> Instruction:
        """Stacked operands: a view if they lie evenly in one value, else an instruction that planning may make free."""
        found = side_by_side([self._place(p) for p in parts])
        if found is not None:
            shape, strides = list(found.shape[1:]), list(found.strides[1:])
            shape.insert(axis, found.shape[0])
            strides.insert(axis, found.strides[0])
            return emit_view(self.b, Address(found.root, found.offset, tuple(shape), tuple(strides)), like)
        first = self._place(parts[0])
        places = [self._place(p) for p in parts]
        alike = all(p[1:] == first[1:] and p.root.shape == first.root.shape for p in places)
        if axis == 0 and alike and first.root is not parts[0] and len({p.root for p in places}) == len(parts):
            # the same part of several values: stack these, and take the part of all
            whole = self._stack(tuple([p.root for p in places]), 0, like)
            around = self._place(whole)
            if around.strides == contiguous(around.shape):
                view = Address(
                    around.root,
                    around.offset + first.offset,
                    (len(parts), *first.shape),
                    (first.root.size, *first.strides),
                )
                return emit_view(self.b, view, like)
        cells = []
        for i, part in enumerate(parts):
            if part.primitive is None and axis == 0 and i + 1 < len(parts) and parts[i + 1].primitive is not None:
                part = self.b.emit(cell, (part,), {"before": parts[i + 1].key}, part.shape, part.dtype, like)
            cells.append(part)
        return self.b.stack(tuple(cells), axis, like)
