"""Lookups: the kernels of what reads or writes entries by index, losses of labels among them.

NumPy's fast ways to do so bend an index into range; so that a wrong one is told, they are checked first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ops.index import gather, take
from .calls import Array, Call, Scratch, copy_to, same_place
from .program import Instruction
from .softmax import count_targets

_UNSIGNED = {np.dtype(np.int64): np.uint64, np.dtype(np.int32): np.uint32}


class _InRange:
    """Raise IndexError for indices that NumPy's unbuffered modes would bend into range."""

    def __init__(self, what: str, low: int, high: int, index: np.ndarray, ignore: int | None = None) -> None:
        self.what, self.low, self.high, self.index, self.ignore = what, low, high, index, ignore
        unsigned = None if low else _UNSIGNED.get(index.dtype)
        # seen as unsigned, negative numbers are large ones, so one pass tells both
        self.unsigned = None if unsigned is None else index.view(unsigned)

    def check(self) -> None:
        if self.unsigned is not None:
            outside = self.unsigned.item(self.unsigned.argmax()) >= self.high
        else:
            low, high = np.minimum.reduce(self.index, None), np.maximum.reduce(self.index, None)
            outside = low < self.low or high >= self.high
        if outside:
            index = self.index
            wrong = index[(index < self.low) | (index >= self.high)]
            wrong = wrong[wrong != self.ignore] if self.ignore is not None else wrong
            if wrong.size:
                raise IndexError(
                    f"{self.what} {wrong.flat[0]} is out of bounds: expected {self.low} to {self.high - 1}."
                )


def _flat_index(target: np.ndarray, classes: int, scratch: Scratch) -> tuple[np.ndarray, Call]:
    """Positions of (row, target[row]) in a flat array of rows, and the call that works them out."""
    rows = np.arange(target.size, dtype=np.intp).reshape(target.shape) * classes
    where = scratch(target.shape, np.intp)
    return where, (np.add, (rows, target, where))


def _spots(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call] | None:
    (target,), classes = args, ins.params["classes"]
    if not np.can_cast(target.dtype, np.intp):
        return None
    check: Call = (_InRange("Target", 0, classes, target).check, ())
    count = count_targets(target.shape[ins.params.get("lead", 0) :])
    if ins.params["axis"]:
        return [check, (np.add, (count * classes, target, out))]
    return [check, (np.multiply, (target, target.size, out)), (np.add, (out, count, out))]


def _cross_entropy(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call] | None:
    z, target = args
    if not z.flags.c_contiguous or target.shape != z.shape[:-1] or not out.flags.c_contiguous:
        return None
    classes, ignore = z.shape[-1], ins.params.get("ignore")
    wide, top, total = scratch(z.shape, z.dtype), scratch(target.shape, z.dtype), scratch(target.shape, z.dtype)
    where, locate = _flat_index(target, classes, scratch)
    column = top[..., None]
    calls: list[Call] = [
        (_InRange("Target", 0, classes, target, ignore).check, ()),
        (np.maximum.reduce, (z, -1, None, column, True)), (np.subtract, (z, column, wide)), (np.exp, (wide, wide)),
        (np.add.reduce, (wide, -1, None, total)), (np.log, (total, total)), (np.add, (total, top, total)),
        locate, (z.reshape(-1).take, (where, None, out, "clip")), (np.subtract, (total, out, out)),
    ]  # fmt: skip
    if ignore is not None:
        hidden = scratch(target.shape, np.bool_)
        calls += [(np.equal, (target, ignore, hidden)), (out.__setitem__, (hidden, 0))]
    return calls


def _one_hot(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call] | None:
    if not out.flags.c_contiguous:
        return None
    target, classes = args[0], ins.params["classes"]
    where, locate = _flat_index(target, classes, scratch)
    check = (_InRange("Target", 0, classes, target).check, ())
    return [check, (out.fill, (0,)), locate, (out.reshape(-1).__setitem__, (where, 1))]


def _take_along_axis(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call] | None:
    x, index = args
    last = ins.params["axis"] % x.ndim == x.ndim - 1
    if not (last and x.flags.c_contiguous and out.flags.c_contiguous and index.shape == (*x.shape[:-1], 1)):
        return None
    where, locate = _flat_index(index[..., 0], x.shape[-1], scratch)
    check: Call = (_InRange("index", 0, x.shape[-1], index).check, ())
    return [check, locate, (x.reshape(-1).take, (where, None, out.reshape(where.shape), "clip"))]


def _pick(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call] | None:
    x, where = args
    return [(x.reshape(-1).take, (where, None, out, "clip"))] if x.flags.c_contiguous else None


def _take_off(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call] | None:
    x, where, amount = args
    if not out.flags.c_contiguous:
        return None
    flat, picked = out.reshape(-1), scratch(where.shape, out.dtype)
    first: list[Call] = [] if same_place(x, out) else [copy_to(out, x)]
    return [
        *first, (flat.take, (where, None, picked, "clip")), (np.subtract, (picked, amount, picked)),
        (flat.__setitem__, (where, picked)),
    ]  # fmt: skip


def _take(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call] | None:
    if len(args) != 2 or len(ins.params["pattern"]) != 1 or args[1].dtype.kind not in "iu":
        return None
    table, index = args
    low = 0 if ins.params["pattern"][0].natural else -table.shape[0]
    check = (_InRange("index", low, table.shape[0], index).check, ())
    if not out.flags.c_contiguous:
        return None
    return [check, (np.take, (table, index, 0, out, "wrap"))]


def _put(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    assert take.scatter is not None
    scatter: Any = functools.partial(take.scatter, pattern=ins.params["pattern"])
    return [(out.fill, (0,)), (scatter, (out, *args))]


def _scatter_along(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    assert gather.scatter is not None
    return [(out.fill, (0,)), (functools.partial(gather.scatter, axis=ins.params["axis"]), (out, *args))]


LOOKUPS: dict[str, Callable[..., list[Call] | None]] = {
    "cross_entropy": _cross_entropy, "one_hot": _one_hot, "take_along_axis": _take_along_axis, "take": _take,
    "spots": _spots, "pick": _pick, "take_off": _take_off, "put": _put, "scatter_along_axis": _scatter_along,
}  # fmt: skip
