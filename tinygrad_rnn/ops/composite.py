"""NumPy functions on Tensors that are written in other NumPy functions: neither a primitive nor a rule of their own.

Those that ask about arrays (`shape`, `allclose`) answer with plain values, as NumPy does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..primitive import implements
from .elementwise import astype
from .reduce import normalise


# questions
@implements(np.shape)
def _shape(a: Any) -> tuple[int, ...]:
    return tuple(a.shape)


@implements(np.ndim)
def _ndim(a: Any) -> int:
    return len(a.shape)


@implements(np.size)
def _size(a: Any, axis: Any = None) -> int:
    return math.prod(a.shape[i] for i in normalise(axis, len(a.shape)))


@implements(np.array_equal)
def _array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    return bool(np.array_equal(_values(a1, "array_equal()"), _values(a2, "array_equal()"), equal_nan=equal_nan))


@implements(np.allclose)
def _allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    return bool(np.allclose(_values(a, "allclose()"), _values(b, "allclose()"), rtol, atol, equal_nan))


@implements(np.isclose)
def _isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    return np.isclose(_values(a, "isclose()"), _values(b, "isclose()"), rtol, atol, equal_nan)


@implements(np.nonzero)
def _nonzero(a: Any) -> tuple[Any, ...]:
    return np.nonzero(_values(a, "nonzero()"))


def _values(a: Any, what: str) -> Any:
    """The array of a Tensor: the answer depends on values and carries no gradient. Raises where those are unknown."""
    return a._known(what) if hasattr(a, "_known") else a  # Tensor, which ops do not know


# choice
@implements(np.fmax)
def _fmax(a: Any, b: Any, /) -> Any:
    return _beside_nan(np.maximum, a, b)


@implements(np.fmin)
def _fmin(a: Any, b: Any, /) -> Any:
    return _beside_nan(np.minimum, a, b)


def _beside_nan(choose: Any, a: Any, b: Any) -> Any:
    """choose(a, b), with the other one where one is NaN."""
    return np.where(np.isnan(a), b, np.where(np.isnan(b), a, choose(a, b)))


@implements(np.fabs)
def _fabs(x: Any, /) -> Any:
    dtype = np.promote_types(np.fabs(np.zeros((), x.dtype)).dtype, np.float32)  # NumPy's half precision is not ours
    return np.absolute(x if x.dtype.kind == "f" else astype(x, dtype=dtype))


@implements(np.round, np.around)
def _round(a: Any, decimals: int = 0) -> Any:
    if not decimals:
        return np.rint(a)
    scale = 10.0 ** abs(decimals)
    return np.rint(a * scale) / scale if decimals > 0 else np.rint(a / scale) * scale


@implements(np.full_like)
def _full_like(a: Any, fill_value: Any, dtype: Any = None) -> Any:
    return np.ones_like(a, dtype=a.dtype if dtype is None else np.dtype(dtype)) * fill_value


@implements(np.argsort)
def _argsort(a: Any, axis: int | None = -1, *, stable: bool | None = None) -> Any:
    return np.argsort(_values(a, "argsort()"), axis=axis, stable=True)


@implements(np.sort)
def _sort(a: Any, axis: int | None = -1, *, stable: bool | None = None) -> Any:
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    return np.take_along_axis(a, np.argsort(_values(a, "sort()"), axis=axis, stable=True), axis=axis)


# diagonals and differences
@implements(np.diagonal)
def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    first, second = normalise(axis1, a.ndim)[0], normalise(axis2, a.ndim)[0]
    if first == second:
        raise ShapeError(f"diagonal: axis1={axis1} and axis2={axis2} are the same axis of shape {list(a.shape)}.")
    rest = [i for i in range(a.ndim) if i not in (first, second)]
    rows, columns = a.shape[first], a.shape[second]
    where = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0))))
    return np.transpose(a, rest + [first, second])[..., where - min(offset, 0), where + max(offset, 0)]


@implements(np.diag)
def _diag(v: Any, k: int = 0) -> Any:
    if v.ndim == 2:
        return np.diagonal(v, k)
    if v.ndim != 1:
        raise ShapeError(f"diag: expected an array of 1 or 2 axes, got shape {list(v.shape)}.")
    size = v.shape[0] + abs(k)
    spread = np.pad(v, (max(k, 0), max(-k, 0)))
    columns, rows = np.arange(size), np.arange(size)[:, None]
    return np.where(columns - rows == k, np.broadcast_to(spread, (size, size)), np.zeros((size, size), dtype=v.dtype))


@implements(np.trace)
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@implements(np.diff)
def _diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    lead = (slice(None),) * normalise(axis, a.ndim)[0]
    for _ in range(n):
        a = a[(*lead, slice(1, None))] - a[(*lead, slice(None, -1))]
    return a


# joining and cutting
@implements(np.atleast_1d)
def _atleast_1d(*arys: Any) -> Any:
    return _each(arys, lambda a: a if a.ndim else np.reshape(a, (1,)))


@implements(np.atleast_2d)
def _atleast_2d(*arys: Any) -> Any:
    return _each(arys, lambda a: a if a.ndim > 1 else np.reshape(a, (1, -1)))


@implements(np.atleast_3d)
def _atleast_3d(*arys: Any) -> Any:
    return _each(arys, _three)


def _three(a: Any) -> Any:
    shape = tuple(a.shape)
    return a if len(shape) > 2 else np.reshape(a, (*shape, 1) if len(shape) == 2 else (1, math.prod(shape), 1))


def _each(arys: Any, function: Any) -> Any:
    results = tuple(function(a) for a in arys)
    return results[0] if len(results) == 1 else results


@implements(np.vstack)
def _vstack(tup: Any) -> Any:
    return np.concatenate([np.atleast_2d(a) for a in tup], 0)


@implements(np.hstack)
def _hstack(tup: Any) -> Any:
    arrays = [np.atleast_1d(a) for a in tup]
    return np.concatenate(arrays, 0 if arrays[0].ndim == 1 else 1)


@implements(np.dstack)
def _dstack(tup: Any) -> Any:
    return np.concatenate([np.atleast_3d(a) for a in tup], 2)


@implements(np.column_stack)
def _column_stack(tup: Any) -> Any:
    return np.concatenate([a if a.ndim > 1 else np.reshape(a, (-1, 1)) for a in tup], 1)


@implements(np.vsplit)
def _vsplit(ary: Any, indices_or_sections: Any) -> Any:
    return np.split(ary, indices_or_sections, 0)


@implements(np.hsplit)
def _hsplit(ary: Any, indices_or_sections: Any) -> Any:
    return np.split(ary, indices_or_sections, 0 if ary.ndim == 1 else 1)


@implements(np.fliplr)
def _fliplr(m: Any) -> Any:
    return np.flip(m, 1)


@implements(np.flipud)
def _flipud(m: Any) -> Any:
    return np.flip(m, 0)
