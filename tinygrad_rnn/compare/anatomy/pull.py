"""The rules of the primitives with one more axis in front: K cotangents through one recipe at once.

K hypotheses cost little more than one when every op is a NumPy call on all of them. Elementwise rules broadcast over
the new axis as they are; products, sums and moves of entries are written here; whatever is left runs once per
hypothesis.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...graph import Node

__all__ = ["pull", "sum_to"]

# rules whose params say nothing about axes, so that one more in front does no harm
_AS_IS = {"cross_entropy"}


def sum_to(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum K cotangents, (K, ...), over the axes along which an array of `shape` was broadcast; returns (K, *shape)."""
    extra = g.ndim - 1 - len(shape)
    axes = tuple(range(1, 1 + extra)) + tuple(
        i + extra + 1 for i, n in enumerate(shape) if n == 1 and g.shape[i + extra + 1] != 1
    )
    return g.sum(axis=axes).reshape(len(g), *shape) if axes else g


def pull(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    """K cotangents of the output of `node` -> K cotangents of argument `i`, (K, *its shape).

    g: (K, *node.shape). y, xs: the values of the output and of the arguments.
    The result may share memory with g. Raises TypeError where the primitive has no rule for the argument.
    """
    assert node.primitive is not None, "a leaf has no rules"
    special = _SPECIAL.get(node.op)
    parent = node.parents[i]
    if special is not None:
        return special(node, i, g, y, xs)
    if node.primitive.kind == "elementwise" or node.op in _AS_IS:
        part = _rule(node, i)(g, y, *xs, **node.params)
        return np.zeros((len(g), *parent.shape)) if part is None else sum_to(part, parent.shape)
    return _one_by_one(node, i, g, y, xs)


def _rule(node: Node, i: int) -> Callable[..., Any]:
    primitive = node.primitive
    assert primitive is not None
    if primitive.every is not None:
        return functools.partial(primitive.every, i)
    if primitive.joint is not None:
        joint = primitive.joint
        return lambda *args, **params: joint(*args, **params)[i]
    rule = primitive.vjps[i]
    if rule is None:
        raise TypeError(f"{node.describe()}: no gradient rule for argument {i}")
    return rule


def _one_by_one(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    rule = _rule(node, i)
    xs = [np.asarray(x) for x in xs]
    parts = [rule(row, y, *xs, **node.params) for row in g]
    if parts[0] is None:  # the rule says that no gradient flows there
        return np.zeros((len(g), *node.parents[i].shape))
    return sum_to(np.stack([np.asarray(part) for part in parts]), node.parents[i].shape)


def _matmul(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    a, b = xs
    left = a[None] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    rows, columns = left.shape[-2], right.shape[-1]
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    g = g.reshape(len(g), *batch, rows, columns)
    if i == 0:
        part = product(g, np.swapaxes(right, -1, -2))
        return sum_to(part, left.shape).reshape(len(g), *a.shape)
    if right.ndim == 2 and left.ndim > 2:  # one product over all leading axes
        count = math.prod(left.shape[:-1])
        left, g = left.reshape(count, left.shape[-1]), g.reshape(len(g), count, columns)
    part = np.matmul(np.swapaxes(left, -1, -2), g)
    return sum_to(part, right.shape).reshape(len(g), *b.shape)


def product(g: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """g @ matrix for (..., N) and (N, M), as one product; with leading axes on both, as many."""
    if matrix.ndim > 2:
        return np.matmul(g, matrix)
    return np.dot(g.reshape(-1, g.shape[-1]), matrix).reshape(*g.shape[:-1], matrix.shape[1])


def _sum(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    shape, axis = node.parents[0].shape, node.params["axis"]
    if not node.params["keepdims"]:
        g = g.reshape(len(g), *(1 if j in axis else n for j, n in enumerate(shape)))
    return np.broadcast_to(g, (len(g), *shape))


def _mean(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    shape = node.parents[0].shape
    return _sum(node, i, g / max(math.prod(shape[j] for j in node.params["axis"]), 1), y, xs)


def _along_axes(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    """softmax and log_softmax: their axes move one to the right."""
    return _rule(node, i)(g, y, *xs, axis=tuple(j + 1 for j in node.params["axis"]))


def _reshape(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    return g.reshape(len(g), *node.parents[0].shape)


def _transpose(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    axes = node.params["axes"]
    return g.transpose(0, *(1 + j for j in sorted(range(len(axes)), key=axes.__getitem__)))


def _broadcast_to(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    return sum_to(g, node.parents[0].shape)


def _concatenate(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    axis = node.params["axis"]
    start = sum(parent.shape[axis] for parent in node.parents[:i])
    return g[(slice(None),) * (axis + 1) + (slice(start, start + node.parents[i].shape[axis]),)]


def _stack(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    return g[(slice(None),) * (node.params["axis"] + 1) + (i,)]


def _getitem(node: Node, i: int, g: np.ndarray, y: Any, xs: list[Any]) -> np.ndarray:
    buffer = np.zeros((len(g), *node.parents[0].shape), g.dtype)
    buffer[(slice(None), *node.params["index"])] = g
    return buffer


_SPECIAL: dict[str, Callable[..., np.ndarray]] = {
    "matmul": _matmul,
    "sum": _sum,
    "mean": _mean,
    "softmax": _along_axes,
    "log_softmax": _along_axes,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast_to,
    "concatenate": _concatenate,
    "stack": _stack,
    "getitem": _getitem,
    "astype": lambda node, i, g, y, xs: g,
    "copy": lambda node, i, g, y, xs: g,
}
