"""Splitting: what is read as slices of its columns is computed slice by slice, and what is only multiplied is not
joined.

Two gates taken with one sigmoid over both are read one by one, and their gradients are joined again. Computed apart,
each gate lies contiguous, the join goes away on the way back, and the product behind them can be cut into slices as
well (see `gates`). On the way back the gradients of all gates stand side by side in front of products and sums:
[a b] W = a W_1 + b W_2, x [a b] = [x a  x b] and sum [a b] = [sum a  sum b], so they need not stand side by side.
"""

from __future__ import annotations

from collections import defaultdict

from .builder import Builder, readers, uses
from .machine import blas_threads
from .program import Instruction, Program

Span = tuple[int, int]


def split_columns(program: Program) -> Program:
    """Compute elementwise values that are read as equal slices of their columns slice by slice, and what follows
    from them.
    """
    seeds = _seeds(program)
    return _Splitting(program, seeds, set()).run() if seeds else program


def multiply_parts(program: Program) -> Program:
    """Multiply and sum what is joined for that only part by part.

    With several threads nothing changes: they share one wide product better than several narrow ones.
    """
    apart = set() if blas_threads() > 1 else _apart(program)
    return _Splitting(program, {}, apart).run() if apart else program


def _apart(program: Program) -> set[Instruction]:
    """Joins of equal elementwise results along the last axis that nobody reads but products and sums over rows."""
    joins = [ins for ins in program.instructions if ins.ndim == 2 and _is_join_of_equals(ins)]
    read_by = readers(program) if joins else {}
    return {ins for ins in joins if all(reader is not ins and _part_by_part(reader, ins) for reader in read_by[ins])}


def _is_join_of_equals(ins: Instruction) -> bool:
    """Whether a value is joined of elementwise results of one shape along its last axis."""
    members = _stacked_columns(ins)
    if not members or len({m.shape for m in members}) > 1:
        return False
    return all(m.primitive is not None and m.primitive.kind == "elementwise" for m in members)


def _stacked_columns(ins: Instruction) -> tuple[Instruction, ...] | None:
    """What a value is joined of along its last axis: by a concatenation, or by a stack whose axis is merged."""
    if ins.op == "concatenate" and ins.params["axis"] == ins.ndim - 1:
        return ins.args
    if ins.op == "reshape" and ins.args[0].op == "stack":
        stack = ins.args[0]
        merged = (*stack.shape[:-2], stack.shape[-2] * stack.shape[-1]) if stack.ndim > 1 else ()
        if stack.params["axis"] == stack.ndim - 2 and ins.shape == merged:
            return stack.args
    return None


def _part_by_part(reader: Instruction, x: Instruction) -> bool:
    """Whether an instruction can be done on the parts of its operand x: products and sums over rows."""
    if reader.op == "matmul":
        left, right = reader.args
        return left.ndim == right.ndim == 2 and left is not right and (x is right or right.invariant)
    return reader.op == "sum" and reader.params["axis"] == (0,) and not reader.params["keepdims"]


def _seeds(program: Program) -> dict[Instruction, list[Span]]:
    """Elementwise values whose columns are read in slices of equal width that cover them all."""
    read: dict[Instruction, set[Span]] = defaultdict(set)
    for ins in program.instructions:
        span = _columns(ins)
        if span is not None:
            x = ins.args[0]
            # sums of products are left to `gates`, which cuts the products along with them
            if x.primitive is not None and x.primitive.kind == "elementwise" and x.op != "add" and not x.invariant:
                read[x].add(span)
    seeds = {}
    for x, spans in read.items():
        order = sorted(spans)
        width = order[0][1] - order[0][0]
        count = x.shape[-1] // max(width, 1)
        if count > 1 and order == [(k * width, (k + 1) * width) for k in range(count)] and count * width == x.shape[-1]:
            seeds[x] = order
    return seeds


def _columns(ins: Instruction) -> Span | None:
    """The columns that a slice of columns, and of nothing else, reads."""
    if ins.op != "getitem":
        return None
    index, shape = ins.params["index"], ins.args[0].shape
    if not isinstance(index, tuple) or len(index) != len(shape) or not isinstance(index[-1], slice):
        return None
    if any(i != slice(0, n, 1) for i, n in zip(index[:-1], shape[:-1], strict=True)) or index[-1].step != 1:
        return None
    return index[-1].start, index[-1].stop


class _Splitting:
    """parts: a joined value -> what it was joined of. split: the joined values that come from a seed, or are to be
    multiplied part by part (apart).
    """

    def __init__(self, program: Program, seeds: dict[Instruction, list[Span]], apart: set[Instruction]) -> None:
        self.program = program
        self.seeds = seeds
        self.apart = apart
        self.counts = uses(program)
        self.b = Builder()
        self.new: dict[Instruction, Instruction] = {}
        self.parts: dict[Instruction, tuple[Instruction, ...]] = {}
        self.split: set[Instruction] = set()

    def run(self) -> Program:
        for ins in self.program.instructions:
            self.new[ins] = self.b.leaf(ins) if ins.primitive is None else self._rewritten(ins)
        return self.program.rebuilt(self.new, self.b.order)

    def _rewritten(self, ins: Instruction) -> Instruction:
        assert ins.primitive is not None
        args = tuple([self.new[a] for a in ins.args])
        if ins.primitive.kind == "elementwise":
            spans = self.seeds.get(ins) or self._spans(ins, args)
            if spans:
                pieces = tuple([self._piece(ins, span) for span in spans])
                return self._joined(pieces, ins, split=True)
        span = _columns(ins)
        if span is not None and args[0] in self.parts:
            return self._column(args[0], span, ins)
        made = self._multiplied(ins, args)
        if made is not None:
            return made
        joined = _stacked_columns(ins)
        if joined is not None:
            members = tuple([self.new[m] for m in joined])
            flat = tuple([p for m in members for p in (self.parts[m] if m in self.split else (m,))])
            if len(flat) > len(members):
                return self._joined(flat, ins, split=False)
            made = self.b.again(ins, args)
            self.parts[made] = flat
            if ins in self.apart:
                self.split.add(made)
            return made
        return self.b.again(ins, args)

    def _multiplied(self, ins: Instruction, args: tuple[Instruction, ...]) -> Instruction | None:
        """A product or sum of something split, or what was made of one, part by part."""
        b = self.b
        if ins.op == "transpose" and ins.ndim == 2 and args[0] in self.split and ins.params["axes"] == (1, 0):
            turned = tuple([b.transpose(p, (1, 0), ins) for p in self.parts[args[0]]])
            return b.reshape(b.stack(turned, 0, ins), ins.shape, ins)
        if ins.op == "sum" and ins.args[0] in self.apart:
            return self._joined(tuple([b.sum(p, (0,), ins) for p in self.parts[args[0]]]), ins, split=True)
        if ins.op != "matmul" or not any(a in self.apart for a in ins.args):
            return None
        left, right = args
        if ins.args[1] in self.apart:
            return self._joined(tuple([b.matmul(left, p, ins) for p in self.parts[right]]), ins, split=True)
        total, start = None, 0
        for p in self.parts[left]:
            stop = start + p.shape[1]
            product = b.matmul(p, b.part(right, 0, start, stop, ins), ins)
            total = product if total is None else b.add(total, product, ins)
            start = stop
        return total

    def _spans(self, ins: Instruction, args: tuple[Instruction, ...]) -> list[Span] | None:
        """The columns in which an operand was split, where all operands that were joined agree."""
        if self.split.isdisjoint(args):
            return None
        found = None
        for a in args:
            if a in self.parts and a.shape[-1] == ins.shape[-1]:
                spans, start = [], 0
                for p in self.parts[a]:
                    spans.append((start, start + p.shape[-1]))
                    start += p.shape[-1]
                if found is not None and spans != found:
                    return None
                found = spans
        return found

    def _piece(self, ins: Instruction, span: Span) -> Instruction:
        """Some columns of an elementwise operation."""
        args = tuple([self._operand(a, span, ins) for a in ins.args])
        shape = (*ins.shape[:-1], span[1] - span[0])
        return self.b.emit(ins.primitive, args, ins.params, shape, ins.dtype, ins)

    def _operand(self, a: Instruction, span: Span, reader: Instruction) -> Instruction:
        x = self.new[a]
        if not a.ndim or a.shape[-1] != reader.shape[-1]:
            return x  # a number, or one column for all
        elementwise = a.primitive is not None and a.primitive.kind == "elementwise" and bool(a.args)
        if x not in self.parts and elementwise and self.counts[a] == 1:
            return self._piece(a, span)
        return self._column(x, span, reader)

    def _column(self, x: Instruction, span: Span, like: Instruction) -> Instruction:
        start = 0
        for p in self.parts.get(x, ()):
            if (start, start + p.shape[-1]) == span:
                return p
            start += p.shape[-1]
        if x.op == "getitem" and _columns(x) is not None:
            first = x.params["index"][-1].start
            return self.b.part(x.args[0], x.ndim - 1, first + span[0], first + span[1], like)
        return self.b.part(x, x.ndim - 1, span[0], span[1], like)

    def _joined(self, pieces: tuple[Instruction, ...], like: Instruction, split: bool) -> Instruction:
        axis = like.ndim - 1
        if len({p.shape for p in pieces}) == 1:
            made = self.b.reshape(self.b.stack(pieces, axis, like), like.shape, like)
        else:
            made = self.b.concatenate(pieces, axis, like)
        self.parts[made] = pieces
        if split:
            self.split.add(made)
        return made
