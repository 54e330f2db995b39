"""Calls of NumPy functions, positional and by keyword: each must mean on Tensors what it means on arrays."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.samples import draw, spread, whole


class Call(NamedTuple):
    """`function(*args, **kwargs)`; float arrays among the arguments, in lists too, become Tensors."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __str__(self) -> str:
        words = [_brief(a) for a in self.args] + [f"{k}={_brief(v)}" for k, v in self.kwargs.items()]
        return f"{self.function.__name__}({','.join(words)})".replace(" ", "")


def _brief(a: Any) -> str:
    if isinstance(a, np.ndarray):
        return f"{a.dtype.kind}{list(a.shape)}"
    return f"[{','.join(map(_brief, a))}]" if isinstance(a, (list, tuple)) else str(a)


def of(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Call:
    """A call, as it is written."""
    return Call(function, args, kwargs)


X, Y, V, W = spread(3, 4, key="x"), spread(3, 4, key="y"), spread(4, key="v"), spread(2, 3, 4, key="w")
P = draw(3, 4, low=0.4, high=2.0, key="p")
SQUARE, ONE, NONE = spread(3, 3, key="s"), np.array(0.7), np.zeros((0, 4))
COUNT, SIGNS = whole(3, 4, low=0, high=3), np.array([True, False, True])
N = np.array([1.0, np.nan, 3.0])

REDUCTIONS = [
    of(np.sum, X), of(np.sum, X, 0), of(np.sum, X, -1), of(np.sum, X, (0, -1)), of(np.sum, X, axis=1, keepdims=True),
    of(np.sum, X, 0, None, None, True), of(np.sum, X, axis=()), of(np.sum, COUNT), of(np.sum, X, dtype=np.float32),
    of(np.sum, ONE), of(np.sum, NONE, axis=0), of(np.sum, SIGNS),
    of(np.mean, X), of(np.mean, X, -2), of(np.mean, W, (0, 2), keepdims=True), of(np.mean, COUNT, 0), of(np.mean, ONE),
    of(np.max, X), of(np.max, X, 1), of(np.max, W, axis=(-1, 0)), of(np.max, X, 1, None, True), of(np.amax, X, 0),
    of(np.min, X), of(np.min, X, -1, keepdims=True), of(np.min, COUNT, 0), of(np.amin, X),
    of(np.prod, X), of(np.prod, X, 1), of(np.prod, X, axis=-1, keepdims=True), of(np.prod, COUNT, 0),
    of(np.prod, NONE, 0),
    of(np.var, X), of(np.var, X, 0), of(np.var, X, axis=-1, ddof=1, keepdims=True), of(np.var, X, 1, None, None, 1),
    of(np.var, X, correction=1), of(np.var, COUNT, 0),
    of(np.std, X), of(np.std, X, -1, ddof=1), of(np.std, W, (0, 1), keepdims=True),
    of(np.cumsum, X), of(np.cumsum, X, 0), of(np.cumsum, X, axis=-1), of(np.cumsum, ONE), of(np.cumsum, COUNT, 1),
    of(np.any, COUNT), of(np.any, COUNT, 0), of(np.any, X > 0, axis=-1, keepdims=True),
    of(np.all, COUNT), of(np.all, COUNT, -1), of(np.all, SIGNS),
    of(np.argmax, X), of(np.argmax, X, 0), of(np.argmax, X, axis=-1, keepdims=True), of(np.argmin, X),
    of(np.argmin, X, 1),
    of(np.count_nonzero, COUNT), of(np.count_nonzero, COUNT, 0), of(np.count_nonzero, COUNT, axis=1, keepdims=True),
    of(np.ptp, X), of(np.ptp, X, -1), of(np.ptp, X, axis=0, keepdims=True),
    of(np.average, X), of(np.average, X, 0), of(np.average, X, 1, V), of(np.average, X, weights=P),
    of(np.average, W, axis=(1, 2), weights=P, keepdims=True), of(np.average, X, axis=0, returned=True),
    of(np.average, X, axis=1, weights=np.abs(V), returned=True),
    of(np.linalg.norm, V), of(np.linalg.norm, X), of(np.linalg.norm, X, None, 1),
    of(np.linalg.norm, X, axis=-1, keepdims=True),
    of(np.linalg.norm, V, 1), of(np.linalg.norm, X, np.inf, 0), of(np.linalg.norm, V, -np.inf),
    of(np.linalg.norm, X, "fro"),
    of(np.add.reduce, X), of(np.add.reduce, X, 1), of(np.add.reduce, X, axis=None),
    of(np.maximum.reduce, X, axis=-1, keepdims=True),
    of(np.multiply.reduce, X), of(np.minimum.reduce, X, axis=(0, 1)),
]  # fmt: skip

PRODUCTS = [
    of(np.matmul, X, spread(4, 2)), of(np.matmul, W, spread(4, 2)), of(np.dot, X, V), of(np.dot, V, V),
    of(np.dot, X, ONE),
    of(np.dot, X, spread(2, 4, 3)), of(np.dot, W, spread(4, 2)), of(np.inner, X, Y), of(np.inner, V, X),
    of(np.inner, ONE, X),
    of(np.outer, V, ONE), of(np.outer, X, V), of(np.vdot, X, Y),
    of(np.tensordot, X, spread(4, 2), 1), of(np.tensordot, W, Y, ((1, 2), (0, 1))),
    of(np.tensordot, X, Y, axes=[[-1], [1]]),
    of(np.tensordot, X, V, axes=0), of(np.tensordot, X, Y), of(np.tensordot, W, X, axes=(2, 1)),
    of(np.einsum, "ij,kj->ik", X, Y), of(np.einsum, "...j,j", W, V), of(np.einsum, "ii", SQUARE),
    of(np.einsum, "ij , ij -> j", X, Y), of(np.einsum, "ij,ij->i", X, Y, optimize=True),
]  # fmt: skip

MOVES = [
    of(np.reshape, X, (2, 6)), of(np.reshape, X, -1), of(np.reshape, X, (4, -1)), of(np.reshape, X, shape=(12,)),
    of(np.reshape, NONE, (4, 0)),
    of(np.ravel, W), of(np.ravel, ONE), of(np.transpose, W), of(np.transpose, W, (1, -1, 0)),
    of(np.transpose, X, axes=(1, 0)),
    of(np.permute_dims, W, (2, 0, 1)), of(np.matrix_transpose, W),
    of(np.swapaxes, W, 0, -1), of(np.swapaxes, W, axis1=1, axis2=2), of(np.moveaxis, W, 0, -1),
    of(np.moveaxis, W, (0, 1), (-1, 0)),
    of(np.expand_dims, X, 0), of(np.expand_dims, X, -1), of(np.expand_dims, X, (0, -2)),
    of(np.expand_dims, ONE, axis=0),
    of(np.squeeze, spread(1, 3, 1)), of(np.squeeze, spread(1, 3, 1), 0), of(np.squeeze, spread(1, 3, 1), axis=(0, -1)),
    of(np.broadcast_to, V, (3, 4)), of(np.broadcast_to, ONE, 3), of(np.broadcast_to, array=V, shape=(2, 1, 4)),
    of(np.concatenate, [X, Y]), of(np.concatenate, (X, Y), -1), of(np.concatenate, [X, V[None]], axis=0),
    of(np.concatenate, [X, V], axis=None),
    of(np.stack, [X, Y]), of(np.stack, (X, Y), -1), of(np.stack, [X, Y], axis=1), of(np.stack, [ONE, ONE]),
    of(np.split, X, 2, 1), of(np.split, X, [1], axis=0), of(np.split, V, [1, 1, 3]), of(np.split, X, [-1], axis=-1),
    of(np.split, V, 4),
    of(np.array_split, V, 3), of(np.array_split, X, 2), of(np.array_split, X, [2], 1), of(np.array_split, V, 6),
    of(np.unstack, W), of(np.unstack, X, axis=-1), of(np.flip, X), of(np.flip, X, 0), of(np.flip, W, axis=(0, -1)),
    of(np.fliplr, X), of(np.flipud, X),
    of(np.roll, X, 2), of(np.roll, X, -1, 0), of(np.roll, X, (1, 2), axis=(0, -1)), of(np.roll, X, 1, axis=(0, 1)),
    of(np.pad, X, 1), of(np.pad, X, (1, 2)), of(np.pad, X, ((0, 1), (2, 0)), mode="constant", constant_values=-1.0),
    of(np.pad, V, (0, 3)),
    of(np.repeat, X, 2), of(np.repeat, X, 2, -1), of(np.repeat, X, [1, 0, 2], axis=0),
    of(np.tile, V, 2), of(np.tile, X, (2, 1)), of(np.tile, V, (2, 1, 2)), of(np.tile, W, [2]), of(np.tile, ONE, 3),
    of(np.tile, X, reps=(1, 2)),
    of(np.tril, SQUARE), of(np.tril, X, -1), of(np.triu, SQUARE, 1), of(np.triu, W, k=1),
    of(np.diagonal, SQUARE), of(np.diagonal, X, 1), of(np.diagonal, W, -1, 1, 2), of(np.diagonal, X, offset=-2),
    of(np.diagonal, X, 9),
    of(np.diag, V), of(np.diag, V, 1), of(np.diag, V, k=-2), of(np.diag, X), of(np.diag, SQUARE, -1),
    of(np.trace, SQUARE), of(np.trace, X, 1), of(np.trace, W, 0, 1, 2),
    of(np.diff, V), of(np.diff, X, 2), of(np.diff, X, axis=0), of(np.diff, X, 1, -2),
    of(np.atleast_1d, ONE), of(np.atleast_2d, V), of(np.atleast_3d, X), of(np.atleast_3d, V),
    of(np.atleast_2d, ONE, X), of(np.atleast_3d, ONE),
    of(np.vstack, [V, X]), of(np.hstack, [X, Y]), of(np.hstack, [V, V]), of(np.dstack, [X, Y]), of(np.dstack, [V, V]),
    of(np.column_stack, [V, V]),
    of(np.column_stack, [X, spread(3)]), of(np.vsplit, X, 3), of(np.hsplit, X, 2), of(np.hsplit, V, [1]),
    of(np.copy, X), of(np.astype, X, np.float32), of(np.astype, COUNT, np.float64),
]  # fmt: skip

CHOICES = [
    of(np.where, X > 0, X, Y), of(np.where, X > 0, 0.0, X), of(np.where, SIGNS[:, None], X, V),
    of(np.clip, X, -1.0, 1.0), of(np.clip, X, None, 0.5), of(np.clip, X, a_min=-0.2, a_max=None),
    of(np.clip, X, min=0.1), of(np.clip, X, -P, P),
    of(np.maximum, X, Y), of(np.fmax, N, np.array([2.0, 2.0, np.nan])), of(np.fmin, N, 2.0), of(np.fmax, X, Y),
    of(np.fabs, X),
    of(np.round, X), of(np.round, X, 1), of(np.round, X * 100, decimals=-1), of(np.rint, X), of(np.around, X, 2),
    of(np.take, X, [0, 2], 1), of(np.take, X, 5), of(np.take, X, np.array([[1, 1], [0, -1]]), axis=0),
    of(np.take, V, 2, axis=-1),
    of(np.take_along_axis, X, np.argsort(X, -1), -1), of(np.take_along_axis, X, np.argmax(X, 0, keepdims=True), axis=0),
    of(np.sort, X), of(np.sort, X, 0), of(np.sort, X, axis=None), of(np.argsort, X), of(np.argsort, X, axis=0),
    of(np.zeros_like, X), of(np.ones_like, COUNT), of(np.full_like, X, 2.5), of(np.full_like, X, 3, dtype=np.int64),
    of(np.zeros_like, X, dtype=np.float32),
    of(np.shape, X), of(np.ndim, W), of(np.size, W), of(np.size, W, 1), of(np.size, W, axis=-1),
    of(np.array_equal, X, X), of(np.array_equal, X, Y), of(np.array_equal, N, N, equal_nan=True),
    of(np.allclose, X, X + 1e-9),
    of(np.allclose, X, X + 1e-3, 0.0, 1e-2), of(np.isclose, X, Y), of(np.nonzero, COUNT), of(np.nonzero, V),
    of(np.logaddexp, X, Y), of(np.floor_divide, X, P), of(np.remainder, X, P), of(np.power, P, X),
    of(np.float32(2).__add__, X),
]  # fmt: skip

CALLS = REDUCTIONS + PRODUCTS + MOVES + CHOICES
