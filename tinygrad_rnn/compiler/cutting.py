"""Cutting: wide products cut into the slices that are read of them.

A product whose columns are read as slices only (the gates of a cell side by side) becomes one product per slice;
batching then makes a stack of them, in which each gate lies contiguous.
"""

from __future__ import annotations

import itertools
from typing import Any

from .builder import Builder, readers
from .program import Instruction, Program

Span = tuple[int, int]
"""Columns from the first to before the second."""


def cut_products(program: Program) -> Program:
    """Products that are read as slices of their columns only become one product per slice."""
    if not any(map(_is_of_columns, program.instructions)):
        return program
    return _Cutting(program).run()


def _is_of_columns(ins: Instruction) -> bool:
    """Whether this is a slice of the columns of a value."""
    if ins.op != "getitem":
        return False
    index, x = ins.params["index"], ins.args[0]
    if not isinstance(index, tuple) or len(index) != x.ndim:
        return False
    last = index[-1]
    return isinstance(last, slice) and last.step == 1 and last.stop - last.start < x.shape[-1]


class _Cutting:
    """Slices carried up through sums and views to the weights."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.readers = readers(program)
        self.cuts: dict[Instruction, list[Span]] = {}  # in the order in which they are to be computed
        self.moved: set[Instruction] = set()  # those that are not cut from left to right
        self.reordered: dict[Any, Instruction] = {}
        self.purpose: dict[tuple[Instruction, Span], str] = {}  # what is done with the slice
        self.b = Builder()
        self.new: dict[Instruction, Instruction] = {}
        self.parts: dict[tuple[Instruction, int, int], Instruction] = {}

    def run(self) -> Program:
        for ins in reversed(self.program.instructions):
            if ins.primitive is not None and ins.ndim:
                self._gather(ins)
        if not any(ins.op == "matmul" for ins in self.cuts):
            return self.program
        for ins in self.program.instructions:
            if ins.primitive is None:
                self.new[ins] = self.b.leaf(ins)
            elif ins in self.cuts:
                for k, (start, stop) in enumerate(self.cuts[ins]):
                    self.parts[ins, start, stop] = self._build(ins, k)
            elif ins.op == "getitem" and ins.args[0] in self.cuts:
                index = ins.params["index"]
                part = self.parts[ins.args[0], index[-1].start, index[-1].stop]
                whole = slice(0, part.shape[-1], 1)
                self.new[ins] = self.b.getitem(part, (*index[:-1], whole), ins)
            else:
                self.new[ins] = self.b.again(ins, tuple([self.new[a] for a in ins.args]))
        return self.program.rebuilt(self.new, self.b.order)

    def _gather(self, ins: Instruction) -> None:
        """Cut a value if each of its readers is a slice of its columns, or is itself cut; all in the same places."""
        if ins.invariant or not self._buildable(ins):
            return
        n = ins.shape[-1]
        spans: dict[Span, str] = {}
        for reader in self.readers[ins]:
            if reader is ins:
                return
            if reader in self.cuts and reader.shape[-1] == n and reader.op != "matmul":
                spans |= {span: self.purpose[reader, span] for span in self.cuts[reader]}
            elif _is_of_columns(reader):
                last = reader.params["index"][-1]
                spans[last.start, last.stop] = min(r.op for r in self.readers[reader])
            else:
                return
        order = sorted(spans)
        tiles = order and order[0][0] >= 0 and all(a[1] <= b[0] for a, b in itertools.pairwise(order))
        if tiles and len(order) > 1 and len({b - a for a, b in order}) == 1:
            # those of one purpose side by side, so that it is one operation over all of them
            self.cuts[ins] = sorted(order, key=lambda span: (spans[span], span))
            if self.cuts[ins] != order:
                self.moved.add(ins)
            self.purpose.update({(ins, span): spans[span] for span in order})

    def _buildable(self, ins: Instruction) -> bool:
        if ins.op == "add":
            return all(a.invariant or a.shape[-1:] == ins.shape[-1:] for a in ins.args)
        if ins.op == "matmul":
            return ins.args[1].invariant and ins.args[1].ndim == 2 and ins.args[0].ndim >= 2
        if ins.op == "getitem":
            index = ins.params["index"]
            full = isinstance(index, tuple) and len(index) == ins.args[0].ndim and isinstance(index[-1], slice)
            return full and index[-1] == slice(0, ins.args[0].shape[-1], 1)
        return ins.op == "reshape" and ins.args[0].shape[-1:] == ins.shape[-1:]

    def _part(self, a: Instruction, k: int, ins: Instruction) -> Instruction:
        """The columns of an operand that make slice k of `ins`."""
        start, stop = self.cuts[ins][k]
        if (a, start, stop) in self.parts:
            return self.parts[a, start, stop]
        b, whole = self.b, self.new[a]
        if not whole.ndim or whole.shape[-1] != ins.shape[-1]:
            return whole  # one column, or a number, for all
        if ins in self.moved and a.invariant:
            return b.item(self._reordered(a, ins), k, ins)
        return b.part(whole, whole.ndim - 1, start, stop, ins)

    def _reordered(self, a: Instruction, ins: Instruction) -> Instruction:
        """The slices of a weight in the order of those of `ins`: put there once, for all products of one purpose."""
        b, whole = self.b, self.new[a]
        found = self.reordered.get((a, *self.cuts[ins]))
        if found is None:
            parts = tuple([b.part(whole, whole.ndim - 1, *span, ins) for span in self.cuts[ins]])
            found = self.reordered[a, *self.cuts[ins]] = b.stack(parts, 0, ins)
        return found

    def _build(self, ins: Instruction, k: int) -> Instruction:
        """Slice k of a value."""
        start, stop = self.cuts[ins][k]
        shape = (*ins.shape[:-1], stop - start)
        if ins.op == "add":
            left, right = (self._part(a, k, ins) for a in ins.args)
            return self.b.emit(ins.primitive, (left, right), {}, shape, ins.dtype, ins)
        if ins.op == "matmul":
            left, right = self.new[ins.args[0]], self._part(ins.args[1], k, ins)
            return self.b.emit(ins.primitive, (left, right), {}, shape, ins.dtype, ins)
        base = self._part(ins.args[0], k, ins)
        if ins.op == "reshape":
            return self.b.reshape(base, shape, ins)
        return self.b.getitem(base, (*ins.params["index"][:-1], slice(0, stop - start, 1)), ins)
