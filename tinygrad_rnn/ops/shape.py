"""Primitives that move entries and compute nothing: most are views in NumPy and stay views here."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..primitive import implements, primitive
from .reduce import Axis, normalise


def _reshape(x: Any, shape: tuple[int, ...]) -> Any:
    return x.reshape(shape)


reshape = primitive(_reshape, kind="shape", vjp=lambda g, y, x, shape: g.reshape(x.shape), name="reshape")


def _transpose(x: Any, axes: tuple[int, ...]) -> Any:
    return x.transpose(axes)


def _transpose_vjp(g: Any, y: Any, x: Any, axes: tuple[int, ...]) -> Any:
    return transpose(g, axes=tuple(sorted(range(len(axes)), key=axes.__getitem__)))


transpose = primitive(_transpose, kind="shape", vjp=_transpose_vjp, name="transpose")


def _broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    if type(x) is np.ndarray and x.flags.c_contiguous and all(a == b or a == 1 for a, b in _aligned(x.shape, shape)):
        lead = len(shape) - x.ndim
        strides = (0,) * lead + tuple(
            0 if old == 1 and new != 1 else s for old, new, s in zip(x.shape, shape[lead:], x.strides, strict=True)
        )
        if math.prod(shape):  # a third of the time of np.broadcast_to
            view = np.ndarray(shape, x.dtype, x, 0, strides)
            view.flags.writeable = False
            return view
    return np.broadcast_to(x, shape)


def _aligned(shape: tuple[int, ...], target: tuple[int, ...]) -> list[tuple[int, int]]:
    if len(shape) > len(target):
        return [(1, 0), (2, 0)]  # fits nothing: NumPy words the error
    return list(zip(shape, target[len(target) - len(shape) :], strict=True))


# The sweep sums the cotangent back over the axes that were stretched.
broadcast_to = primitive(_broadcast_to, kind="shape", vjp=lambda g, y, x, shape: g, name="broadcast_to")


def _concatenate(*arrays: Any, axis: int) -> Any:
    return np.concatenate(arrays, axis=axis)


def _concatenate_vjp(g: Any, y: Any, *arrays: Any, axis: int) -> list[Any]:
    ends = list(itertools.accumulate((x.shape[axis] for x in arrays), initial=0))
    return [g[(slice(None),) * axis + (slice(start, end),)] for start, end in itertools.pairwise(ends)]


concatenate = primitive(_concatenate, kind="shape", joint=_concatenate_vjp, name="concatenate")


def _stack(*arrays: Any, axis: int) -> Any:
    return np.stack(arrays, axis=axis)


def _stack_vjp(g: Any, y: Any, *arrays: Any, axis: int) -> list[Any]:
    return [g[(slice(None),) * axis + (i,)] for i in range(len(arrays))]


stack = primitive(_stack, kind="shape", joint=_stack_vjp, name="stack")


def _flip(x: Any, axis: tuple[int, ...]) -> Any:
    return np.flip(x, axis).copy()  # a view would share memory where PyTorch's flip does not


flip = primitive(_flip, kind="shape", vjp=lambda g, y, x, axis: flip(g, axis=axis), name="flip")


def _roll(x: Any, shift: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    return np.roll(x, shift, axis)


def _roll_vjp(g: Any, y: Any, x: Any, shift: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    return roll(g, shift=tuple(-s for s in shift), axis=axis)


roll = primitive(_roll, kind="shape", vjp=_roll_vjp, name="roll")


def _pad(x: Any, width: tuple[tuple[int, int], ...], value: float) -> Any:
    out = np.full(tuple(a + n + b for (a, b), n in zip(width, x.shape, strict=True)), value, dtype=x.dtype)
    out[tuple(slice(a, a + n) for (a, _), n in zip(width, x.shape, strict=True))] = x
    return out


def _pad_vjp(g: Any, y: Any, x: Any, width: tuple[tuple[int, int], ...], value: float) -> Any:
    return g[tuple(slice(a, a + n) for (a, _), n in zip(width, x.shape, strict=True))]


pad = primitive(_pad, kind="shape", vjp=_pad_vjp, name="pad")


def _repeat(x: Any, repeats: int | tuple[int, ...], axis: int) -> Any:
    return np.repeat(x, repeats, axis)


def _repeat_vjp(g: Any, y: Any, x: Any, repeats: int | tuple[int, ...], axis: int) -> Any:
    if isinstance(repeats, int):
        split = g.reshape((*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :]))
        return np.sum(split, axis=axis + 1)
    ends = np.cumsum(np.asarray(repeats))
    parts = [g[(slice(None),) * axis + (slice(end - n, end),)] for n, end in zip(repeats, ends.tolist(), strict=True)]
    return np.concatenate([np.sum(part, axis=axis, keepdims=True) for part in parts], axis=axis)


repeat = primitive(_repeat, kind="shape", vjp=_repeat_vjp, name="repeat")


def _tril(x: Any, k: int) -> Any:
    return np.tril(x, k)


def _triu(x: Any, k: int) -> Any:
    return np.triu(x, k)


tril = primitive(_tril, kind="shape", vjp=lambda g, y, x, k: tril(g, k=k), name="tril")
triu = primitive(_triu, kind="shape", vjp=lambda g, y, x, k: triu(g, k=k), name="triu")


# NumPy's functions, in these primitives
def resolve(shape: Any, size: int) -> tuple[int, ...]:
    """A shape with its -1, if any, worked out. Raises ShapeError if the sizes do not agree."""
    wanted = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape)
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) > 1 or (known == 0 if -1 in wanted else known != size) or (known and size % known):
        raise ShapeError(f"shape '{list(wanted)}' is invalid for input of size {size}")
    return tuple(size // known if n == -1 else n for n in wanted)


@implements(np.reshape)
def _numpy_reshape(a: Any, shape: Any, order: str = "C") -> Any:
    if order != "C":
        raise TypeError(f"reshape: only order='C' has a rule, got order={order!r}; transpose first.")
    return reshape(a, shape=resolve(shape, a.size if isinstance(a, np.ndarray) else math.prod(a.shape)))


@implements(np.broadcast_to)
def _numpy_broadcast_to(array: Any, shape: Any) -> Any:
    return broadcast_to(array, shape=(int(shape),) if isinstance(shape, int) else tuple(shape))


@implements(np.ravel)
def _numpy_ravel(a: Any) -> Any:
    return np.reshape(a, -1)


@implements(np.transpose, np.permute_dims)
def _numpy_transpose(a: Any, axes: Any = None) -> Any:
    if axes is None:
        return transpose(a, axes=tuple(range(a.ndim))[::-1])
    chosen = tuple(int(i) % max(a.ndim, 1) if -a.ndim <= i < a.ndim else int(i) for i in axes)
    if sorted(chosen) != list(range(a.ndim)):
        raise ShapeError(f"transpose: axes {tuple(axes)} must name each of the {a.ndim} axes of {tuple(a.shape)} once.")
    return transpose(a, axes=chosen)


@implements(np.matrix_transpose)
def _numpy_matrix_transpose(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


@implements(np.swapaxes)
def _numpy_swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    axes = list(range(a.ndim))
    i, j = normalise(axis1, a.ndim)[0], normalise(axis2, a.ndim)[0]
    axes[i], axes[j] = axes[j], axes[i]
    return transpose(a, axes=tuple(axes))


@implements(np.moveaxis)
def _numpy_moveaxis(a: Any, source: Axis, destination: Axis) -> Any:
    sources, targets = (
        [normalise(i, a.ndim)[0] for i in ([axes] if isinstance(axes, int) else axes or ())]
        for axes in (source, destination)
    )
    rest = iter([i for i in range(a.ndim) if i not in sources])
    placed = dict(zip(targets, sources, strict=True))
    return transpose(a, axes=tuple(placed[i] if i in placed else next(rest) for i in range(a.ndim)))


@implements(np.expand_dims)
def _numpy_expand_dims(a: Any, axis: Any) -> Any:
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    where = normalise(axes, a.ndim + len(axes))
    sizes = iter(a.shape)
    return np.reshape(a, tuple(1 if i in where else next(sizes) for i in range(a.ndim + len(axes))))


@implements(np.squeeze)
def _numpy_squeeze(a: Any, axis: Axis = None) -> Any:
    where = normalise(axis, a.ndim)
    if axis is not None and any(a.shape[i] != 1 for i in where):
        raise ShapeError(f"squeeze: axis {axis} of an array of shape {tuple(a.shape)} must have size 1.")
    return np.reshape(a, tuple(n for i, n in enumerate(a.shape) if i not in where or n != 1))


@implements(np.concatenate)
def _numpy_concatenate(arrays: Any, axis: int | None = 0) -> Any:
    if axis is None:
        return concatenate(*(np.reshape(a, -1) for a in arrays), axis=0)
    return concatenate(*arrays, axis=normalise(axis, np.ndim(arrays[0]))[0])


@implements(np.stack)
def _numpy_stack(arrays: Any, axis: int = 0) -> Any:
    return stack(*arrays, axis=normalise(axis, np.ndim(arrays[0]) + 1)[0])


@implements(np.array_split)
def _numpy_array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    if not isinstance(indices_or_sections, (int, np.integer)):
        return np.split(ary, indices_or_sections, axis)
    if indices_or_sections <= 0:
        raise ShapeError(f"array_split: expected one section or more, got {indices_or_sections}.")
    n, extra = divmod(ary.shape[normalise(axis, ary.ndim)[0]], int(indices_or_sections))
    return np.split(ary, [i * n + min(i, extra) for i in range(1, int(indices_or_sections))], axis)


@implements(np.split)
def _numpy_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    axis = normalise(axis, ary.ndim)[0]
    size = ary.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        n, extra = divmod(size, indices_or_sections) if indices_or_sections > 0 else (0, 1)
        if extra:
            raise ShapeError(f"split: {size} entries do not divide into {indices_or_sections} equal parts.")
        cuts = list(range(n, size, n)) if n else [0] * (indices_or_sections - 1)
    else:
        cuts = [int(i) for i in indices_or_sections]
    lead = (slice(None),) * axis
    return [ary[(*lead, slice(a, b))] for a, b in zip([0, *cuts], [*cuts, size], strict=True)]


@implements(np.unstack)
def _numpy_unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    axis = normalise(axis, x.ndim)[0]
    return tuple(x[(slice(None),) * axis + (i,)] for i in range(x.shape[axis]))


@implements(np.flip)
def _numpy_flip(m: Any, axis: Axis = None) -> Any:
    return flip(m, axis=normalise(axis, m.ndim))


@implements(np.roll)
def _numpy_roll(a: Any, shift: Any, axis: Axis = None) -> Any:
    if axis is None:
        return np.reshape(roll(np.reshape(a, -1), shift=(int(shift),), axis=(0,)), a.shape)
    axes = [axis] if isinstance(axis, int) else list(axis)
    shifts = [int(shift)] * len(axes) if isinstance(shift, int) else [int(s) for s in shift]
    return roll(a, shift=tuple(shifts), axis=tuple(normalise(i, a.ndim)[0] for i in axes))


@implements(np.pad)
def _numpy_pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Any:
    if mode != "constant":
        raise TypeError(f"pad: only mode='constant' has a rule, got mode={mode!r}.")
    if np.ndim(constant_values):
        raise TypeError("the argument constant_values must be one number: one per side has no rule")
    width = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)).tolist()
    return pad(array, width=tuple((int(a), int(b)) for a, b in width), value=constant_values)


@implements(np.repeat)
def _numpy_repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    axis = normalise(axis, a.ndim)[0]
    counts = int(repeats) if np.ndim(repeats) == 0 else tuple(int(n) for n in repeats)
    return repeat(a, repeats=counts, axis=axis)


@implements(np.tile)
def _numpy_tile(A: Any, reps: Any) -> Any:
    counts = (int(reps),) if np.ndim(reps) == 0 else tuple(int(n) for n in reps)
    ndim = max(len(counts), A.ndim)
    counts = (1,) * (ndim - len(counts)) + counts
    shape = (1,) * (ndim - A.ndim) + tuple(A.shape)
    spread = np.broadcast_to(
        np.reshape(A, tuple(n for size in shape for n in (1, size))),
        tuple(n for count, size in zip(counts, shape, strict=True) for n in (count, size)),
    )
    return np.reshape(spread, tuple(c * s for c, s in zip(counts, shape, strict=True)))


@implements(np.tril)
def _numpy_tril(m: Any, k: int = 0) -> Any:
    return tril(m, k=k)


@implements(np.triu)
def _numpy_triu(m: Any, k: int = 0) -> Any:
    return triu(m, k=k)


@implements(np.shape)
def _numpy_shape(a: Any) -> tuple[int, ...]:
    return tuple(a.shape)


@implements(np.ndim)
def _numpy_ndim(a: Any) -> int:
    return a.ndim


@implements(np.size)
def _numpy_size(a: Any, axis: int | None = None) -> int:
    return math.prod(a.shape) if axis is None else a.shape[axis]
