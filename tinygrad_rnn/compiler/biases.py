"""Biases: the weight of an input that is always one.

x W + b = [x 1] [W; b]. Where an input goes into nothing but products with weights to which a bias is added, it is kept
with a column of ones from the start. The product then adds the bias, and the product that makes the gradient of the
weight, [x 1]^T d, has that of the bias in its last row: a pass over all projections and one over all their gradients
less.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitive import Primitive
from .address import Address, address, contiguous
from .builder import Builder, readers
from .program import Instruction, Program

WORTH = 6
"""So many rows must be multiplied for each row of the weight, for it is copied to lie beside its bias."""


def _with_ones(x: Any) -> Any:
    return np.concatenate([x, np.ones((*x.shape[:-1], 1), x.dtype)], -1)


# x with one more entry along the last axis, a one.
with_ones = Primitive("with_ones", _with_ones, "shape")


def fold_biases(program: Program) -> Program:
    """Let products add the biases, and sum their gradients, where all readers of an input allow it."""
    for x in program.inputs:
        if x.dtype.kind == "f" and x.ndim > 1:
            folding = _Folding(x, program)
            if folding.possible():
                program = folding.run(program)
    return program


class _Folding:
    """One input. views: all views of it that keep its last axis. sums: product -> the sum with its bias."""

    def __init__(self, x: Instruction, program: Program) -> None:
        self.x = x
        self.readers = readers(program)
        self.views = [x]
        self.sums: dict[Instruction, Instruction] = {}
        self.gradients: list[Instruction] = []

    def possible(self) -> bool:
        """Whether nothing reads the input but products, the forward ones of which have a bias each."""
        rows = 0
        for view in self.views:  # grows while we walk it
            for reader in self.readers[view]:
                if reader is view:
                    return False
                if self._keeps_columns(reader):
                    self.views.append(reader)
                elif reader.op != "matmul" or view.ndim != 2 or reader.ndim != 2:
                    return False
                elif reader.args[1] is view and reader.args[0] is not view:
                    self.gradients.append(reader)
                elif not self._has_bias(reader):
                    return False
                else:
                    rows += reader.shape[0]
        return bool(self.sums) and rows >= WORTH * (self.x.shape[-1] + 1)

    def _keeps_columns(self, ins: Instruction) -> bool:
        D = self.x.shape[-1]
        if ins.op == "getitem":
            index = ins.params["index"]
            full = isinstance(index, tuple) and len(index) == ins.args[0].ndim
            return full and index[-1] == slice(0, D, 1)
        return ins.op == "reshape" and ins.shape[-1:] == (D,)

    def _has_bias(self, product: Instruction) -> bool:
        if not product.args[1].invariant or len(self.readers[product]) != 1:
            return False
        (total,) = self.readers[product]
        if total.op != "add" or total is product or total.shape != product.shape or total.dtype != product.dtype:
            return False
        bias = total.args[1] if total.args[0] is product else total.args[0]
        if not bias.invariant or bias.size != product.shape[1] or bias.dtype != product.dtype:
            return False
        self.sums[product] = total
        return bias.ndim > 0 and bias.shape[-1] == bias.size

    def run(self, program: Program) -> Program:
        """The program with the input widened by a column of ones."""
        totals = {total: product for product, total in self.sums.items()}
        products, views, columns = set(self.gradients), set(self.views), self._columns(program)
        b, D = Builder(), self.x.shape[-1]
        new: dict[Instruction, Instruction] = {}
        wide: dict[Instruction, Instruction] = {}
        made: dict[Instruction, Instruction] = {}  # gradient -> product with the widened input
        for ins in program.instructions:
            if ins.primitive is None:
                new[ins] = b.leaf(ins)
                if ins is self.x:
                    wide[ins] = b.emit(with_ones, (ins,), {}, (*ins.shape[:-1], D + 1), ins.dtype, ins)
            elif ins in views:
                self._widen(b, ins, wide)
            elif ins in self.sums:
                continue  # emitted together with its bias
            elif ins in totals:
                product = totals[ins]
                bias = ins.args[1] if ins.args[0] is product else ins.args[0]
                weight = self._with_bias(b, new[product.args[1]], new[bias], ins)
                new[ins] = b.matmul(wide[product.args[0]], weight, product)
            elif ins in products:
                if ins not in made:
                    made[ins] = b.matmul(new[ins.args[0]], wide[ins.args[1]], ins)
                new[ins] = b.part(made[ins], 1, 0, D, ins)
            elif ins in columns:
                product = columns[ins]
                if product not in made:  # what it multiplies is known by now, if under another name
                    rows, H = product.args[1].shape[0], product.shape[0]
                    left = b.transpose(b.reshape(new[ins.args[0]], (rows, H), product), (1, 0), product)
                    made[product] = b.matmul(left, self._widen(b, product.args[1], wide), product)
                new[ins] = b.reshape(b.item(made[product], D, ins, axis=1), ins.shape, ins)
            else:
                new[ins] = b.again(ins, tuple([new[a] for a in ins.args]))
        return program.rebuilt(new, b.order)

    def _widen(self, b: Builder, view: Instruction, wide: dict[Instruction, Instruction]) -> Instruction:
        """The same view of the widened input."""
        if view not in wide:
            source = self._widen(b, view.args[0], wide)
            if view.op == "reshape":
                wide[view] = b.reshape(source, (*view.shape[:-1], source.shape[-1]), view)
            else:
                index = (*view.params["index"][:-1], slice(0, source.shape[-1], 1))
                wide[view] = b.getitem(source, index, view)
        return wide[view]

    def _with_bias(self, b: Builder, weight: Instruction, bias: Instruction, like: Instruction) -> Instruction:
        like = weight if weight.primitive is not None else like
        return b.concatenate((weight, b.reshape(bias, (1, weight.shape[1]), like)), 0, like)

    def _columns(self, program: Program) -> dict[Instruction, Instruction]:
        """Sums over all rows of what a gradient product has on its left: the sum -> the product."""
        places: dict[Instruction, Address] = {}
        by_rows = {}
        for product in self.gradients:
            left = product.args[0]
            if left.op == "transpose":
                by_rows[_whole(address(left.args[0], places), left.shape[0])] = product
        found = {}
        for ins in program.instructions:
            if ins.op == "sum" and ins.params == {"axis": tuple(range(ins.args[0].ndim - 1)), "keepdims": False}:
                key = _whole(address(ins.args[0], places), ins.size)
                if key is not None and key in by_rows:
                    found[ins] = by_rows[key]
        return found


def _whole(place: Address, columns: int) -> Any:
    """What tells rows of so many columns from others: where they lie; None if not in one piece."""
    if place.strides != contiguous(place.shape):
        return None
    size = 1
    for n in place.shape:
        size *= n
    return place.root, place.offset, size, columns
