"""NumPy's reductions on Tensors, with NumPy's signatures: what they normalise before they reach the primitives.

`initial` and `where` have no rule and are refused by name; `out` is honoured by the protocol before it comes here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..primitive import PRIMITIVES, implements
from .elementwise import astype
from .reduce import Axis, amax, amin, cumsum, mean, normalise, prod, std, sum_, var


def _cast(a: Any, dtype: Any, out: Any) -> Any:
    """The array in the dtype that was asked for; `out` may only come by keyword."""
    if out is not None:
        raise TypeError("the argument out must be given by keyword")
    return a if dtype is None else astype(a, dtype=np.dtype(dtype))


def _summing(made: Any, function: Any) -> None:
    @implements(function)
    def reduce(a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return made(_cast(a, dtype, out), axis=normalise(axis, a.ndim), keepdims=bool(keepdims))


def _choosing(made: Any, *functions: Any) -> None:
    @implements(*functions)
    def reduce(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
        return made(_cast(a, None, out), axis=normalise(axis, a.ndim), keepdims=bool(keepdims))


def _spreading(made: Any, function: Any) -> None:
    @implements(function)
    def reduce(
        a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False, *,
        correction: float | None = None,
    ) -> Any:  # fmt: skip
        x = _cast(a, dtype, out)
        x = x if x.dtype.kind == "f" else astype(x, dtype=np.dtype(np.float64))
        freedom = ddof if correction is None else correction
        return made(x, axis=normalise(axis, a.ndim), ddof=freedom, keepdims=bool(keepdims))


for _made, _function in ((sum_, np.sum), (mean, np.mean), (prod, np.prod)):
    _summing(_made, _function)
_choosing(amax, np.max, np.amax)
_choosing(amin, np.min, np.amin)
_choosing(PRIMITIVES["any"], np.any)
_choosing(PRIMITIVES["all"], np.all)
for _made, _function in ((var, np.var), (std, np.std)):
    _spreading(_made, _function)


@implements(np.count_nonzero)
def _count_nonzero(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    return PRIMITIVES["count_nonzero"](a, axis=normalise(axis, a.ndim), keepdims=bool(keepdims))


def _locating(function: Any) -> None:
    made = PRIMITIVES[function.__name__]

    @implements(function)
    def locate(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
        return made(_cast(a, None, out), axis=None if axis is None else int(axis), keepdims=bool(keepdims))


_locating(np.argmax)
_locating(np.argmin)


@implements(np.cumsum)
def _cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    a = _cast(a, dtype, out)
    if axis is None or not a.ndim:
        normalise(axis, a.ndim)
        a, axis = np.reshape(a, -1), 0
    return cumsum(a, axis=normalise(axis, a.ndim)[0])


@implements(np.ptp)
def _ptp(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
    a = _cast(a, None, out)
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@implements(np.average)
def _average(a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    axes = normalise(axis, a.ndim)
    if weights is None:
        result = np.mean(a, axis=axes, keepdims=keepdims)
        count = math.prod(a.shape[i] for i in axes)
        return (result, np.ones_like(result) * float(count)) if returned else result
    if tuple(weights.shape) != tuple(a.shape):
        if axis is None or weights.ndim != len(axes) or tuple(weights.shape) != tuple(a.shape[i] for i in axes):
            raise ShapeError(
                f"average: expected weights of shape {list(a.shape)}, or of the sizes along the axis, got "
                f"{list(weights.shape)}."
            )
        weights = np.reshape(weights, tuple(n if i in axes else 1 for i, n in enumerate(a.shape)))
    weights = np.broadcast_to(weights, a.shape)
    total = np.sum(weights, axis=axes, keepdims=keepdims)
    result = np.sum(a * weights, axis=axes, keepdims=keepdims) / total
    return (result, total) if returned else result


@implements(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    axes = normalise(axis, x.ndim)
    if ord not in (None, "fro", 1, 2, np.inf, -np.inf) or (ord not in (None, "fro") and len(axes) != 1):
        raise TypeError(
            f"the argument ord={ord!r} over {len(axes)} axes: only 'fro', and 1, 2, inf of vectors have a rule"
        )
    if ord in (np.inf, -np.inf):
        return (np.max if ord == np.inf else np.min)(np.absolute(x), axis=axes, keepdims=keepdims)
    if ord == 1:
        return np.sum(np.absolute(x), axis=axes, keepdims=keepdims)
    squares = np.sum(x * x, axis=axes, keepdims=keepdims)
    # the square root of 0 has an infinite slope, the norm of 0 has gradient 0
    flat = np.equal(squares, 0)
    return np.where(flat, np.zeros_like(squares), np.sqrt(np.where(flat, np.ones_like(squares), squares)))
