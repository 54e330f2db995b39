"""What scripts use beside networks, under PyTorch's names: comparing, counting, joining, diagonals.

Made of the functions below it, so gradients flow where PyTorch's do; what compares or counts gives plain values.
Source: PyTorch's documentation of the functions of the same names.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .creation import drawing_from, zeros_like
from .functions import shaping
from .tensor import Tensor, as_array, make

__all__ = [
    "allclose", "bernoulli", "bincount", "broadcast_to", "clone", "count_nonzero", "diag", "diagonal", "diff",
    "empty_like", "equal", "finfo", "hstack", "iinfo", "is_floating_point", "isclose", "meshgrid", "moveaxis",
    "nonzero", "numel", "trace", "unique", "vstack",
]  # fmt: skip

finfo, iinfo = np.finfo, np.iinfo
empty_like, moveaxis = zeros_like, shaping.movedim


def allclose(x: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether |x - other| <= atol + rtol |other| everywhere."""
    return bool(isclose(x, other, rtol, atol, equal_nan).array.all())


def isclose(x: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Where |x - other| <= atol + rtol |other|: bool."""
    return make(np.isclose(x._known("isclose()"), as_array(other), rtol, atol, equal_nan))


def equal(x: Tensor, other: Tensor) -> bool:
    """Whether shapes and all entries agree."""
    return bool(np.array_equal(x._known("equal()"), as_array(other)))


def numel(x: Tensor) -> int:
    """Number of entries."""
    return x.array.size


def clone(x: Tensor) -> Tensor:
    """A copy through which gradients flow."""
    return x.clone()


def is_floating_point(x: Tensor) -> bool:
    """Whether the dtype is float32 or float64."""
    return x.array.dtype.kind == "f"


def nonzero(x: Tensor, as_tuple: bool = False) -> Any:
    """Indices of the entries that are not 0: (N, ndim) int64, or a tuple of one (N,) per axis."""
    return x.nonzero(as_tuple=as_tuple)


def count_nonzero(x: Tensor, dim: int | tuple[int, ...] | None = None) -> Tensor:
    """How many entries are not 0, of all or along axes: int64."""
    return make(np.asarray(np.count_nonzero(x._known("count_nonzero()"), axis=dim), np.int64))


def unique(x: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False) -> Any:
    """The different entries, in order; with their inverse, of x's shape, and their counts if asked for."""
    values, inverse, counts = np.unique(x._known("unique()"), return_inverse=True, return_counts=True)
    found = [values, *([inverse.reshape(x.shape)] if return_inverse else []), *([counts] if return_counts else [])]
    return make(values) if len(found) == 1 else tuple(make(part) for part in found)


def bincount(x: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often 0, 1, 2, ... occur in x, (N,) int: int64, or the sums of the weights, float64."""
    return make(np.bincount(x._known("bincount()"), None if weights is None else as_array(weights), minlength))


def bernoulli(p: Tensor, *, generator: np.random.Generator | None = None) -> Tensor:
    """1 with probability p, entry by entry, otherwise 0, in p's dtype."""
    drawn = drawing_from(generator).random(p.shape) < p._known("bernoulli()")
    return make(drawn.astype(p.dtype))


def broadcast_to(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Stretched to a shape."""
    return shaping.expand(x, *size)


def hstack(tensors: Any) -> Tensor:
    """Side by side: along axis 1, or 0 for vectors."""
    parts = [part.reshape(1) if part.ndim == 0 else part for part in tensors]
    return shaping.cat(parts, 0 if parts[0].ndim == 1 else 1)


def vstack(tensors: Any) -> Tensor:
    """On top of each other: vectors become rows."""
    return shaping.cat([part.reshape(1, -1) if part.ndim < 2 else part for part in tensors], 0)


def meshgrid(*tensors: Tensor, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Vectors as grids: one tensor each, constant along the axes of the others. indexing: "ij", or "xy"."""
    order = [1, 0, *range(2, len(tensors))] if indexing == "xy" and len(tensors) > 1 else list(range(len(tensors)))
    shape = [tensors[k].numel() for k in order]
    rows = ([-1 if k == axis else 1 for k in order] for axis in range(len(tensors)))
    return tuple(shaping.expand(one.reshape(row), *shape) for one, row in zip(tensors, rows, strict=True))


def diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The entries x[..., i, ..., i + offset], as the last axis."""
    x = shaping.movedim(x, (dim1, dim2), (-2, -1))
    low, high = max(-offset, 0), max(offset, 0)
    steps = np.arange(max(min(x.shape[-2] - low, x.shape[-1] - high), 0))
    return x[..., steps + low, steps + high]


_diagonal = diagonal  # in `diag` the name is an argument, as in PyTorch


def diag(x: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal and zeros elsewhere."""
    if x.ndim == 2:
        return _diagonal(x, diagonal)
    rows = np.arange(x.numel()) + max(-diagonal, 0)
    placed = np.zeros((x.numel() + abs(diagonal),) * 2, x.dtype)
    placed[rows, rows + diagonal] = 1
    # Row k of the matrix holds entry k of the vector, if any: one product places all of them.
    spread = np.zeros((len(placed), x.numel()), x.dtype)
    spread[rows, np.arange(x.numel())] = 1
    return (make(spread) @ x).unsqueeze(1) * make(placed)


def trace(x: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix."""
    return diagonal(x).sum()


def diff(x: Tensor, n: int = 1, dim: int = -1) -> Tensor:
    """Each entry less the one before it along an axis, n times."""
    for _ in range(n):
        length = x.shape[dim] - 1
        x = shaping.narrow(x, dim, 1, length) - shaping.narrow(x, dim, 0, length)
    return x


_METHODS = (
    "bincount", "broadcast_to", "count_nonzero", "diag", "diagonal", "diff", "isclose", "moveaxis", "trace", "unique",
)  # fmt: skip
for _name in _METHODS:
    setattr(Tensor, _name, globals()[_name])
