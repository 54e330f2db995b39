"""Batching across time and across examples: of all instructions of one kind that are ready, one on stacked operands is made.

The schedule is by agenda (Neubig et al. 2017): again and again a kind is chosen, and all its members whose operands are known are
done at once. Kinds on a cycle, the steps of loops, go first, so that whatever hangs off a loop (the head, the loss, their gradients)
waits until the loop is done and is then done for all steps together. Time is near linear in the size of the program: members are never
compared in pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ..primitive import Primitive
from .address import Address, address, side_by_side
from .address import emit as emit_view
from .builder import Builder
from .chains import Chains
from .kinds import Kinds, base, recurrent
from .program import VIEWS, Instruction, Program
from .stacking import batched


def _cell(x: object, before: int) -> object:
    return x.copy()  # type: ignore[attr-defined]


# A copy of a value that is handed in, so that it can lie in a buffer of ours beside `before`, a value with that key.
cell = Primitive("cell", _cell, "elementwise")


def batch(program: Program) -> Program:
    """Group instructions and schedule the groups; the order of the result is the schedule."""
    return _Agenda(program).run()


class _Agenda:
    """The state of one scheduling: what is ready, what stands for each instruction so far, and which values lie side by side."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.kinds = Kinds(program)
        self.loops = recurrent(program, self.kinds)
        self.b = Builder()
        self.new: dict[Instruction, Instruction] = {}
        self.places: dict[Instruction, Address] = {}
        self.ready: dict[int, list[Instruction]] = defaultdict(list)
        self.left = list(self.kinds.size)
        self.chains = Chains()
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
            self.left[self.kinds.of[ins]] -= 1
            self._done(ins, self.b.keep(ins))
        for ins in begin:
            if ins not in self.new:
                self._arrived(ins)
        while self.ready:
            kind = min(self.ready, key=self._priority)
            group = sorted(self.ready.pop(kind), key=lambda ins: ins.key)
            self.left[kind] -= len(group)
            self._emit(group)

    def _priority(self, kind: int) -> tuple[bool, bool, float]:
        return kind not in self.loops, self.left[kind] > len(self.ready[kind]), self.kinds.level[kind]

    def _arrived(self, ins: Instruction) -> None:
        """All operands of an instruction are known: views are done at once, the rest waits for its kind to be chosen."""
        waiting = [ins]
        for ins in waiting:  # grows while we walk it
            if ins.op not in VIEWS:
                self.ready[self.kinds.of[ins]].append(ins)
                continue
            self.new[ins] = self._view(ins)
            waiting.extend(self._released(ins))

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

    def _emit(self, group: Sequence[Instruction]) -> None:
        """Do a group as one instruction if that is possible and pays, else one by one."""
        made = self._together(group) if len(group) > 1 else None
        for i, ins in enumerate(group):
            self._done(ins, self._single(ins) if made is None else self.b.item(made, i, ins))

    def _single(self, ins: Instruction) -> Instruction:
        args = tuple([self.new[a] for a in ins.args])
        if ins.op == "stack":
            return self._stack(args, ins.params["axis"], ins)
        return self.b.again(ins, args)

    def _together(self, group: Sequence[Instruction]) -> Instruction | None:
        one = group[0]
        n = len(group)
        assert one.primitive is not None
        operands = [[self.new[m.args[i]] for m in group] for i in range(len(one.args))]
        stacked = [any(x is not column[0] for x in column) for column in operands]
        if one.op == "stack" and one.params["axis"] == 0:
            return None  # a wish to lie side by side: planning sees to it
        heavy = one.primitive.kind in ("contract", "reduce", "index")
        if not heavy and not all(self._lie_together(group, i) for i, many in enumerate(stacked) if many):
            return None
        args = [
            self._stack(tuple(column), 0, one) if many else column[0]
            for column, many in zip(operands, stacked, strict=True)
        ]
        if any(x.shape[1:] != column[0].shape for x, column, many in zip(args, operands, stacked, strict=True) if many):
            return None
        made = batched(self.b, one, args, stacked, n)
        assert made is None or made.shape == (n, *one.shape), f"{one} batched {n} times gives {made}"
        return made

    def _lie_together(self, group: Sequence[Instruction], i: int) -> bool:
        """Whether an operand of all members lies side by side already, or can be made to without copying."""
        parts = [self.new[m.args[i]] for m in group]
        if side_by_side([address(p, self.places) for p in parts]) is not None:
            return True
        roots = [base(m.args[i]) for m in group]
        if any(self._loose(r) for r in roots[1:]) or roots[-1].primitive is None:
            return False
        whole = all(r.size == m.args[i].size for r, m in zip(roots, group, strict=True))
        return whole and self.chains.link(roots)

    def _loose(self, root: Instruction) -> bool:
        """Whether a value has no place of its own: it is handed in, or is one item of a group."""
        value = self.new[root]
        return root.primitive is None or address(value, self.places).root is not value

    def _stack(self, parts: tuple[Instruction, ...], axis: int, like: Instruction) -> Instruction:
        """Stacked operands: a view if they lie evenly in one value, else an instruction that planning may make free."""
        found = side_by_side([address(p, self.places) for p in parts])
        if found is not None:
            shape, strides = list(found.shape[1:]), list(found.strides[1:])
            shape.insert(axis, found.shape[0])
            strides.insert(axis, found.strides[0])
            return emit_view(self.b, Address(found.root, found.offset, tuple(shape), tuple(strides)), like)
        cells = []
        for i, part in enumerate(parts):
            if part.primitive is None and axis == 0 and i + 1 < len(parts) and parts[i + 1].primitive is not None:
                part = self.b.emit(cell, (part,), {"before": parts[i + 1].key}, part.shape, part.dtype, like)
            cells.append(part)
        return self.b.stack(tuple(cells), axis, like)
