"""Reductions. Every primitive takes `axis` as a tuple of non-negative ints and `keepdims`; the NumPy-facing functions
normalise.

Conventions are PyTorch's: ties of max and min over axes share the gradient evenly; std at 0 has gradient 0. Logsumexp
of -inf alone is -inf with gradient 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..primitive import primitive

Axis = int | tuple[int, ...] | list[int] | None


def normalise(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Axes as a sorted tuple of non-negative ints; None means all. Raises IndexError for one out of range or named
    twice."""
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    for one in axes:
        if not -max(ndim, 1) <= one < max(ndim, 1):
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-max(ndim, 1)}, {max(ndim, 1) - 1}], but got "
                f"{one})"
            )
    if ndim == 0:
        return ()
    result = tuple(sorted(int(one) % ndim for one in axes))
    if len(set(result)) < len(result):
        raise ShapeError(f"axis {axes} names an axis of a {ndim}-d array twice; name each once.")
    return result


def restored(g: Any, shape: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> Any:
    """A reduced array with its axes put back, of size 1."""
    if keepdims or g.ndim == len(shape):
        return g
    return np.reshape(g, tuple(1 if i in axis else size for i, size in enumerate(shape)))


def _spread(g: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    return np.broadcast_to(restored(g, x.shape, axis, keepdims), x.shape)


def _count(shape: tuple[int, ...], axis: tuple[int, ...]) -> int:
    return math.prod(shape[i] for i in axis)


def _sum(x: Any, axis: tuple[int, ...], keepdims: bool, out: Any = None) -> Any:
    return np.add.reduce(x, axis=axis, keepdims=keepdims, out=out)


sum_ = primitive(
    _sum, kind="reduce", name="sum", vjp=lambda g, y, x, axis, keepdims: _spread(g, x, axis, keepdims)
)  # fmt: skip


def _mean(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    count = _count(x.shape, axis)
    total = np.add.reduce(x, axis=axis, keepdims=keepdims)
    # the mean of nothing is NaN, without a warning, as in PyTorch
    return total / count if count else np.full(np.shape(total), np.nan, np.result_type(total, np.float32))


def _mean_vjp(g: Any, y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    return _spread(g * (1.0 / max(_count(x.shape, axis), 1)), x, axis, keepdims)


mean = primitive(_mean, kind="reduce", vjp=_mean_vjp, name="mean")


def _centred(x: Any, axis: tuple[int, ...]) -> Any:
    return x - mean(x, axis=axis, keepdims=True)


def _per_degree(factor: float, x: Any, axis: tuple[int, ...], ddof: float) -> float:
    """factor over the degrees of freedom; NaN where there are none."""
    degrees = _count(x.shape, axis) - ddof
    return factor / degrees if degrees else math.nan


def _var(x: Any, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
    return np.var(x, axis=axis, keepdims=keepdims, ddof=ddof)


def _var_vjp(g: Any, y: Any, x: Any, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
    return restored(g, x.shape, axis, keepdims) * _centred(x, axis) * _per_degree(2.0, x, axis, ddof)


var = primitive(_var, kind="reduce", saves="0", vjp=_var_vjp, name="var")


def _std(x: Any, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
    return np.std(x, axis=axis, keepdims=keepdims, ddof=ddof)


def _std_vjp(g: Any, y: Any, x: Any, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
    flat = np.equal(y, 0)
    slope = np.where(flat, np.zeros_like(y), g / np.where(flat, np.ones_like(y), y))
    return restored(slope, x.shape, axis, keepdims) * _centred(x, axis) * _per_degree(1.0, x, axis, ddof)


std = primitive(_std, kind="reduce", saves="y0", vjp=_std_vjp, name="std")


def _extreme_vjp(g: Any, y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    y = restored(y, x.shape, axis, keepdims)
    hit = np.logical_or(np.equal(x, y), np.logical_and(np.isnan(x), np.isnan(y)))
    share = astype_like(hit, g)
    share = share / sum_(share, axis=axis, keepdims=True)
    return restored(g, x.shape, axis, keepdims) * share


def astype_like(x: Any, like: Any) -> Any:
    """x cast to the dtype of another array."""
    return np.astype(x, like.dtype)


def _amax(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    return np.max(x, axis=axis, keepdims=keepdims)


def _amin(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    return np.min(x, axis=axis, keepdims=keepdims)


amax = primitive(_amax, kind="reduce", saves="y0", vjp=_extreme_vjp, name="max")
amin = primitive(_amin, kind="reduce", saves="y0", vjp=_extreme_vjp, name="min")


def _prod(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    return np.prod(x, axis=axis, keepdims=keepdims)


def _others(x: Any, axis: int) -> Any:
    """For every entry the product of all others along one axis, without dividing: zeros are allowed."""
    ones = np.ones_like(np.take(x, [0], axis=axis))
    size = x.shape[axis]
    before = [ones]
    after = [ones]
    for i in range(size - 1):
        before.append(before[-1] * np.take(x, [i], axis=axis))
        after.append(after[-1] * np.take(x, [size - 1 - i], axis=axis))
    return np.concatenate(before, axis=axis) * np.concatenate(after[::-1], axis=axis)


def _prod_vjp(g: Any, y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    if not math.prod(x.shape):
        return np.zeros_like(x)
    g = restored(g, x.shape, axis, keepdims)
    rest = tuple(i for i in range(x.ndim) if i not in axis)
    moved = np.transpose(x, rest + axis)
    flat = np.reshape(moved, (*(x.shape[i] for i in rest), -1))
    others = np.reshape(_others(flat, len(rest)), moved.shape)
    return g * np.transpose(others, tuple(int(i) for i in np.argsort(rest + axis)))


prod = primitive(_prod, kind="reduce", saves="0", vjp=_prod_vjp, name="prod")


def _logsumexp(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, 0)
    total = np.add.reduce(np.exp(x - shift), axis=axis, keepdims=True)
    with np.errstate(divide="ignore"):  # log(0) = -inf is the answer where everything is -inf
        y = np.log(total) + shift
    return (y if keepdims else np.squeeze(y, axis=axis)).astype(x.dtype, copy=False)


def _logsumexp_vjp(g: Any, y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    y = restored(y, x.shape, axis, keepdims)
    y = np.where(np.equal(y, -np.inf), np.zeros_like(y), y)  # nothing to share out: 0, where PyTorch has NaN
    return restored(g, x.shape, axis, keepdims) * np.exp(x - y)


logsumexp = primitive(_logsumexp, kind="reduce", saves="y0", vjp=_logsumexp_vjp, name="logsumexp")


# softmax and its kin keep the shape, but normalise over axes
def _softmax(x: Any, axis: tuple[int, ...]) -> Any:
    y = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    y /= np.add.reduce(y, axis=axis, keepdims=True)
    return y


def _softmax_vjp(g: Any, y: Any, x: Any, axis: tuple[int, ...]) -> Any:
    weighted = g * y
    return weighted - y * sum_(weighted, axis=axis, keepdims=True)


softmax = primitive(_softmax, kind="reduce", saves="y", vjp=_softmax_vjp, name="softmax")


def _log_softmax(x: Any, axis: tuple[int, ...]) -> Any:
    if not x.size:
        return x.copy()  # the sum of nothing has no logarithm
    shifted = x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))


def _log_softmax_vjp(g: Any, y: Any, x: Any, axis: tuple[int, ...]) -> Any:
    return g - np.exp(y) * sum_(g, axis=axis, keepdims=True)


log_softmax = primitive(_log_softmax, kind="reduce", saves="y", vjp=_log_softmax_vjp, name="log_softmax")


def _cumsum(x: Any, axis: int) -> Any:
    return np.cumsum(x, axis=axis)


def _cumsum_vjp(g: Any, y: Any, x: Any, axis: int) -> Any:
    return np.flip(cumsum(np.flip(g, axis), axis=axis), axis)


cumsum = primitive(_cumsum, kind="reduce", vjp=_cumsum_vjp, name="cumsum")


def _opaque(function: Any) -> None:
    """A reduction without derivative, such as argmax."""

    def forward(x: Any, axis: Any, keepdims: bool) -> Any:
        return function(x, axis=axis, keepdims=keepdims)

    primitive(forward, kind="reduce", vjp=(None,), name=function.__name__)


for _function in (np.any, np.all, np.argmax, np.argmin, np.count_nonzero):
    _opaque(_function)
