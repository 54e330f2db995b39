"""Softmax and cross entropy taken apart, so that one exponential serves the loss, its gradient and whatever else reads
it.

With m = max(z), e = exp(z - m) and s = sum(e): softmax(z) = e / s, and the cross entropy of target k is log(s) + m -
z[k]. The gradient of the latter, g (softmax(z) - onehot(k)), is e (g / s) with g taken off at k: two passes over the
scores less.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ops.elementwise import exp, log, reciprocal, subtract, where
from ..ops.reduce import amax, sum_
from ..primitive import PRIMITIVES, Primitive
from .builder import Builder, rewrite
from .program import Instruction, Program

Args = tuple[Instruction, ...]


def _spots(target: Any, classes: int, axis: int, lead: int = 0) -> Any:
    if target.size and not 0 <= target.min() <= target.max() < classes:
        raise IndexError(f"Target out of bounds: expected 0 to {classes - 1}, got {target.min()} to {target.max()}.")
    count = count_targets(target.shape[lead:])
    return count * classes + target if axis else target * target.size + count


def count_targets(shape: tuple[int, ...]) -> Any:
    """0, 1, 2, ... in this shape."""
    return np.arange(math.prod(shape), dtype=np.intp).reshape(shape)


def _pick(x: Any, spots: Any) -> Any:
    return np.reshape(x, -1)[spots]


def _take_off(x: Any, spots: Any, amount: Any) -> Any:
    out = np.array(x, order="C")
    out.reshape(-1)[spots] -= amount
    return out


# Where the entry of each target lies among its scores, counted in C order. axis: of the classes, 0 the first, 1 the
# last. lead: so many axes in front are separate sets of scores, each counted from 0.
spots = Primitive("spots", _spots, "index")
# The entries of x at these spots, and x less `amount` there.
pick = Primitive("pick", _pick, "index")
take_off = Primitive("take_off", _take_off, "index")


def open_softmax(program: Program) -> Program:
    """Write softmax and cross entropy over the last axis in exponentials, sums and maxima."""
    if not any(ins.op in ("cross_entropy", "softmax") for ins in program.instructions):
        return program

    def rule(b: Builder, ins: Instruction, args: Args) -> Instruction:
        opener = _OPENERS.get(ins.op)
        if opener is not None and ins.size and ins.dtype.kind == "f":
            found = opener(b, ins, args)
            if found is not None:
                return found
        return b.again(ins, args)

    return rewrite(program, rule)


def _parts(b: Builder, z: Instruction, like: Instruction) -> tuple[Instruction, Instruction, Instruction]:
    """max, exp(z - max) and its sum, over the last axis, which is kept."""
    axis = {"axis": (z.ndim - 1,), "keepdims": True}
    small = (*z.shape[:-1], 1)
    top = b.emit(amax, (z,), axis, small, z.dtype, like)
    e = b.emit(exp, (b.emit(subtract, (z, top), {}, z.shape, z.dtype, like),), {}, z.shape, z.dtype, like)
    return top, e, b.emit(sum_, (e,), axis, small, z.dtype, like)


def _softmax(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    z = args[0]
    if ins.params["axis"] != (z.ndim - 1,):
        return None
    _, e, total = _parts(b, z, ins)
    return b.multiply(e, b.emit(reciprocal, (total,), {}, total.shape, z.dtype, ins), ins)


def _cross_entropy(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    z, target = args
    if target.shape != z.shape[:-1] or target.dtype.kind not in "iu":
        return None
    ignore, hidden = ins.params.get("ignore"), None
    if ignore is not None:
        args = (target, b.constant(ignore, target.dtype))
        hidden = b.emit(PRIMITIVES["equal"], args, {}, target.shape, np.dtype(bool), ins)
        target = b.emit(where, (hidden, b.constant(0, target.dtype), target), {}, target.shape, target.dtype, ins)
    top, _, total = _parts(b, z, ins)
    top, total = b.reshape(top, target.shape, ins), b.reshape(total, target.shape, ins)
    picked = b.emit(pick, (z, _spots_of(b, target, z, ins)), {}, target.shape, z.dtype, ins)
    rest = b.emit(subtract, (top, picked), {}, target.shape, z.dtype, ins)
    y = b.add(b.emit(log, (total,), {}, target.shape, z.dtype, ins), rest, ins)
    if hidden is None:
        return y
    return b.emit(where, (hidden, b.constant(0, ins.dtype), y), {}, ins.shape, ins.dtype, ins)


def _spots_of(b: Builder, target: Instruction, z: Instruction, like: Instruction) -> Instruction:
    params = {"classes": z.shape[-1], "axis": 1}
    return b.emit(spots, (target,), params, target.shape, np.dtype(np.intp), like)


def _exp(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    """exp(z - log(sum(exp(z)))) as the gradient of a cross entropy has it is the softmax of z."""
    shifted = ins.args[0]
    if shifted.op != "subtract" or shifted.args[1].op != "add":
        return None
    z, (loss, picked) = shifted.args[0], shifted.args[1].args
    loss = loss.args[0] if loss.op == "reshape" else loss
    if loss.op != "cross_entropy" or loss.args[0] is not z or picked.op != "take_along_axis" or picked.args[0] is not z:
        return None
    index = picked.args[1].args[0] if picked.args[1].op == "reshape" else picked.args[1]
    if loss.params.get("ignore") is not None or index is not loss.args[1]:
        return None
    _, e, total = _parts(b, args[0].args[0], ins)
    return b.multiply(e, b.emit(reciprocal, (total,), {}, total.shape, ins.dtype, ins), ins)


def _multiply(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    """g (e r - onehot(k)) = e (g r), less g at k."""
    for g, difference in (args, args[::-1]):
        if difference.op != "subtract" or difference.args[1].op != "one_hot" or difference.args[0].op != "multiply":
            continue
        (e, r), hot = difference.args[0].args, difference.args[1]
        target = hot.args[0]
        small = (*e.shape[:-1], 1)
        if e.op != "exp" or r.shape != small or e.shape != ins.shape or target.shape != e.shape[:-1]:
            continue
        if np.broadcast_shapes(g.shape, small) != small or g.dtype != ins.dtype:
            continue
        scaled = b.multiply(e, b.multiply(g, r, ins), ins)
        amount = b.broadcast_to(b.reshape(g, (1,) * (len(small) - g.ndim) + g.shape, ins), small, ins)
        amount = b.reshape(amount, target.shape, ins)
        return b.emit(take_off, (scaled, _spots_of(b, target, e, ins), amount), {}, ins.shape, ins.dtype, ins)
    return None


_OPENERS = {"softmax": _softmax, "cross_entropy": _cross_entropy, "exp": _exp, "multiply": _multiply}
