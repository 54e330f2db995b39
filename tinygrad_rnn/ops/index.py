"""Reading parts of an array, and the scatter that is the gradient of reading.

Basic indices (ints, slices, None, ...) are params; index arrays are arguments, for they are data: `getitem` is the
first kind and `take` the second. `place` is the scatter of basic indices: the cotangents of all the slices that were
read from one array, put into one buffer, so that reading a sequence step by step costs linear time. Its own gradient
is `getitem` again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitive import implements, primitive
from .reduce import normalise


def _getitem(x: Any, index: Any) -> Any:
    part = x[index]
    # one entry is a view, too, where NumPy would make a number of it: a write to it must reach x
    return part if part.__class__ is np.ndarray else x[(*index, ...)]


def _getitem_scatter(buffer: Any, g: Any, index: Any) -> None:
    buffer[index] += g


def _getitem_fill(buffer: Any, g: Any, filled: Any, index: Any) -> Any:
    """As `_getitem_scatter`; but what is written over zeros need not be added, which takes a third of the time.

    filled: `(lead, start, stop)`: of the axis after those of `lead`, entries start to stop hold what was read so far.
    """
    span = _span(index[-1]) if index else None
    if filled is None or span is None or (filled and filled[0] != index[:-1]):
        buffer[index] += g
        return None
    (start, stop), (lead, low, high) = span, filled or (index[:-1], *span)
    if not filled or stop <= low or start >= high:
        buffer[index] = g
    else:
        buffer[index] += g
    return lead, min(start, low), max(stop, high)


def _span(part: Any) -> tuple[int, int] | None:
    """Where the entries of one axis that are read lie, if that can be told without its size."""
    if part.__class__ is int:
        return (part, part + 1) if part >= 0 else None
    if part.__class__ is not slice or part.start is None or part.stop is None:
        return None
    return (part.start, part.stop) if 0 <= part.start <= part.stop else None


def _getitem_vjp(g: Any, y: Any, x: Any, index: Any) -> Any:
    return place(g, indices=(index,), shape=x.shape)


getitem = primitive(
    _getitem, kind="index", vjp=_getitem_vjp, scatter=_getitem_scatter, fill=_getitem_fill, name="getitem"
)


def _place(*parts: Any, indices: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    buffer = np.zeros(shape, dtype=parts[0].dtype)
    for part, index in zip(parts, indices, strict=True):
        buffer[index] += part
    return buffer


def _place_vjp(g: Any, y: Any, *parts: Any, indices: tuple[Any, ...], shape: tuple[int, ...]) -> list[Any]:
    return [getitem(g, index=index) for index in indices]


place = primitive(_place, kind="index", joint=_place_vjp, name="place")


class Slot:
    """The place of index array number `i` in the pattern of a `take`.

    natural: whether a negative index is an IndexError and does not count from the end.
    """

    __slots__ = ("i", "natural")

    def __init__(self, i: int, natural: bool = False) -> None:
        self.i = i
        self.natural = natural

    def __repr__(self) -> str:
        return f"#{self.i}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slot) and (other.i, other.natural) == (self.i, self.natural)

    def __hash__(self) -> int:
        return hash((Slot, self.i, self.natural))


def _fill(pattern: tuple[Any, ...], indices: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(indices[part.i] if isinstance(part, Slot) else part for part in pattern)


def _take(x: Any, *indices: Any, pattern: tuple[Any, ...]) -> Any:
    for part in pattern:
        if isinstance(part, Slot) and part.natural and indices[part.i].min(initial=0) < 0:
            raise IndexError(f"index {indices[part.i].min()} is out of bounds: expected 0 or more.")
    return x[_fill(pattern, indices)]


def _take_scatter(buffer: Any, g: Any, *indices: Any, pattern: tuple[Any, ...]) -> None:
    if not g.size:
        return
    if not indices:
        buffer[pattern] += g  # a basic index names no entry twice
    elif len(pattern) == 1 and indices[0].dtype != np.bool_ and buffer.ndim == 2:
        _add_rows(buffer, indices[0].reshape(-1), g.reshape(-1, buffer.shape[1]))
    else:
        np.add.at(buffer, _fill(pattern, indices), g)


_ROUNDS = 16


def _add_rows(buffer: Any, rows: Any, g: Any) -> None:
    """`buffer[rows] += g` with rows that repeat: all that come first at once, then all that come second, and so on.

    Sums of runs would do (`reduceat`), but each costs NumPy a reduction of its own, which is most of the time where
    most rows come once; they are left to what is left after some rounds.
    """
    if not rows.size:
        return
    rows = rows.astype(np.intp, copy=False)  # small unsigned ones could not hold the size that is added
    rows = np.where(rows < 0, rows + buffer.shape[0], rows)
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(starts, append=rows.size)
    totals = g[order[starts]]
    for k in range(1, min(_ROUNDS, counts.max())):
        again = np.flatnonzero(counts > k)
        totals[again] += g[order[starts[again] + k]]
    many = counts > _ROUNDS
    if many.any():
        left = np.arange(rows.size) - np.repeat(starts, counts) >= _ROUNDS
        ends = np.cumsum(counts[many] - _ROUNDS)
        totals[many] += np.add.reduceat(g[order[left]], np.append(0, ends[:-1]), axis=0)
    buffer[ordered[starts]] += totals


def _take_vjp(i: int, g: Any, y: Any, x: Any, *indices: Any, pattern: tuple[Any, ...]) -> Any:
    return None if i else put(g, *indices, pattern=pattern, shape=x.shape)


take = primitive(_take, kind="index", saves="1*", every=_take_vjp, scatter=_take_scatter, name="take")


def _put(g: Any, *indices: Any, pattern: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    buffer = np.zeros(shape, dtype=g.dtype)
    _take_scatter(buffer, g, *indices, pattern=pattern)
    return buffer


def _put_vjp(i: int, g: Any, y: Any, part: Any, *indices: Any, pattern: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    return None if i else take(g, *indices, pattern=pattern)


put = primitive(_put, kind="index", saves="1*", every=_put_vjp, name="put")


def _set(x: Any, value: Any, *indices: Any, pattern: tuple[Any, ...]) -> Any:
    out = np.array(x)
    out[_fill(pattern, indices)] = value
    return out


def _set_vjp(i: int, g: Any, y: Any, x: Any, value: Any, *indices: Any, pattern: tuple[Any, ...]) -> Any:
    if i == 0:
        return put_value(g, np.zeros(value.shape, value.dtype), *indices, pattern=pattern)
    return take(g, *indices, pattern=pattern) if i == 1 else None


# x with x[index] = value, out of place; an index must not name an entry twice (which value would win is not defined).
put_value = primitive(_set, kind="index", saves="2*", every=_set_vjp, name="put_value")


def _gather(x: Any, index: Any, axis: int) -> Any:
    return np.take_along_axis(x, index, axis)


def _gather_scatter(buffer: Any, g: Any, index: Any, axis: int) -> None:
    # the other axes of x and index broadcast against each other: an axis of size 1 stays at its only place
    where: list[Any] = list(np.indices(buffer.shape, sparse=True))
    where[axis] = index
    np.add.at(buffer, tuple(where), g)


def _gather_vjp(g: Any, y: Any, x: Any, index: Any, axis: int) -> Any:
    return scatter_along(g, index, axis=axis, shape=x.shape)


gather = primitive(
    _gather, kind="index", saves="1", vjp=(_gather_vjp, None), scatter=_gather_scatter, name="take_along_axis"
)


def _scatter_along(g: Any, index: Any, axis: int, shape: tuple[int, ...]) -> Any:
    buffer = np.zeros(shape, dtype=g.dtype)
    _gather_scatter(buffer, g, index, axis)
    return buffer


scatter_along = primitive(
    _scatter_along,
    kind="index",
    saves="1",
    vjp=(lambda g, y, part, index, axis, shape: gather(g, index, axis=axis), None),
    name="scatter_along_axis",
)


@implements(np.take_along_axis)
def _numpy_take_along_axis(arr: Any, indices: Any, axis: int = -1) -> Any:
    return gather(arr, indices, axis=normalise(axis, arr.ndim)[0])


@implements(np.take)
def _numpy_take(a: Any, indices: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    indices = np.asarray(indices) if isinstance(indices, (int, list, tuple)) else indices
    return take(a, indices, pattern=(slice(None),) * normalise(axis, a.ndim)[0] + (Slot(0),))


def split_index(key: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """An index as written between brackets -> (pattern, index arrays); no arrays means that it is basic.

    Lists become arrays. Raises IndexError for floats and anything else that NumPy would refuse.
    """
    pattern: list[Any] = []
    arrays: list[Any] = []
    for part in key if isinstance(key, tuple) else (key,):
        if part is None or part is Ellipsis or isinstance(part, slice):
            pattern.append(_plain_slice(part) if isinstance(part, slice) else part)
        elif isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_)):
            pattern.append(int(part))
        else:
            array = np.asarray(part) if isinstance(part, (list, tuple, bool, np.bool_)) else part
            if isinstance(array, np.ndarray) and array.size == 0 and array.dtype == np.float64:
                array = array.astype(np.intp)  # an empty list
            kind = getattr(getattr(array, "dtype", None), "kind", "?")
            if kind not in "iub":
                advice = " Did you mean its .long()?" if kind == "f" else ""
                raise IndexError(
                    f"indices must be integers, slices, None, ..., or arrays of integers or booleans; got "
                    f"{type(part).__name__} {part!r}.{advice}"
                )
            pattern.append(Slot(len(arrays)))
            arrays.append(array)
    return tuple(pattern), arrays


def _plain_slice(part: slice) -> slice:
    """A slice with plain ints, so that params compare and print alike whatever came in."""
    return slice(*(None if n is None else int(n) for n in (part.start, part.stop, part.step)))
