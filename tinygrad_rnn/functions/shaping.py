"""Reshaping, joining and cutting.

Floor 5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..ops import shape
from ..ops.reduce import normalise
from ..ops.shape import resolve
from ..reading import values_of
from ..tensor import Tensor, apply
from .common import axis_of, same_dtype, sizes_of


def reshape(x: Tensor, *size: Any) -> Tensor:
    """The same entries in another shape, one size of which may be -1."""
    return apply(shape.reshape, (x,), {"shape": resolve(sizes_of(size), x.array.size)})


def view(x: Tensor, *size: Any) -> Tensor:
    """As `reshape`; view(dtype) is not offered."""
    return reshape(x, *size)


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes start_dim ... end_dim made one."""
    if not x.array.ndim:
        return reshape(x, 1)
    a, b = axis_of(x, start_dim), axis_of(x, end_dim)
    return reshape(x, *x.shape[:a], math.prod(x.shape[a : b + 1]), *x.shape[b + 1 :])


def unflatten(x: Tensor, dim: int, sizes: Any) -> Tensor:
    """Axis `dim` split into `sizes`."""
    a = axis_of(x, dim)
    return reshape(x, *x.shape[:a], *resolve(sizes, x.shape[a]), *x.shape[a + 1 :])


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    axes = list(range(x.array.ndim))
    a, b = axis_of(x, dim0), axis_of(x, dim1)
    if axes:
        axes[a], axes[b] = axes[b], axes[a]
    return apply(shape.transpose, (x,), {"axes": tuple(axes)})


def t(x: Tensor) -> Tensor:
    """The transpose of a matrix; vectors and numbers as they are."""
    if x.array.ndim > 2:
        raise ShapeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {x.array.ndim}D; use .mT or transpose()."
        )
    return transpose(x, 0, 1) if x.array.ndim == 2 else x


def permute(x: Tensor, *dims: Any) -> Tensor:
    """The axes in another order."""
    order = sizes_of(dims)
    axes = tuple(axis_of(x, i) for i in order)
    if sorted(axes) != list(range(x.array.ndim)):
        raise ShapeError(f"permute: dims {order} must name each of the {x.array.ndim} axes of {list(x.shape)} once.")
    return apply(shape.transpose, (x,), {"axes": axes})


def movedim(x: Tensor, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the others keeping their order."""
    return np.moveaxis(x, source, destination)  # type: ignore[return-value,call-overload]


def squeeze(x: Tensor, dim: Any = None) -> Tensor:
    """Axes of size 1 removed: all of them, or those in `dim`."""
    axes = normalise(dim, x.array.ndim)
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if n != 1 or i not in axes))


def unsqueeze(x: Tensor, dim: int) -> Tensor:
    """A new axis of size 1 at `dim`."""
    a = normalise(dim, x.array.ndim + 1)[0]
    return reshape(x, (*x.shape[:a], 1, *x.shape[a:]))


def expand(x: Tensor, *size: Any) -> Tensor:
    """Axes of size 1 stretched without copying; -1 keeps a size."""
    wanted = sizes_of(size)
    lead = len(wanted) - x.array.ndim
    full = tuple(x.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(wanted))
    return apply(shape.broadcast_to, (x,), {"shape": full})


def repeat(x: Tensor, *sizes: Any) -> Tensor:
    """The whole tensor repeated along each axis, as np.tile."""
    counts = sizes_of(sizes)
    if len(counts) < x.array.ndim:
        raise ShapeError(
            f"repeat: Number of dimensions of repeat dims {list(counts)} can not be smaller than those of "
            f"{list(x.shape)}."
        )
    return np.tile(x, counts)  # type: ignore[arg-type,return-value]


def repeat_interleave(x: Tensor, repeats: Any, dim: int | None = None) -> Tensor:
    """Every entry repeated, as np.repeat."""
    return np.repeat(x, values_of(repeats, "repeat_interleave()"), dim)  # type: ignore[arg-type,return-value]


def cat(tensors: Any, dim: int = 0) -> Tensor:
    """Tensors joined along an existing axis."""
    tensors = same_dtype(tensors, "cat")
    return apply(shape.concatenate, tensors, {"axis": axis_of(tensors[0], dim)})


def stack(tensors: Any, dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    tensors = same_dtype(tensors, "stack")
    return apply(shape.stack, tensors, {"axis": normalise(dim, tensors[0].array.ndim + 1)[0]})


def narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` entries from `start` along `dim`, a view."""
    a = axis_of(x, dim)
    start = int(start) + (x.shape[a] if start < 0 else 0)
    if not 0 <= start <= start + length <= x.shape[a]:
        raise ShapeError(f"narrow: start ({start}) + length ({length}) exceeds dimension size ({x.shape[a]}).")
    return x[(slice(None),) * a + (slice(start, start + int(length)),)]


def select(x: Tensor, dim: int, index: int) -> Tensor:
    """One entry along `dim`, a view without that axis."""
    return x[(slice(None),) * axis_of(x, dim) + (index,)]


def split(x: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces along `dim`: of one size (the last may be smaller), or of the sizes listed."""
    size = x.shape[axis_of(x, dim)]
    if isinstance(split_size_or_sections, int):
        n = split_size_or_sections
        if n <= 0:
            raise ShapeError(f"split: expected a positive size, got {n}.")
        parts = [n] * (size // n) + ([size % n] if size % n else []) or [0]
    else:
        parts = [int(n) for n in split_size_or_sections]
    if math.fsum(parts) != size:
        raise ShapeError(f"split_with_sizes expects split_sizes to sum exactly to {size}, but got split_sizes={parts}")
    starts = [0, *np.cumsum(parts).tolist()]
    return tuple(narrow(x, dim, start, n) for start, n in zip(starts, parts, strict=False))


def chunk(x: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces along `dim`, of equal size but for the last."""
    return split(x, -(-x.shape[axis_of(x, dim)] // chunks) or 1, dim)


def unbind(x: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All entries along `dim`, without that axis: reading a sequence step by step costs linear time, backward
    included."""
    lead = (slice(None),) * axis_of(x, dim)
    return tuple(x[(*lead, i)] for i in range(x.shape[len(lead)]))


def roll(x: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Entries shifted around along `dims`, or in the flattened tensor."""
    return np.roll(x, shifts, dims)  # type: ignore[arg-type,return-value]


def flip(x: Tensor, *dims: Any) -> Tensor:
    """Entries along `dims` in reverse order."""
    return apply(shape.flip, (x,), {"axis": normalise(sizes_of(dims), x.array.ndim)})


def tril(x: Tensor, diagonal: int = 0) -> Tensor:
    """Zero above the diagonal."""
    return apply(shape.tril, (x,), {"k": diagonal})


def triu(x: Tensor, diagonal: int = 0) -> Tensor:
    """Zero below the diagonal."""
    return apply(shape.triu, (x,), {"k": diagonal})
