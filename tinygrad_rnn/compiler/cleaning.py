"""Algebraic clean-up: what does nothing goes away, and what can be said in several ways is said in one.

After it concatenations of equal parts are stacks, cotangents of slices that tile an axis are concatenations, means are
sums, and broadcasting is left to the operation that needs it; later passes then need to know fewer forms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops.shape import concatenate
from ..primitive import PRIMITIVES
from .builder import Builder, normal_index, rewrite
from .program import CONSTANT, Instruction, Program

Args = tuple[Instruction, ...]
Simplify = Callable[[Builder, Instruction, Args], Instruction | None]


def clean(program: Program) -> Program:
    """Apply the rules of this file to every instruction once, operands first."""

    def rule(b: Builder, ins: Instruction, args: Args) -> Instruction:
        assert ins.primitive is not None
        if ins.primitive.kind == "elementwise":
            forms = [a.op for a in args]
            if "broadcast_to" in forms:
                args = _without_broadcasts(args, ins.shape)
            if CONSTANT in forms:
                args = _typed_numbers(b, args)
            if "reshape" in forms:
                flat = _through_reshape(b, ins, args)
                if flat is not None:
                    return flat
        simplify = RULES.get(ins.primitive.name)
        found = simplify(b, ins, args) if simplify is not None else None
        if found is not None and found.shape == ins.shape and found.dtype == ins.dtype:
            return found
        return b.again(ins, args)

    return rewrite(program, rule)


def _without_broadcasts(args: Args, shape: tuple[int, ...]) -> Args:
    """Operands that were repeated by hand, as they were before, where the result has its shape without that."""
    for i, a in enumerate(args):
        if a.op == "broadcast_to":
            shorter = (*args[:i], a.args[0], *args[i + 1 :])
            if np.broadcast_shapes(*(x.shape for x in shorter)) == shape:
                args = shorter
    return args


def _typed_numbers(b: Builder, args: Args) -> Args:
    """Python numbers as what they become beside arrays of one dtype, so that equal computations look equal."""
    numbers = [a for a in args if a.role == CONSTANT and type(a.value) in (int, float)]
    dtypes = {a.dtype for a in args if a.shape}
    if not numbers or len(dtypes) != 1:
        return args
    (dtype,) = dtypes
    typed = {a: b.constant(a.value, dtype) for a in numbers if np.result_type(dtype, a.value) == dtype}
    return tuple([typed.get(a, a) for a in args])


def _through_reshape(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    """An elementwise operation on a reshaped value and vectors along its last axis, done before the reshape."""
    shaped = [a for a in args if a.ndim > 1]
    if any(a.op != "reshape" or a.shape != ins.shape or not a.args[0].ndim for a in shaped) or not shaped:
        return None
    sources = [a.args[0] for a in shaped]
    if any(x.shape != sources[0].shape for x in sources) or sources[0].shape[-1] != ins.shape[-1]:
        return None
    if sources[0].ndim >= ins.ndim:
        return None
    inner = tuple(a.args[0] if a.ndim > 1 else a for a in args)
    made = b.emit(ins.primitive, inner, ins.params, sources[0].shape, ins.dtype, ins)
    return b.reshape(made, ins.shape, ins)


def _number(ins: Instruction) -> Any:
    """The number that a value is in every entry, if that is known; else None."""
    if ins.op == "broadcast_to":
        ins = ins.args[0]
    if ins.role != CONSTANT or ins.shape:
        return None
    return ins.value.item() if isinstance(ins.value, np.ndarray) else ins.value


def _first(b: Builder, ins: Instruction, args: Args) -> Instruction:
    return args[0]


def _reshape(b: Builder, ins: Instruction, args: Args) -> Instruction:
    x = args[0]
    if x.op == "broadcast_to" and not x.args[0].shape:
        return b.broadcast_to(x.args[0], ins.shape, ins)
    return b.reshape(x, ins.shape, ins)


def _transpose(b: Builder, ins: Instruction, args: Args) -> Instruction:
    x = args[0]
    if (
        x.op == "matmul"
        and x.ndim == 2
        and x.args[0].ndim == 2
        and x.args[1].ndim == 2
        and ins.params["axes"] == (1, 0)
    ):
        left, right = x.args
        return b.matmul(b.transpose(right, (1, 0), ins), b.transpose(left, (1, 0), ins), ins)
    return b.transpose(args[0], ins.params["axes"], ins)


def _broadcast_to(b: Builder, ins: Instruction, args: Args) -> Instruction:
    return b.broadcast_to(args[0], ins.shape, ins)


def _add(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    for x, other in (args, args[::-1]):
        if _number(other) == 0:
            return x
    return None


def _subtract(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    return args[0] if _number(args[1]) == 0 else None


def _multiply(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    for x, other in (args, args[::-1]):
        if _number(other) == 1:
            return x
    return None


def _divide(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    return args[0] if _number(args[1]) == 1 else None


def _power(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    exponent = _number(args[1])
    if exponent == 2:
        return b.multiply(args[0], args[0], ins)
    return args[0] if exponent == 1 else None


def _square(b: Builder, ins: Instruction, args: Args) -> Instruction:
    return b.multiply(args[0], args[0], ins)


def _negative(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    return args[0].args[0] if args[0].op == "negative" else None


def _like(value: float) -> Simplify:
    return lambda b, ins, args: b.full(value, ins.shape, ins.dtype, ins)


def _sum(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    x, axis = args[0], ins.params["axis"]
    if all(x.shape[i] == 1 for i in axis):
        return b.reshape(x, ins.shape, ins)
    if ins.params["keepdims"]:
        return b.reshape(b.sum(x, axis, ins), ins.shape, ins)
    return None


def _mean(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    x, axis = args[0], ins.params["axis"]
    count = 1
    for i in axis:
        count *= x.shape[i]
    if not count or x.dtype.kind != "f":
        return None
    total = b.reshape(b.sum(x, axis, ins), ins.shape, ins)
    return total if count == 1 else b.multiply(total, b.constant(1.0 / count, x.dtype), ins)


def _where(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    """x where a != b and else y is y where a == b and else x, so that both ways to say it are one."""
    condition, x, y = args
    if condition.op != "not_equal":
        return None
    same = b.emit(PRIMITIVES["equal"], condition.args, {}, condition.shape, condition.dtype, condition)
    return b.emit(ins.primitive, (same, y, x), {}, ins.shape, ins.dtype, ins)


def _getitem(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    x = args[0]
    index = normal_index(ins.params["index"], x.shape)
    if index is None:
        return None
    if x.op == "stack":
        axis = x.params["axis"]
        if isinstance(index[axis], int):
            return b.getitem(x.args[index[axis]], (*index[:axis], *index[axis + 1 :]), ins)
    if x.op == "concatenate" and isinstance(index[x.params["axis"]], slice) and index[x.params["axis"]].step == 1:
        axis, start = x.params["axis"], 0
        for part in x.args:
            stop = start + part.shape[axis]
            if (index[axis].start, index[axis].stop) == (start, stop):
                whole = slice(0, stop - start, 1)
                return b.getitem(part, (*index[:axis], whole, *index[axis + 1 :]), ins)
            start = stop
    if x.op == "place":
        return _getitem_of_place(b, ins, x, index)
    if x.op == "broadcast_to" and not x.args[0].shape:
        return b.broadcast_to(x.args[0], ins.shape, ins)
    if x.op == "getitem":
        outer = normal_index(x.params["index"], x.args[0].shape)
        composed = None if outer is None else _compose(outer, index)
        if composed is not None:
            return b.getitem(x.args[0], composed, ins)
    return b.getitem(x, index, ins)


def _compose(outer: tuple[Any, ...], inner: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The index that reads `x[outer][inner]` from x at once."""
    rest = iter(inner)
    composed: list[Any] = []
    for o in outer:
        if not isinstance(o, slice):
            composed.append(o)
            continue
        i = next(rest)
        if isinstance(i, slice):
            length = len(range(i.start, i.stop, i.step))
            start = o.start + i.start * o.step
            composed.append(slice(start, start + length * o.step * i.step, o.step * i.step))
            if o.step * i.step != 1:
                return None
        else:
            composed.append(o.start + i * o.step)
    return tuple(composed)


def _getitem_of_place(b: Builder, ins: Instruction, x: Instruction, index: tuple[Any, ...]) -> Instruction | None:
    """Reading exactly one of the parts that were placed, or a place between them."""
    places = [normal_index(i, x.shape) for i in x.params["indices"]]
    if any(p is None for p in places):
        return None
    if places.count(index) == 1 and all(p == index or _disjoint(p, index) for p in places):
        return x.args[places.index(index)]
    if all(_disjoint(p, index) for p in places):
        return b.full(0, ins.shape, ins.dtype, ins)
    return None


def _disjoint(p: Any, q: Any) -> bool:
    for a, c in zip(p, q, strict=True):
        low, high = (a, a + 1) if isinstance(a, int) else (a.start, a.stop)
        start, stop = (c, c + 1) if isinstance(c, int) else (c.start, c.stop)
        if high <= start or stop <= low:
            return True
    return False


def _concatenate(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    axis = ins.params["axis"]
    filled = tuple(a for a in args if a.shape[axis])
    if len(filled) == 1:
        return filled[0]
    if len(filled) > 1 and all(a.shape == filled[0].shape and a.dtype == ins.dtype for a in filled):
        return b.reshape(b.stack(filled, axis, ins), ins.shape, ins)
    return None


def _stack(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    return b.stack(args, ins.params["axis"], ins) if all(a.dtype == ins.dtype for a in args) else None


def _place(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    """Parts that tile one axis are a stack or a concatenation; zeros fill what is left between them."""
    shape = ins.params["shape"]
    indices = [normal_index(i, shape) for i in ins.params["indices"]]
    axis = _only_axis(indices, shape)
    if axis is None or not args:
        return None
    entries = sorted(zip((i[axis] for i in indices if i), args, strict=True), key=lambda e: _start(e[0]))
    points = all(isinstance(i, int) for i, _ in entries)
    parts: list[Instruction] = []
    reached = 0
    for i, part in entries:
        start, stop = (i, i + 1) if isinstance(i, int) else (i.start, i.stop)
        if start < reached or (isinstance(i, slice) and i.step != 1):
            return None
        if start > reached:
            if not points or len(entries) * 2 < shape[axis]:
                return None  # mostly zeros: filling a buffer once and for all is better
            gap = b.full(0, part.shape, part.dtype, ins)
            parts += [gap] * (start - reached)
        parts.append(part if points or isinstance(i, slice) else _with_axis(b, part, axis, ins))
        reached = stop
    if reached < shape[axis]:
        if not points or len(entries) * 2 < shape[axis]:
            return None
        parts += [b.full(0, parts[0].shape, ins.dtype, ins)] * (shape[axis] - reached)
    if any(p.dtype != ins.dtype for p in parts):
        return None
    if points:
        return b.stack(tuple(parts), axis, ins)
    params = {"axis": axis}
    made = Instruction(concatenate, tuple(parts), params, shape, ins.dtype, ins.scope, ins.backward, ins.key)
    return _concatenate(b, made, made.args) or b.emit(concatenate, made.args, params, shape, ins.dtype, ins)


def _with_axis(b: Builder, x: Instruction, axis: int, like: Instruction) -> Instruction:
    return b.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]), like)


def _start(i: Any) -> int:
    return i.start if isinstance(i, slice) else i


def _only_axis(indices: list[Any], shape: tuple[int, ...]) -> int | None:
    """The one axis that these indices cut, if it is the same for all."""
    axes = set()
    for index in indices:
        if index is None:
            return None
        axes |= {k for k, (i, n) in enumerate(zip(index, shape, strict=True)) if i != slice(0, n, 1)}
    if not axes and shape:
        return 0
    return axes.pop() if len(axes) == 1 else None


def _matmul(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    """A stack of matrices times one matrix is one product of all rows."""
    left, right = args
    if left.ndim < 3 or right.ndim != 2 or not ins.size or not left.size:
        return None
    rows = b.reshape(left, (ins.size // ins.shape[-1], left.shape[-1]), ins)
    return b.reshape(b.matmul(rows, right, ins), ins.shape, ins)


def _astype(b: Builder, ins: Instruction, args: Args) -> Instruction | None:
    return args[0] if args[0].dtype == ins.dtype else None


RULES: dict[str, Simplify] = {
    "reshape": _reshape, "transpose": _transpose, "broadcast_to": _broadcast_to, "copy": _first, "positive": _first,
    "astype": _astype, "add": _add, "subtract": _subtract, "multiply": _multiply, "divide": _divide, "power": _power,
    "square": _square, "negative": _negative, "zeros_like": _like(0), "ones_like": _like(1), "sum": _sum,
    "mean": _mean, "matmul": _matmul, "getitem": _getitem, "concatenate": _concatenate, "stack": _stack,
    "place": _place, "where": _where,
}  # fmt: skip
