"""Columns: scores with few classes are laid out one class after the other, so that maxima and sums over classes run
along memory.

A reduction over a short last axis does a few additions per row and starts anew; over the first axis it adds whole rows.
The product that makes the scores is therefore turned, (x W)ᵀ = Wᵀ xᵀ, which costs nothing, and the transposition sinks
through what follows.
"""

from __future__ import annotations

from ..ops.shape import transpose
from .builder import Builder, rewrite
from .program import Instruction, Program

MOST_CLASSES = 256

Args = tuple[Instruction, ...]


def lay_in_columns(program: Program) -> Program:
    """Turn products whose rows are reduced, and sink the transposition."""
    turned = _products(program)
    if not turned:
        return program

    def rule(b: Builder, ins: Instruction, args: Args) -> Instruction:
        if ins in turned:
            left, right = args
            flat = b.matmul(b.transpose(right, (1, 0), ins), b.transpose(left, (1, 0), ins), ins)
            return _turn(b, flat, ins)
        if ins.op in ("pick", "take_off") and _is_turned(args[0]) and args[1].op == "spots" and args[1].ndim == 1:
            return _at_turned_spots(b, ins, args)
        if ins.primitive is not None and ins.ndim == 2 and any(_is_turned(a) for a in args):
            found = _sink(b, ins, args)
            if found is not None and found.shape == ins.shape and found.dtype == ins.dtype:
                return found
        return b.again(ins, args)

    return rewrite(program, rule)


def _products(program: Program) -> set[Instruction]:
    """Products (N, C), C few, whose entries, perhaps after elementwise operations, are reduced over C."""
    found: set[Instruction] = set()
    for ins in program.instructions:
        if ins.op == "max" and ins.ndim == 2 and ins.params["axis"] == (1,):
            x = ins.args[0]
            while x.primitive is not None and x.primitive.kind == "elementwise" and x.args:
                x = max(x.args, key=lambda a: a.size)
            matrices = x.op == "matmul" and x.ndim == 2 and x.args[0].ndim == 2
            few = matrices and 1 < x.shape[1] <= MOST_CLASSES and x.shape[0] >= 2 * x.shape[1]
            # what stands in a step of a loop is better left as it is: the products of all steps will be one
            if few and x.shape == ins.args[0].shape and x.scope.t is None:
                found.add(x)
    return found


def _turn(b: Builder, x: Instruction, like: Instruction) -> Instruction:
    return b.emit(transpose, (x,), {"axes": (1, 0)}, (x.shape[1], x.shape[0]), x.dtype, like)


def _is_turned(a: Instruction) -> bool:
    return a.op == "transpose" and a.ndim == 2 and a.args[0].op != "reshape"


def _turned(b: Builder, a: Instruction, like: Instruction) -> Instruction | None:
    """An operand as it must lie beside transposed ones; None where that would take a copy."""
    if a.size == 1:
        return b.reshape(a, (), like) if a.ndim else a
    if a.ndim == 1:
        return b.reshape(a, (a.shape[0], 1), like)
    if a.ndim == 2 and 1 in a.shape:
        return b.reshape(a, (a.shape[1], a.shape[0]), like)
    return a.args[0] if _is_turned(a) else None


def _at_turned_spots(b: Builder, ins: Instruction, args: Args) -> Instruction:
    """What is read or taken off at the spots of some targets, where classes come first."""
    x, where = args[0].args[0], args[1]
    where = b.emit(where.primitive, where.args, {**where.params, "axis": 0}, where.shape, where.dtype, ins)
    if ins.ndim == 1:
        return b.emit(ins.primitive, (x, where), {}, ins.shape, ins.dtype, ins)
    return _turn(b, b.emit(ins.primitive, (x, where, *args[2:]), {}, x.shape, ins.dtype, ins), ins)


def _sink(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    """op(xᵀ) = op(x)ᵀ for elementwise operations, and with the other axis for reductions and indices."""
    assert ins.primitive is not None
    turned = [_turned(b, a, ins) for a in args]
    if any(t is None for t in turned):
        return None
    operands = tuple(t for t in turned if t is not None)
    shape = (ins.shape[1], ins.shape[0])
    if ins.primitive.kind == "elementwise":
        return _turn(b, b.emit(ins.primitive, operands, ins.params, shape, ins.dtype, ins), ins)
    if ins.op in ("max", "sum") and ins.params["keepdims"]:
        params = {"axis": tuple(1 - i for i in ins.params["axis"]), "keepdims": True}
        made = b.emit(ins.primitive, operands, params, shape, ins.dtype, ins)
        return b.reshape(made, ins.shape, ins) if 1 in shape else _turn(b, made, ins)
    return None
