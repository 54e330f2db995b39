"""Samples of reading and writing by index, in every mixture that NumPy allows, and of the random draws."""

from typing import Any

import numpy as np

from tinygrad_rnn.ops.index import Slot

from .base import Op, call, draw, mask, whole

_ALL = slice(None)
_BASIC = [
    ((5,), (2,)), ((5,), (-1,)), ((5,), (slice(1, 4),)), ((5,), (slice(None, None, -2),)), ((3, 4), (1,)),
    ((3, 4), (_ALL, -2)), ((3, 4), (..., 1)), ((3, 4), (None, 0, None)),
    ((2, 3, 4), (slice(0, 1), ..., slice(1, None, 2))),
    ((), ()), ((), (None,)), ((0, 3), (_ALL, 1)), ((3, 4), (slice(2, 2),)), ((3, 4), (2, 3)),
]  # fmt: skip

_ROWS, _PAIR = np.array([2, 0, 2, 1]), np.array([[0, 1], [1, -1]])
# pattern and index arrays: repeated rows, a grid, masks, slices before, between and after arrays, None, negative, 0-d
_ADVANCED: list[tuple[tuple[int, ...], tuple[Any, ...], tuple[Any, ...]]] = [
    ((3, 4), (Slot(0),), (_ROWS,)),
    ((3, 4), (Slot(0), Slot(1)), (_ROWS, np.array([1, 1, 1, 3]))),
    ((3, 4), (_ALL, Slot(0)), (_PAIR,)),
    ((2, 3, 2), (Slot(0), _ALL, Slot(1)), (np.array([0, 1, 1]), np.array([1, 0, 0]))),
    ((2, 3, 2), (1, Slot(0), slice(0, 1)), (np.array([2, 2]),)),
    ((2, 3, 2), (..., Slot(0)), (np.array([1, 1, 0]),)),
    ((3, 4), (Slot(0), None), (np.array([-1, 0]),)),
    ((3, 4), (Slot(0),), (np.array([True, False, True]),)),
    ((3, 4), (Slot(0),), (mask(3, 4, key="take"),)),
    ((2, 3, 2), (_ALL, Slot(0)), (mask(3, 2, key="take2"),)),
    ((2, 3, 2), (Slot(0), _ALL, Slot(1)), (np.array([True, True]), np.array([0, 1]))),
    ((5,), (Slot(0),), (np.array(3),)),
    ((5,), (Slot(0),), (np.zeros(0, np.int64),)),
    ((0, 3), (Slot(0),), (np.zeros((2, 0), np.int64),)),
    ((3, 0), (Slot(0),), (np.array([0, 0]),)),
    ((3, 4), (Slot(0), slice(1, 3)), (_ROWS.astype(np.uint8),)),
    ((300, 1), (Slot(0),), (np.array([1, -2], np.int8),)),
    ((3, 3, 2), (Slot(0), Slot(1)), (np.array([[0], [2]]), np.array([[1, 1, 0]]))),
]


def _filled(pattern: tuple[Any, ...], indices: Any) -> tuple[Any, ...]:
    return tuple(indices[part.i] if isinstance(part, Slot) else part for part in pattern)


def _read(x: Any, *indices: Any, pattern: tuple[Any, ...]) -> Any:
    return x[_filled(pattern, indices)]


def _torch_key(t: Any, pattern: tuple[Any, ...], indices: Any) -> tuple[Any, ...]:
    # torch has no negative steps; the samples of them have one axis of 5
    pattern = tuple(range(5)[p] if isinstance(p, slice) and (p.step or 1) < 0 else p for p in pattern)
    key = _filled(pattern, [i.long() if i.dtype != t.bool else i for i in indices])
    return tuple(t.tensor(part) if isinstance(part, range) else part for part in key)


def _torch_take(t: Any, x: Any, *indices: Any, pattern: tuple[Any, ...]) -> Any:
    return x[_torch_key(t, pattern, indices)]


def _torch_getitem(t: Any, x: Any, index: tuple[Any, ...]) -> Any:
    return x[_torch_key(t, index, ())]


def _place(*parts: Any, indices: Any, shape: Any) -> Any:
    out = np.zeros(shape)
    for part, index in zip(parts, indices, strict=True):
        out[index] = out[index] + part
    return out


def _torch_place(t: Any, *parts: Any, indices: Any, shape: Any) -> Any:
    total = t.zeros(shape, dtype=parts[0].dtype)
    for part, index in zip(parts, indices, strict=True):
        one = t.zeros(shape, dtype=parts[0].dtype)
        one[index] = part
        total = total + one
    return total


def _put(g: Any, *indices: Any, pattern: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    """The scatter by its definition: one entry after the other."""
    flat = np.zeros(int(np.prod(shape)))
    where = np.arange(flat.size).reshape(shape)[_filled(pattern, indices)]
    for value, place in zip(np.ravel(g), np.ravel(where), strict=True):
        flat[place] += value
    return flat.reshape(shape)


def _torch_put(t: Any, g: Any, *indices: Any, pattern: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    where = t.arange(int(np.prod(shape))).reshape(shape)[_torch_key(t, pattern, indices)]
    flat = t.zeros(int(np.prod(shape)), dtype=g.dtype).index_add(0, where.reshape(-1), g.reshape(-1))
    return flat.reshape(shape)


def _set(x: Any, value: Any, *indices: Any, pattern: tuple[Any, ...]) -> Any:
    out = np.array(x.tolist()).reshape(x.shape)
    out[_filled(pattern, indices)] = value
    return out


def _torch_set(t: Any, x: Any, value: Any, *indices: Any, pattern: tuple[Any, ...]) -> Any:
    out = x.clone()
    out[_torch_key(t, pattern, indices)] = value
    return out


def _once(index: Any) -> bool:
    """Whether an index names no entry twice."""
    shape, pattern, indices = index
    where = np.arange(int(np.prod(shape))).reshape(shape)[_filled(pattern, indices)]
    return len(np.unique(where)) == np.size(where)


def _set_samples() -> list[Any]:
    samples = []
    for shape, pattern, indices in [*((s, i, ()) for s, i in _BASIC), *filter(_once, _ADVANCED)]:
        part = np.zeros(shape)[_filled(pattern, indices)].shape
        samples.append(call(draw(*shape, key="set"), draw(*part, key="value"), *indices, pattern=pattern))
    samples.append(call(draw(3, 4), draw(), pattern=(_ALL, 1)))  # broadcast into the places
    samples.append(call(draw(3, 4), draw(4), np.array([0, 2]), pattern=(Slot(0),)))
    return samples


def _along(shape: tuple[int, ...], index: Any, axis: int) -> Any:
    return draw(*shape, key="along"), index, axis


_ALONG = [
    _along((3, 4), whole(3, 2, low=0, high=4), 1), _along((3, 4), whole(5, 4, low=0, high=3), 0),
    _along((2, 3, 2), whole(2, 3, 4, low=-2, high=2), 2), _along((5,), np.array([1, 1, 1]), 0),
    _along((0, 3), whole(0, 2, low=0, high=3), 1), _along((3, 4), whole(1, 2, low=0, high=4), 1),
    _along((1, 4), whole(3, 2, low=0, high=4), 1),
]  # fmt: skip


def _gather(x: Any, index: Any, axis: int) -> Any:
    shape = list(np.broadcast_shapes(*(np.delete(s.shape, axis) for s in (x, index))))
    shape.insert(axis, index.shape[axis])
    wide = np.broadcast_to(x, [x.shape[axis] if i == axis else n for i, n in enumerate(shape)])
    where = np.broadcast_to(index, shape)
    out = np.zeros(shape)
    for at in np.ndindex(*shape):
        out[at] = wide[(*at[:axis], where[at], *at[axis + 1 :])]
    return out


def _torch_gather(t: Any, x: Any, index: Any, axis: int) -> Any:
    return t.take_along_dim(x, t.where(index < 0, index + x.shape[axis], index), dim=axis)


def _scatter(g: Any, index: Any, axis: int, shape: Any) -> Any:
    out = np.zeros(shape)
    for at in np.ndindex(*g.shape):
        out[(*at[:axis], index[at], *at[axis + 1 :])] += g[at]
    return out


INDEX: dict[str, Op] = {
    "getitem": Op([call(draw(*s, key="get"), index=i) for s, i in _BASIC], lambda x, index: x[index], _torch_getitem),
    "place": Op(
        [
            call(draw(), draw(), indices=((1,), (3,)), shape=(5,)),
            call(draw(4, key=1), draw(4, key=2), indices=((0,), (2,)), shape=(3, 4)),
            call(draw(2, key=1), draw(2, key=2), indices=((slice(0, 2),), (slice(1, 3),)), shape=(4,)),
            call(draw(3, key=1), indices=((_ALL, 1),), shape=(3, 2)),
            call(draw(0, 2), indices=((slice(1, 1),),), shape=(3, 2)),
        ],
        _place,
        _torch_place,
    ),
    "take": Op([call(draw(*s, key="take"), *i, pattern=p) for s, p, i in _ADVANCED], _read, _torch_take),
    "put": Op(
        [
            call(draw(*np.zeros(s)[_filled(p, i)].shape, key="put"), *i, pattern=p, shape=s)
            for s, p, i in [*_ADVANCED, *((s, i, ()) for s, i in _BASIC)]
        ],
        _put,
        _torch_put,
    ),
    "put_value": Op(_set_samples(), _set, _torch_set),
    "take_along_axis": Op([call(x, index, axis=axis) for x, index, axis in _ALONG], _gather, _torch_gather),
    "scatter_along_axis": Op(
        [
            call(draw(*index.shape, key="scatter"), index % x.shape[axis], axis=axis, shape=x.shape)
            for x, index, axis in _ALONG[:5]
        ],
        _scatter,
        lambda t, g, index, axis, shape: t.zeros(shape, dtype=g.dtype).scatter_add(axis, index, g),
    ),
    "one_hot": Op(
        [
            call(whole(*s, low=0, high=4), classes=4, dtype=np.dtype(np.float64)) for s in [(3,), (2, 3), (), (0,)]
        ],
        lambda x, classes, dtype: np.eye(classes)[x],
        lambda t, x, classes, dtype: t.nn.functional.one_hot(x, classes).double(),
    ),
}  # fmt: skip
