"""Reductions with `dim` and `keepdim`, and PyTorch's defaults (var and std divide by n - 1).

Floor 5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import as_dtype, int64
from ..errors import DTypeError
from ..ops import elementwise, index, reduce
from ..ops.reduce import normalise
from ..primitive import PRIMITIVES, Primitive
from ..state import current
from ..tensor import Tensor, apply, cast
from .common import axis_of, floating
from .indexing import ValuesIndices
from .shaping import squeeze


def reduced(primitive: Primitive, x: Tensor, dim: Any, keepdim: bool, dtype: Any = None, **params: Any) -> Tensor:
    """Apply a reducing primitive over `dim`: an int, a tuple, or None for all."""
    if dtype is not None:
        x = cast(x, as_dtype(dtype))
    axis = normalise(dim if dim != () else None, x.array.ndim)
    return apply(primitive, (x,), {"axis": axis, "keepdims": bool(keepdim), **params})


def sum(x: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """Sum over `dim`; bools and integers give int64."""
    return reduced(reduce.sum_, x if x.array.dtype.kind == "f" else cast(x, int64), dim, keepdim, dtype)


def mean(x: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """Mean over `dim`. Raises DTypeError for integers, as PyTorch does: say x.float().mean()."""
    if dtype is None and x.array.dtype.kind != "f":
        raise DTypeError(
            f"mean(): could not infer output dtype. Input dtype must be a floating point dtype. Got: {x.dtype}"
        )
    return reduced(reduce.mean, x, dim, keepdim, dtype)


def prod(x: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """Product over `dim`."""
    return reduced(reduce.prod, x if x.array.dtype.kind == "f" else cast(x, int64), dim, keepdim, dtype)


def var(
    x: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: int | None = None
) -> Tensor:
    """Variance over `dim`, divided by n - correction (1 unless said)."""
    return reduced(reduce.var, x, dim, keepdim, ddof=int(unbiased) if correction is None else correction)


def std(
    x: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: int | None = None
) -> Tensor:
    """Standard deviation over `dim`, divided by n - correction (1 unless said)."""
    return reduced(reduce.std, x, dim, keepdim, ddof=int(unbiased) if correction is None else correction)


def amax(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Largest entry over `dim`; ties share the gradient."""
    return reduced(reduce.amax, x, dim, keepdim)


def amin(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Smallest entry over `dim`; ties share the gradient."""
    return reduced(reduce.amin, x, dim, keepdim)


def max(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """max(x): largest entry. max(x, dim): values and indices. max(x, other): elementwise."""
    return _extreme(x, dim, keepdim, reduce.amax, argmax, elementwise.maximum)


def min(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """min(x): smallest entry. min(x, dim): values and indices. min(x, other): elementwise."""
    return _extreme(x, dim, keepdim, reduce.amin, argmin, elementwise.minimum)


def _extreme(x: Tensor, dim: Any, keepdim: bool, whole: Primitive, arg: Any, pairwise: Primitive) -> Any:
    if isinstance(dim, Tensor):
        return apply(pairwise, (x, dim))
    if dim is None:
        return reduced(whole, x, None, keepdim)
    where = arg(x, dim, True)
    if not x.array.ndim:
        return ValuesIndices(x.clone(), where)
    values = apply(index.gather, (x, where), {"axis": axis_of(x, dim)})
    return ValuesIndices(*(t if keepdim else squeeze(t, dim) for t in (values, where)))


def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the largest entry: the first of several, in the flattened tensor without `dim`."""
    ndim = x.array.ndim
    return apply(PRIMITIVES["argmax"], (x,), {"axis": dim if ndim else None, "keepdims": keepdim and ndim > 0})


def argmin(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the smallest entry: the first of several, in the flattened tensor without `dim`."""
    ndim = x.array.ndim
    return apply(PRIMITIVES["argmin"], (x,), {"axis": dim if ndim else None, "keepdims": keepdim and ndim > 0})


def norm(x: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The p-norm of the entries over `dim`; p may be inf, -inf or 0. The gradient at 0 is 0."""
    if p in (math.inf, -math.inf):
        return (amax if p > 0 else amin)(x.abs(), dim, keepdim)
    if p == 0:
        return sum(cast(apply(PRIMITIVES["not_equal"], (x, 0)), x.dtype), dim, keepdim)
    if p == 1:
        return sum(x.abs(), dim, keepdim)
    total = sum(x * x if p in (2, "fro") else x.abs() ** float(p), dim, keepdim)
    zero = apply(PRIMITIVES["equal"], (total, 0))
    if not current().tracing and not zero.array.any():
        return total.sqrt() if p in (2, "fro") else total ** (1.0 / p)
    # the root has no derivative at 0; take it of 1 there and put the 0 back
    safe = apply(elementwise.where, (zero, np.ones((), x.dtype), total))
    root = safe.sqrt() if p in (2, "fro") else safe ** (1.0 / p)
    return apply(elementwise.where, (zero, np.zeros((), x.dtype), root))


def logsumexp(x: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(x))) over `dim`, without overflow."""
    return reduced(reduce.logsumexp, floating(x), dim, keepdim)


def softmax(x: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Entries along `dim` made positive with sum 1."""
    x = floating(x) if dtype is None else cast(x, as_dtype(dtype))
    return apply(reduce.softmax, (x,), {"axis": normalise(dim, x.array.ndim)})


def log_softmax(x: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`, without overflow."""
    x = floating(x) if dtype is None else cast(x, as_dtype(dtype))
    return apply(reduce.log_softmax, (x,), {"axis": normalise(dim, x.array.ndim)})


def cumsum(x: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Running sum along `dim`."""
    x = x if x.array.dtype.kind == "f" else cast(x, int64)
    x = x if dtype is None else cast(x, as_dtype(dtype))
    return apply(reduce.cumsum, (x,), {"axis": axis_of(x, dim)}) if x.array.ndim else x.clone()


def any(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether some entry over `dim` is not zero."""
    return apply(PRIMITIVES["any"], (x,), {"axis": normalise(dim, x.array.ndim), "keepdims": keepdim})


def all(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether every entry over `dim` is not zero."""
    return apply(PRIMITIVES["all"], (x,), {"axis": normalise(dim, x.array.ndim), "keepdims": keepdim})
