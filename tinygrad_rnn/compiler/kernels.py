"""Kernels: each primitive as NumPy calls on fixed arrays, with `out=`, so that a replay allocates nothing.

`bind` gives the calls of one instruction as (function, arguments). A primitive without an entry runs its own array
function and the result is copied: right for all, and fast enough for what does not stand in a loop.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ops.index import gather, take
from ..ops.special import sigmoid
from .program import Instruction
from .softmax import count_targets

Call = tuple[Callable[..., Any], tuple[Any, ...]]
Scratch = Callable[[tuple[int, ...], Any], np.ndarray]
Array = Any


def bind(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    """The calls that compute an instruction.

    args: the arrays (or numbers) of its operands. out: the array to fill.
    scratch: gives memory that the calls may use while they run.
    """
    assert ins.primitive is not None
    if not out.size:
        return []
    if isinstance(ins.primitive.forward, np.ufunc):
        function = _OUT_BY_NAME.get(ins.primitive.forward, ins.primitive.forward)
        return [(function, (*_typed(ins, args, out), out))]
    kernel = KERNELS.get(ins.primitive.name)
    calls = None
    if kernel is not None and all(isinstance(a, np.ndarray) and a.size for a in args):
        calls = kernel(ins, args, out, scratch)
    return [(_Generic(ins), (out, *args))] if calls is None else calls


def copy_to(out: np.ndarray, x: Array) -> Call:
    """The call that copies x, in any dtype and of a shape that broadcasts, into `out`.

    Where nothing has to be asked of the arrays first, writing an item takes half of the time of `np.copyto`, which lets
    any argument take over the call.
    """
    return (out.__setitem__, (..., x))


def _maximum(a: Array, b: Array, out: Array) -> None:
    np.maximum(a, b, out=out)


def _minimum(a: Array, b: Array, out: Array) -> None:
    np.minimum(a, b, out=out)


# NumPy takes `out` by position everywhere but here
_OUT_BY_NAME: dict[Any, Callable[..., Any]] = {np.maximum: _maximum, np.minimum: _minimum}


def overwrites(ins: Instruction) -> tuple[Instruction, ...]:
    """The operands of its own shape that an instruction may be written over."""
    if ins.primitive is None:
        return ()
    if isinstance(ins.primitive.forward, np.ufunc) or ins.op in ("sigmoid", "relu"):
        return ins.args
    return {"where": ins.args[2:], "take_off": ins.args[:1]}.get(ins.op, ())


def _typed(ins: Instruction, args: Sequence[Array], out: np.ndarray) -> list[Array]:
    """Operands with Python numbers as arrays of the type that the calculation has: they must not widen it, nor be
    converted anew.
    """
    if all(isinstance(a, np.ndarray) for a in args):
        return list(args)
    others = [a.dtype for a in args if isinstance(a, np.ndarray)]
    ufunc: Any = ins.primitive.forward if ins.primitive else None
    types = tuple(a.dtype if isinstance(a, np.ndarray) else type(a) for a in args)
    if others and all(t in (int, float) or isinstance(t, np.dtype) for t in types):
        resolved = ufunc.resolve_dtypes((*types, None))
        return [a if isinstance(a, np.ndarray) else _number(a, resolved[i]) for i, a in enumerate(args)]
    return list(args)


@functools.lru_cache(maxsize=256, typed=True)
def _number(value: Any, dtype: np.dtype) -> np.ndarray:
    """The same array for the same number, so that all steps of a loop show the same operand."""
    return np.asarray(value, dtype)


class _Generic:
    """The array function of a primitive, its result copied to where it belongs; it allocates."""

    def __init__(self, ins: Instruction) -> None:
        assert ins.primitive is not None
        self.forward = ins.primitive.forward
        self.params = ins.params

    def __call__(self, out: np.ndarray, *args: Array) -> None:
        np.copyto(out, self.forward(*args, **self.params))


def _matmul(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    a, b = args
    if a.ndim == 2 and b.ndim == 2 and out.flags.c_contiguous:
        return [(a.dot, (b, out))]
    return [(np.matmul, (a, b, out))]


def _sum(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    x, axis, keep = args[0], ins.params["axis"], ins.params["keepdims"]
    lead = len(axis)
    if x.dtype.kind == "f" and axis == tuple(range(lead)) and lead < x.ndim and not keep and out.flags.c_contiguous:
        # a product with ones runs at the speed of memory
        rows, flat = math.prod(x.shape[:lead]), out.reshape(-1)
        matrix = _matrix(x, lead)
        if matrix is not None:
            return [(_ones(rows, x.dtype).dot, (matrix, flat))]
        turned = np.moveaxis(x, -1, 0)
        if lead == x.ndim - 1 and turned.flags.c_contiguous:
            return [(turned.reshape(-1, rows).dot, (_ones(rows, x.dtype), flat))]
    return [(np.add.reduce, (x, axis, None, out, keep))]


def _matrix(x: np.ndarray, lead: int) -> np.ndarray | None:
    """The first `lead` axes as one and the others as one, if each row lies in one piece and they follow in equal
    steps.
    """
    try:
        matrix = x.reshape(math.prod(x.shape[:lead]), -1, copy=False)
    except ValueError:  # it would have to be copied
        return None
    return matrix if matrix.size and matrix.strides[1] == matrix.itemsize else None


@functools.lru_cache(maxsize=64)
def _ones(n: int, dtype: np.dtype) -> np.ndarray:
    return np.ones(n, dtype)


def _reducer(ufunc: np.ufunc) -> Any:
    def kernel(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
        return [(ufunc.reduce, (args[0], ins.params["axis"], None, out, ins.params["keepdims"]))]

    return kernel


def _copy(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    x = args[0]
    if ins.op == "reshape":
        out = out.reshape(x.shape)
    return [copy_to(out, x)]


def _where(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    condition, a, b = args
    if condition.dtype != np.bool_:
        return [(_Generic(ins), (out, *args))]
    first: list[Call] = [] if isinstance(b, np.ndarray) and _same_place(b, out) else [copy_to(out, b)]
    if not a.ndim and condition.shape == out.shape:
        return [*first, (out.__setitem__, (condition, a))]
    return [*first, (np.copyto, (out, a, "same_kind", condition))]


def _count_nonzero(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call] | None:
    return [(_count, (args[0], out))] if len(ins.params["axis"]) == args[0].ndim else None


def _count(x: Array, out: Array) -> None:
    out[...] = np.count_nonzero(x)


def _sigmoid(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    return [(sigmoid.forward, (args[0], out))]


def _relu(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    return [(_maximum, (args[0], _number(0, out.dtype), out))]


def _clip(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call] | None:
    low, high = ins.params.get("low"), ins.params.get("high")
    if out.dtype.kind != "f":
        return None
    calls: list[Call] = []
    x = args[0]
    for bounded, bound in ((_maximum, low), (_minimum, high)):
        if bound is not None:
            calls.append((bounded, (x, _number(bound, out.dtype), out)))
            x = out
    return calls or [copy_to(out, x)]


def _join(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    axis, start = ins.params["axis"], 0
    lead = (slice(None),) * axis
    calls: list[Call] = []
    for i, x in enumerate(args):
        index: Any = i if ins.op == "stack" else slice(start, start + x.shape[axis])
        if ins.op == "concatenate":
            start += x.shape[axis]
        part = out[(*lead, index, ...)]
        if x.size and not _same_place(x, part):
            calls.append(copy_to(part, x))
    return calls


def _same_place(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays of one shape are the same memory, so that nothing is left to copy."""
    return a.ctypes.data == b.ctypes.data and a.strides == b.strides


def _with_ones(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    return [copy_to(out[..., :-1], args[0]), (out[..., -1].fill, (1,))]


def _place(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    calls: list[Call] = [(out.fill, (0,))]
    for x, index in zip(args, ins.params["indices"], strict=True):
        part = out[index if isinstance(index, tuple) else (index,)]
        if not isinstance(part, np.ndarray):  # a single entry: a view of it needs the ellipsis
            part = out[(*(index if isinstance(index, tuple) else (index,)), ...)]
        calls.append((np.add, (part, x, part)))
    return calls


def _softmax(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    x, axis = args[0], ins.params["axis"]
    small = tuple(1 if i in axis else n for i, n in enumerate(x.shape))
    top, total = scratch(small, x.dtype), scratch(small, x.dtype)
    return [
        (np.maximum.reduce, (x, axis, None, top, True)), (np.subtract, (x, top, out)), (np.exp, (out, out)),
        (np.add.reduce, (out, axis, None, total, True)), (np.divide, (out, total, out)),
    ]  # fmt: skip


def _log_softmax(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    x, axis = args[0], ins.params["axis"]
    small = tuple(1 if i in axis else n for i, n in enumerate(x.shape))
    top, total, wide = scratch(small, x.dtype), scratch(small, x.dtype), scratch(x.shape, x.dtype)
    return [
        (np.maximum.reduce, (x, axis, None, top, True)), (np.subtract, (x, top, out)), (np.exp, (out, wide)),
        (np.add.reduce, (wide, axis, None, total, True)), (np.log, (total, total)), (np.subtract, (out, total, out)),
    ]  # fmt: skip


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
    first: list[Call] = [] if _same_place(x, out) else [copy_to(out, x)]
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


KERNELS: dict[str, Callable[..., list[Call] | None]] = {
    "matmul": _matmul, "sum": _sum, "max": _reducer(np.maximum), "min": _reducer(np.minimum),
    "prod": _reducer(np.multiply), "count_nonzero": _count_nonzero, "copy": _copy, "cell": _copy, "contiguous": _copy,
    "astype": _copy, "reshape": _copy, "transpose": _copy, "broadcast_to": _copy, "where": _where, "sigmoid": _sigmoid,
    "relu": _relu, "clip": _clip, "stack": _join, "concatenate": _join, "place": _place, "with_ones": _with_ones,
    "softmax": _softmax, "log_softmax": _log_softmax, "cross_entropy": _cross_entropy, "one_hot": _one_hot,
    "take_along_axis": _take_along_axis, "take": _take, "spots": _spots, "pick": _pick, "take_off": _take_off,
    "put": _put, "scatter_along_axis": _scatter_along,
}  # fmt: skip
