"""Views as addresses: which entries of which value a view shows, as an offset and strides, counted in entries.

With it the question whether several values already lie side by side becomes arithmetic: equal shapes and strides, and
offsets in equal steps. The value itself is taken to lie in C order; planning sees to it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..primitive import Primitive
from .builder import Builder
from .program import Instruction


def _strided(x: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    flat = np.ascontiguousarray(x).reshape(-1)
    if not math.prod(shape):
        return np.empty(shape, flat.dtype)
    return as_strided(flat[offset:], shape, tuple(s * flat.itemsize for s in strides), writeable=False)


# A view of any form. Only the compiler makes it, after differentiation, so it needs no rule and stands in no table.
strided = Primitive("strided", _strided, "shape")


class Address(NamedTuple):
    """Entry i, j, ... of a view is entry `offset + i * strides[0] + j * strides[1] ...` of `root`, whose entries lie in
    C order.
    """

    root: Instruction
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def is_plain(self) -> bool:
        """Whether it begins where the value does, and goes through it in order."""
        return self.offset == 0 and self.strides == contiguous(self.shape)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of C order."""
    strides = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def address(ins: Instruction, known: dict[Instruction, Address]) -> Address:
    """Where a value lies, through all views; `known` is filled on the way."""
    chain = []
    while ins not in known:
        chain.append(ins)
        if ins.op in _STEPS:
            ins = ins.args[0]
        else:
            known[ins] = Address(ins, 0, ins.shape, contiguous(ins.shape))
    for ins in reversed(chain):
        if ins in known:
            continue
        step = _STEPS[ins.op](known[ins.args[0]], ins)
        known[ins] = step or Address(ins, 0, ins.shape, contiguous(ins.shape))
    return known[chain[0]] if chain else known[ins]


def _getitem(a: Address, ins: Instruction) -> Address | None:
    index = ins.params["index"]
    if not isinstance(index, tuple) or len(index) != len(a.shape):
        return None
    offset, shape, strides = a.offset, [], []
    for i, n, s in zip(index, a.shape, a.strides, strict=True):
        if isinstance(i, slice):
            start, stop, step = i.indices(n)
            if step < 0:
                return None
            offset += start * s
            shape.append(len(range(start, stop, step)))
            strides.append(s * step)
        elif isinstance(i, int):
            offset += (i + n if i < 0 else i) * s
        else:
            return None
    return Address(a.root, offset, tuple(shape), tuple(strides))


def _transpose(a: Address, ins: Instruction) -> Address:
    axes = ins.params["axes"]
    return Address(a.root, a.offset, tuple(a.shape[i] for i in axes), tuple(a.strides[i] for i in axes))


def _broadcast_to(a: Address, ins: Instruction) -> Address:
    lead = ins.ndim - len(a.shape)
    strides = tuple(0 if n == 1 and m != 1 else s for n, m, s in zip(a.shape, ins.shape[lead:], a.strides, strict=True))
    return Address(a.root, a.offset, ins.shape, (0,) * lead + strides)


def _reshape(a: Address, ins: Instruction) -> Address | None:
    """The strides of a reshaped view, where one exists: runs of axes that lie evenly can be split and joined."""
    if not ins.size:
        return None
    runs: list[list[int]] = []  # [entries, stride of the last]
    for n, s in zip(a.shape, a.strides, strict=True):
        if n == 1:
            continue
        if runs and runs[-1][1] == n * s:
            runs[-1] = [runs[-1][0] * n, s]
        else:
            runs.append([n, s])
    strides = [0] * ins.ndim
    axis = ins.ndim - 1
    for n, s in reversed(runs):
        rest, step = n, s
        while rest > 1:
            size = ins.shape[axis]
            if rest % size:
                return None
            strides[axis] = step
            rest //= size
            step *= size
            axis -= 1
    return Address(a.root, a.offset, ins.shape, tuple(strides))


def _again(a: Address, ins: Instruction) -> Address | None:
    if not a.is_plain():
        return None
    p = ins.params
    return Address(a.root, p["offset"], p["shape"], p["strides"])


_STEPS: dict[str, Any] = {
    "getitem": _getitem, "transpose": _transpose, "broadcast_to": _broadcast_to, "reshape": _reshape, "strided": _again,
}  # fmt: skip


def side_by_side(parts: list[Address]) -> Address | None:
    """The address of parts stacked along a new first axis, if they lie in equal steps in one value; else None."""
    first = parts[0]
    if any(p.root is not first.root or p.shape != first.shape or p.strides != first.strides for p in parts):
        return None
    step = parts[1].offset - first.offset if len(parts) > 1 else 0
    if any(p.offset != first.offset + i * step for i, p in enumerate(parts)):
        return None
    return Address(first.root, first.offset, (len(parts), *first.shape), (step, *first.strides))


def in_grid(parts: list[Address]) -> tuple[int, Address] | None:
    """As `side_by_side` for parts that lie in rows of equal steps: the length of a row, and the address with two new
    axes.
    """
    first, n = parts[0], len(parts)
    if any(p.root is not first.root or p.shape != first.shape or p.strides != first.strides for p in parts):
        return None
    offsets = [p.offset for p in parts]
    step = offsets[1] - offsets[0]
    row = next((i for i in range(1, n) if offsets[i] - offsets[i - 1] != step), n)
    if n % row or row == n:
        return None
    jump = offsets[row] - offsets[0]
    if any(o != offsets[0] + (i // row) * jump + (i % row) * step for i, o in enumerate(offsets)):
        return None
    return row, Address(first.root, first.offset, (n // row, row, *first.shape), (jump, step, *first.strides))


def evenly(parts: list[Address]) -> tuple[int, Address] | None:
    """The address of parts that lie side by side, or in a grid, and the length of a row: of all parts, if in one."""
    flat = side_by_side(parts)
    return in_grid(parts) if flat is None else (len(parts), flat)


def emit(b: Builder, a: Address, like: Instruction) -> Instruction:
    """An instruction that shows this address: the value itself, a reshape of it, or a view of any form."""
    if a.is_plain() and math.prod(a.shape) == a.root.size:
        return b.reshape(a.root, a.shape, like)
    params = {"shape": a.shape, "strides": a.strides, "offset": a.offset}
    return b.emit(strided, (a.root,), params, a.shape, a.root.dtype, like)
