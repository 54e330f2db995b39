"""Reading and writing by index, and sorting.

Floor 5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..ops import index
from ..ops.index import Slot
from ..tensor import Tensor, apply, make
from .common import axis_of, builtin_all
from .shaping import narrow


class ValuesIndices(NamedTuple):
    """What max, min, sort and topk return along a dim."""

    values: Tensor
    indices: Tensor


def index_select(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """The entries along `dim` that the integer tensor `index`, (N,), names."""
    return x[(slice(None),) * axis_of(x, dim) + (index,)]


def gather(x: Tensor, dim: int, index_: Tensor) -> Tensor:
    """Along `dim`, the entry that `index` names at each place."""
    if not x.array.ndim:
        return x.clone()
    axis = axis_of(x, dim)
    # gather may read a corner of the other axes, which take_along_axis would broadcast
    corner = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(index_.shape))
    whole = builtin_all(n == m for i, (n, m) in enumerate(zip(index_.shape, x.shape, strict=True)) if i != axis)
    return apply(index.gather, (x if whole else x[corner], index_), {"axis": axis})


def scatter(x: Tensor, dim: int, index_: Tensor, src: Any) -> Tensor:
    """x with `src` written along `dim` at the places that `index` names; a place must not be named twice."""
    axis = axis_of(x, dim)
    indices: list[Any] = list(np.indices(index_.shape, sparse=True))
    indices[axis] = index_
    pattern = tuple(Slot(i) for i in range(len(indices)))
    if isinstance(src, Tensor):
        value: Any = src[tuple(slice(n) for n in index_.shape)]
    else:
        value = np.full(index_.shape, src, dtype=x.array.dtype)
    return apply(index.put_value, (x, value, *indices), {"pattern": pattern})


def scatter_add(x: Tensor, dim: int, index_: Tensor, src: Tensor) -> Tensor:
    """x with `src` added along `dim` at the places that `index` names, which may repeat."""
    axis = axis_of(x, dim)
    part = src[tuple(slice(n) for n in index_.shape)]
    # the index may be smaller than x along the other axes: then only a corner is added to
    corner = tuple(size if i == axis else n for i, (size, n) in enumerate(zip(x.shape, index_.shape, strict=True)))
    added = apply(index.scatter_along, (part, index_), {"axis": axis, "shape": corner})
    if corner != x.shape:
        where = tuple(slice(n) for n in corner)
        added = apply(index.place, (added,), {"indices": (where,), "shape": x.shape})
    return x + added


def argsort(x: Tensor, dim: int = -1, descending: bool = False) -> Tensor:
    """Indices that sort along `dim`, stably."""
    x._readable("argsort()")
    if not x.array.ndim:
        return make(np.zeros((), np.int64))
    if not descending:
        return make(np.argsort(x.array, axis=dim, kind="stable"))
    # reversed twice, so that equal entries keep their order and unsigned integers need no negation
    last = x.array.shape[dim] - 1
    return make(np.flip(last - np.argsort(np.flip(x.array, dim), axis=dim, kind="stable"), dim).copy())


def sort(x: Tensor, dim: int = -1, descending: bool = False) -> ValuesIndices:
    """Sorted values along `dim`, and the indices they come from."""
    where = argsort(x, dim, descending)
    return ValuesIndices(gather(x, dim, where), where)


def topk(x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """The k largest (or smallest) entries along `dim`, best first, and their indices."""
    if not 0 <= k <= (x.array.shape[dim] if x.array.ndim else 1):
        raise ShapeError(f"topk: selected index k={k} out of range for shape {list(x.shape)} along dim {dim}.")
    where = narrow(argsort(x, dim, descending=largest), dim, 0, k) if x.array.ndim else argsort(x)
    return ValuesIndices(gather(x, dim, where), where)
