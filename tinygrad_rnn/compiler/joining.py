"""Joining: how a group of instructions of one kind becomes one instruction on stacked operands, or a few.

Operands that lie side by side already are stacked for nothing, others may be made to by `Chains`; what would have to be
copied is joined only where that pays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from ..primitive import Primitive
from .address import Address, address, contiguous, evenly, side_by_side
from .address import emit as emit_view
from .builder import Builder
from .chains import Chains
from .kinds import Kinds, base
from .machine import blas_threads
from .program import Instruction, Program
from .stacking import batched


def _cell(x: object, before: int) -> object:
    return x.copy()  # type: ignore[attr-defined]


# A copy of a value that is handed in, so that it can lie in a buffer of ours beside `before`, a value with that key.
cell = Primitive("cell", _cell, "elementwise")


def _is_elementwise(ins: Instruction) -> bool:
    return ins.primitive is not None and ins.primitive.kind == "elementwise"


def _in_rows(places: list[Address]) -> bool:
    """Whether the rows of these matrices lie in one piece each, so that a loop can be made to write them in order."""
    return all(p.strides[-1] == 1 for p in places)


SMALL = 1 << 12
"""Bytes of an operand of a reduction, up to which it is copied so that many of them become one."""

LARGE = 1 << 16
"""Bytes of an operand of a product, from which on it is large enough to be done by itself."""


class Joining:
    """What joining goes by.

    b: emits the new program. new: instruction of the old program -> the value that stands for it. kinds: of the old
    program. chains, groups: which values of the old program, and which new ones, are to lie side by side. places: where
    new values lie. stacks: where those lie that were put into a stack. wide: whether one wide product is better than
    several narrow ones.
    """

    def __init__(self, program: Program, kinds: Kinds, b: Builder, new: dict[Instruction, Instruction]) -> None:
        self.kinds = kinds
        self.b = b
        self.new = new
        self.places: dict[Instruction, Address] = {}
        self.stacks: dict[Instruction, Address] = {}
        self.wide = blas_threads() > 1
        self.chains = Chains()
        self.groups = Chains()
        wishes = [ins for ins in program.instructions if ins.op == "stack" and ins.params["axis"] == 0]
        for ins in sorted(wishes, key=lambda ins: -ins.nbytes):
            self.chains.link([base(a) for a in ins.args])

    def done(self, group: list[Instruction]) -> list[Instruction]:
        """The values of a group, in its order: of one instruction if that is possible and pays; else of smaller groups,
        or one by one."""
        if len(group) == 1:
            return [self._single(group[0])]
        made = self._together(group)
        values = dict(zip(group, made, strict=True)) if made is not None else {}
        if made is None and len(group) > 2 and (group[0].op == "matmul" or _is_elementwise(group[0])):
            for split in self._splits(group):
                tried = [(part, self._together(part)) for part in split if len(part) > 1]
                for part, made in tried:
                    if made is not None:
                        values.update(zip(part, made, strict=True))
                if all(made is not None for _, made in tried):
                    break
        return [values[ins] if ins in values else self._single(ins) for ins in group]

    def _place(self, ins: Instruction) -> Address:
        found = self.places.get(ins)
        return address(ins, self.places) if found is None else found

    def _places(self, parts: Iterable[Instruction]) -> list[Address]:
        known = self.places
        return [known[p] if p in known else address(p, known) for p in parts]

    def _items(self, x: Instruction, group: Sequence[Instruction]) -> list[Instruction]:
        """The entries of a value, each in the place of a member of the group. Where they lie is noted at once."""
        root, offset, shape, strides = self._place(x)
        items = self.b.items(x, group)
        for i, item in enumerate(items):
            self.places[item] = Address(root, offset + i * strides[0], shape[1:], strides[1:])
        return items

    def _stacked_place(self, place: Address) -> Address:
        """Where a value, or a part of it, lies in the first stack that it was put into, if in any."""
        stack = self.stacks.get(place.root)
        return place if stack is None else place._replace(root=stack.root, offset=stack.offset + place.offset)

    def _splits(self, group: list[Instruction]) -> list[list[list[Instruction]]]:
        """Ways to split a group, fewest parts first: by the value that is read, or by which part of it is read.
        Products go by their right operand, so that the left ones become the rows of one.
        """
        if group[0].op == "matmul":
            by_right: dict[Instruction, list[Instruction]] = defaultdict(list)
            for m in group:
                by_right[self.new[m.args[1]]].append(m)
            return [list(by_right.values())] if 1 < len(by_right) < len(group) else []
        by_value: dict[Any, list[Instruction]] = defaultdict(list)
        by_part: dict[Any, list[Instruction]] = defaultdict(list)
        mixed: dict[Any, list[Instruction]] = defaultdict(list)  # one operand per part, the others by value
        found = [self._places([self.new[a] for a in m.args]) for m in group]
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
        if one.op in ("stack", "concatenate") and (one.op == "stack" or self.kinds.of[one] in self.kinds.loops):
            return None  # a wish to lie side by side: planning sees to it
        if one.primitive.kind == "elementwise":
            return None if self._lies_across(group) else self._elementwise(group)
        operands = [[self.new[m.args[i]] for m in group] for i in range(len(one.args))]
        stacked = [any(x is not column[0] for x in column) for column in operands]
        if one.op == "matmul":
            crossed = self._all_with_all(group, operands) if all(stacked) else None
            if crossed is not None:
                return crossed
            if self.wide and stacked == [False, True] and self._of_weights(group):
                return self._wide_product(group, operands)
            shared = all(stacked) and len(set(operands[1])) < len(group)  # better done for each weight by itself
            if shared or not self._worth_stacking(group, operands, stacked):
                return None
        light = one.primitive.kind == "shape" or (one.primitive.kind == "reduce" and one.args[0].nbytes > SMALL)
        if light and not all(self._beside(group, i) for i, many in enumerate(stacked) if many):
            return None
        args = [
            self._stack(tuple(column), 0, one) if many else column[0]
            for column, many in zip(operands, stacked, strict=True)
        ]
        made = batched(self.b, one, args, stacked, len(group))
        return None if made is None else self._items(made, group)

    def _of_weights(self, group: list[Instruction]) -> bool:
        """Whether products have weights for right operands, which are put in place once and not at every step."""
        return all(m.args[0].ndim == m.args[1].ndim == 2 and m.args[1].invariant for m in group)

    def _wide_product(self, group: list[Instruction], operands: list[list[Instruction]]) -> list[Instruction]:
        """Products of one matrix with several weights: one product with the weights beside each other."""
        b, one, left, rights = self.b, group[0], operands[0][0], operands[1]
        columns = one.shape[1]
        wide = self._stack(tuple(rights), 1, one)
        product = b.matmul(left, b.reshape(wide, (one.args[1].shape[0], columns * len(rights)), one), one)
        return [b.part(product, 1, k * columns, (k + 1) * columns, m) for k, m in enumerate(group)]

    def _worth_stacking(self, group: list[Instruction], operands: Any, stacked: list[bool]) -> bool:
        """Whether the operands of products may be copied: small ones may, large ones must lie side by side already, or
        be rows of one tall matrix, which a loop can be made to write side by side.
        """
        for i, many in enumerate(stacked):
            if many and group[0].args[i].nbytes > LARGE:
                places = self._places(operands[i])
                tall = i == 0 and not stacked[1] and _in_rows(places)
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
        if one.args[0].ndim != 2 or one.args[1].ndim != 2:
            return None
        # the weights may be large: they are copied once for all rows
        if one.args[0].nbytes > LARGE and not _in_rows(self._places(lefts)):
            return None
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
            places = self._places([self.new[m.args[i]] for m in group])
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
        values = dict(zip(order, self._items(flat, order), strict=True))
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
            places = self._places(parts)
            even = evenly(places)
            if even is None and self.kinds.of[order[0]] not in self.kinds.loops:
                even = evenly([self._stacked_place(p) for p in places])
            flat = None
            if even is not None:
                size, flat = even
                if size != n and row not in (n, size):
                    return None
                row = size if size != n else row
            elif not self._beside(order, i):
                return None
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
        places = self._places(parts)
        if side_by_side(places) is not None:
            return True
        if self.kinds.of[group[0]] in self.kinds.loops:
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
        places = self._places(parts)
        found = side_by_side(places)
        if found is not None:
            shape, strides = list(found.shape[1:]), list(found.strides[1:])
            shape.insert(axis, found.shape[0])
            strides.insert(axis, found.strides[0])
            return emit_view(self.b, Address(found.root, found.offset, tuple(shape), tuple(strides)), like)
        first = places[0]
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
        made = self.b.stack(tuple(cells), axis, like)
        if made.op == "stack" and axis == 0:
            for i, part in enumerate(cells):
                self.stacks.setdefault(part, Address(made, i * part.size, part.shape, contiguous(part.shape)))
        return made
