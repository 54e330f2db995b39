"""Weights as products want them: a transposed or sliced parameter that many products read is copied into C order, once
per call.

BLAS reads a transposed right operand up to twice as slowly, a spread one by a third, and a loop of T steps reads it T
times.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitive import Primitive
from .address import Address, address, contiguous
from .builder import rewrite
from .program import Instruction, Program

READERS = 3  # so many products must share the copy


def _contiguous(x: Any) -> Any:
    return np.array(x, order="C")


# The same values in C order.
straight = Primitive("contiguous", _contiguous, "elementwise")


def straighten_weights(program: Program) -> Program:
    """Copy right operands of products into C order where at least READERS products read the same one."""
    places: dict[Instruction, Address] = {}
    readers: dict[Instruction, int] = {}
    for ins in program.instructions:
        if ins.op == "matmul" and ins.args[1].invariant:
            readers[ins.args[1]] = readers.get(ins.args[1], 0) + 1
    crooked = {w for w, n in readers.items() if n >= READERS and address(w, places).strides != contiguous(w.shape)}
    if not crooked:
        return program

    def rule(b: Any, ins: Instruction, args: tuple[Instruction, ...]) -> Instruction:
        if ins.op == "matmul" and ins.args[1] in crooked:
            right = args[1]
            copied = b.emit(straight, (right,), {}, right.shape, right.dtype, right)
            args = (args[0], copied)
        return b.again(ins, args)

    return rewrite(program, rule)
