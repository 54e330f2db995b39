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

from ..ops.special import sigmoid
from .calls import Array, Call, Scratch, copy_to, same_place
from .lookups import LOOKUPS
from .program import CONSTANT, Instruction

SMALL = 1 << 16
"""Bytes of a result that leaves room in the cache for another operand."""


def bind(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call]:
    """The calls that compute an instruction.

    args: the arrays (or numbers) of its operands. out: the array to fill.
    scratch: gives memory that the calls may use while they run.
    """
    assert ins.primitive is not None
    if not out.size:
        return []
    if isinstance(ins.primitive.forward, np.ufunc):
        operands = _typed(ins, args, out)
        function = _OUT_BY_NAME.get(ins.primitive.forward)
        if function is None:
            return [(ins.primitive.forward, (*operands, out))]
        bounds = [_bound(x, out) if a.role == CONSTANT else x for a, x in zip(ins.args, operands, strict=True)]
        return [(function, (*bounds, out))]
    kernel = KERNELS.get(ins.primitive.name)
    calls = None
    if kernel is not None and all(isinstance(a, np.ndarray) and a.size for a in args):
        calls = kernel(ins, args, out, scratch)
    return [(_Generic(ins), (out, *args))] if calls is None else calls


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


def _bound(number: np.ndarray, out: np.ndarray) -> np.ndarray:
    """A number as NumPy compares it fastest: two arrays are compared by vector instructions, an array and a number
    entry by entry. It is repeated for small results only, which stay in the cache.
    """
    if number.ndim or not out.ndim or out.nbytes > SMALL:
        return number
    return _repeated(number.tobytes(), number.dtype, out.shape)


@functools.lru_cache(maxsize=64)
def _repeated(number: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, np.frombuffer(number, dtype)[0])


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
    first: list[Call] = [] if isinstance(b, np.ndarray) and same_place(b, out) else [copy_to(out, b)]
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
    return [(_maximum, (args[0], _bound(_number(0, out.dtype), out), out))]


def _clip(ins: Instruction, args: Sequence[Array], out: np.ndarray, scratch: Scratch) -> list[Call] | None:
    low, high = ins.params.get("low"), ins.params.get("high")
    if out.dtype.kind != "f":
        return None
    calls: list[Call] = []
    x = args[0]
    for bounded, bound in ((_maximum, low), (_minimum, high)):
        if bound is not None:
            calls.append((bounded, (x, _bound(_number(bound, out.dtype), out), out)))
            x = out
    return calls or [copy_to(out, x)]


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


KERNELS: dict[str, Callable[..., list[Call] | None]] = {
    "matmul": _matmul, "sum": _sum, "max": _reducer(np.maximum), "min": _reducer(np.minimum),
    "prod": _reducer(np.multiply), "count_nonzero": _count_nonzero, "copy": _copy, "cell": _copy, "contiguous": _copy,
    "astype": _copy, "reshape": _copy, "transpose": _copy, "broadcast_to": _copy, "where": _where, "sigmoid": _sigmoid,
    "relu": _relu, "clip": _clip, "place": _place, "with_ones": _with_ones,
    "softmax": _softmax, "log_softmax": _log_softmax, **LOOKUPS,
}  # fmt: skip
