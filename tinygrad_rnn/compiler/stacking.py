"""How each primitive runs on stacked operands: n alike operations as one, on an extra leading axis.

One entry per primitive that can; the rest are done one by one. Operands are either shared (the same value for all) or
stacked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ops.index import Slot
from .address import address
from .builder import Builder, volume
from .program import Instruction

Stacked = Sequence[bool]
Batcher = Callable[[Builder, Instruction, list[Instruction], Stacked, int], Instruction | None]


def batched(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    """`one`, a member of the group, done n times at once: (n, *shape), or None if its primitive cannot.

    args: operands, those marked in `stacked` with a leading axis n.
    """
    assert one.primitive is not None
    if one.primitive.kind == "elementwise":
        return _emit(b, one, [_wide(b, x, one.ndim, s, one) for x, s in zip(args, stacked, strict=True)], n)
    batcher = _BATCHERS.get(one.primitive.name)
    return batcher(b, one, args, stacked, n) if batcher is not None else None


def _wide(b: Builder, x: Instruction, ndim: int, stacked: bool, like: Instruction) -> Instruction:
    """A stacked operand with so many axes that its leading one stays in front when broadcast."""
    if not stacked or x.ndim == ndim + 1:
        return x
    return b.reshape(x, (x.shape[0], *(1,) * (ndim + 1 - x.ndim), *x.shape[1:]), like)


def _emit(b: Builder, one: Instruction, args: Sequence[Instruction], n: int, **params: Any) -> Instruction:
    return b.emit(one.primitive, tuple(args), {**one.params, **params}, (n, *one.shape), one.dtype, one)


def _full(b: Builder, args: list[Instruction], stacked: Stacked, n: int, like: Instruction) -> list[Instruction]:
    """All operands stacked, shared ones repeated without copying."""
    return [x if s else b.broadcast_to(x, (n, *x.shape), like) for x, s in zip(args, stacked, strict=True)]


def _matmul(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    (left, right), (many_left, many_right) = args, stacked
    a_ndim, b_ndim = left.ndim - many_left, right.ndim - many_right
    if a_ndim == b_ndim == 2 and many_left and not many_right and _in_rows(left):
        rows = b.reshape(left, (n * left.shape[1], left.shape[2]), one)
        return b.reshape(b.matmul(rows, right, one), (n, *one.shape), one)
    if a_ndim == 1 and b_ndim == 2 and many_left and not many_right:
        return b.matmul(left, right, one)
    if a_ndim == 1:
        left = b.reshape(left, (*left.shape[:-1], 1, left.shape[-1]), one)
    if b_ndim == 1:
        right = b.reshape(right, (*right.shape, 1), one)
    ndim = max(left.ndim - many_left, right.ndim - many_right)
    product = b.matmul(_wide(b, left, ndim, many_left, one), _wide(b, right, ndim, many_right, one), one)
    return b.reshape(product, (n, *one.shape), one) if volume(product.shape) == n * one.size else None


def _in_rows(x: Instruction) -> bool:
    """Whether the matrices of a stack can be seen as one with all their rows, without copying."""
    strides = address(x, {}).strides
    return strides[0] == x.shape[1] * strides[1]


def _axes(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    """Reductions over a tuple of axes: each moves by one."""
    return _emit(b, one, args, n, axis=tuple(i + 1 for i in one.params["axis"]))


def _spots(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    return _emit(b, one, args, n, lead=one.params.get("lead", 0) + 1) if one.params["axis"] else None


def _at_spots(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    """Positions within each of n values become positions within the stack of them."""
    x, where, *rest = _full(b, args, stacked, n, one)
    steps = np.arange(n).reshape(n, *(1,) * (where.ndim - 1)) * (x.size // n)
    return _emit(b, one, [x, b.add(where, b.constant(steps, where.dtype), one), *rest], n)


def _axis(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    """One axis, or None for all, which has no stacked form."""
    axis = one.params["axis"]
    if axis is None:
        return None
    return _emit(b, one, _full(b, args, stacked, n, one), n, axis=axis + 1 if axis >= 0 else axis)


def _same(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    """Primitives that work on the last axes and take any number in front."""
    return _emit(b, one, _full(b, args, stacked, n, one), n)


def _take(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    """Rows of one table for n index arrays."""
    if stacked[0] or not all(stacked[1:]) or not all(isinstance(p, Slot) for p in one.params["pattern"]):
        return None
    if len({x.ndim for x in args[1:]}) > 1 or any(x.dtype.kind == "b" for x in args[1:]):
        return None
    return _emit(b, one, args, n)


def _place(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    indices = tuple((slice(None), *(i if isinstance(i, tuple) else (i,))) for i in one.params["indices"])
    return _emit(b, one, _full(b, args, stacked, n, one), n, indices=indices, shape=(n, *one.params["shape"]))


def _scatter(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    axis = one.params["axis"]
    moved = axis + 1 if axis >= 0 else axis
    return _emit(b, one, _full(b, args, stacked, n, one), n, axis=moved, shape=(n, *one.params["shape"]))


def _flip(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    return _emit(b, one, args, n, axis=tuple(i + 1 for i in one.params["axis"]))


def _pad(b: Builder, one: Instruction, args: list[Instruction], stacked: Stacked, n: int) -> Instruction | None:
    return _emit(b, one, args, n, width=((0, 0), *one.params["width"]))


_BATCHERS: dict[str, Batcher] = {
    "matmul": _matmul, "concatenate": _axis, "stack": _axis, "take_along_axis": _axis, "cumsum": _axis, "repeat": _axis,
    "argmax": _axis, "argmin": _axis, "scatter_along_axis": _scatter, "one_hot": _same, "cross_entropy": _same,
    "spots": _spots, "pick": _at_spots, "take_off": _at_spots, "tril": _same, "triu": _same, "take": _take,
    "place": _place, "flip": _flip, "roll": _flip, "pad": _pad,
} | dict.fromkeys(
    "sum mean max min prod var std logsumexp softmax log_softmax any all count_nonzero".split(), _axes
)  # fmt: skip
