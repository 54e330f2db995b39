"""Samples of the reductions, and of softmax and cross entropy, which normalise over axes."""

from typing import Any

import numpy as np

from .base import Op, Sample, call, draw, mask, spread, whole

# shape, axes, keepdims: one axis, the outer ones of three, all, one of size 1, none of a 0-d array, no entries
_CASES = [
    ((3, 4), (0,), False),
    ((3, 4), (1,), True),
    ((2, 3, 2), (0, 2), False),
    ((2, 3, 2), (0, 1, 2), False),
    ((2, 1, 3), (1,), True),
    ((), (), False),
    ((0, 3), (1,), False),
]
_EMPTIED = ((0, 3), (0,), False)


def _samples(name: str, cases: Any, low: float = -2.0, high: float = 2.0, **params: Any) -> list[Sample]:
    return [
        call(spread(*shape, low=low, high=high, key=name), axis=axis, keepdims=keepdims, **params)
        for shape, axis, keepdims in cases
    ]


def _over(function: Any) -> Any:
    """NumPy's function where no axes means none and not all."""
    return lambda x, axis, keepdims, **more: function(x, axis=axis, keepdims=keepdims, **more)


def _torch(name: str) -> Any:
    return lambda t, x, axis, keepdims: getattr(t, name)(x, dim=axis, keepdim=keepdims)


def _prod_torch(t: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    for i in sorted(axis, reverse=True):
        x = t.prod(x, dim=i, keepdim=keepdims)
    return x


def _moment(name: str) -> Op:
    cases = [case for case in _CASES if case[0]]
    samples = [s for ddof in (0, 1) for s in _samples(name, [c for c in cases if c[0] != (2, 1, 3)], ddof=ddof)]
    samples.append(call(np.array(2.5), axis=(), keepdims=False, ddof=0))
    if name == "std":  # where all entries are equal there is a kink
        samples = samples[:-1]

    def torch(t: Any, x: Any, axis: Any, keepdims: bool, ddof: int) -> Any:
        return getattr(t, name)(x, dim=axis, keepdim=keepdims, correction=ddof)

    return Op(samples, _over(getattr(np, name)), torch)


def _logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.log(np.exp(x).sum(axis=axis, keepdims=keepdims)) if x.size else np.full(x.sum(axis=axis).shape, -np.inf)


def _softmax(x: Any, axis: Any) -> Any:
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def _normalised(name: str) -> Op:
    cases = [
        ((3, 4), (1,)),
        ((3, 4), (0,)),
        ((2, 3, 2), (0, 2)),
        ((2, 0), (0,)),
        ((0, 3), (0,)),
        ((), ()),
        ((1, 5), (1,)),
    ]
    samples = [call(draw(*shape, key=name), axis=axis) for shape, axis in cases]

    def numpy(x: Any, axis: Any) -> Any:
        return np.log(_softmax(x, axis)) if name == "log_softmax" else _softmax(x, axis)

    def torch(t: Any, x: Any, axis: tuple[int, ...]) -> Any:
        shift = t.logsumexp(x, dim=axis, keepdim=True) if len(axis) != 1 else None
        if shift is None:
            return getattr(t, name)(x, dim=axis[0])
        return x - shift if name == "log_softmax" else t.exp(x - shift)

    return Op(samples, numpy, torch)


def _truth(name: str) -> Op:
    shapes = [
        ((3, 4), (0,), False),
        ((3, 4), (1,), True),
        ((2, 3, 2), (0, 2), False),
        ((), (), False),
        ((0, 3), (0,), False),
    ]
    samples = [call(mask(*s, key=name), axis=a, keepdims=k) for s, a, k in shapes]
    samples.append(call(whole(3, 4, low=0, high=2), axis=(1,), keepdims=False))

    def torch(t: Any, x: Any, axis: Any, keepdims: bool) -> Any:
        if name == "count_nonzero":
            count = t.count_nonzero(x, dim=axis) if axis else (x != 0).long()
            return count.reshape([1 if i in axis else n for i, n in enumerate(x.shape)]) if keepdims else count
        return getattr(t, name)(x, dim=axis, keepdim=keepdims) if axis else x.bool()

    return Op(samples, _over(getattr(np, name)), torch)


def _argument(name: str) -> Op:
    cases: list[Any] = [
        ((3, 4), 0, False),
        ((3, 4), 1, True),
        ((2, 3, 2), None, False),
        ((), None, False),
        ((0, 3), 1, False),
    ]
    samples = [call(spread(*s, key=name), axis=a, keepdims=k) for s, a, k in cases]
    return Op(samples, getattr(np, name), _torch(name))


def _cross_entropy(z: Any, target: Any, ignore: int | None = None) -> Any:
    kept = np.where(target == ignore, 0, target) if ignore is not None else target
    picked = np.take_along_axis(np.log(_softmax(z, -1)), kept[..., None], -1)[..., 0]
    return np.where(target == ignore, 0, -picked) if ignore is not None else -picked


def _torch_cross_entropy(t: Any, z: Any, target: Any, ignore: int | None = None) -> Any:
    flat, classes = z.reshape(-1, z.shape[-1]), target.reshape(-1)
    ignore = -100 if ignore is None else ignore
    return t.nn.functional.cross_entropy(flat, classes, reduction="none", ignore_index=ignore).reshape(target.shape)


REDUCE: dict[str, Op] = {
    "sum": Op(_samples("sum", [*_CASES, _EMPTIED]), _over(np.sum), _torch("sum")),
    "mean": Op(_samples("mean", _CASES), _over(np.mean), _torch("mean")),
    "var": _moment("var"),
    "std": _moment("std"),
    "max": Op(_samples("max", _CASES), _over(np.max), _torch("amax")),
    "min": Op(_samples("min", _CASES), _over(np.min), _torch("amin")),
    "prod": Op(_samples("prod", [*_CASES, _EMPTIED, ((1, 1), (0, 1), False)]), _over(np.prod), _prod_torch),
    "logsumexp": Op(_samples("logsumexp", _CASES), _logsumexp, _torch("logsumexp")),
    "softmax": _normalised("softmax"),
    "log_softmax": _normalised("log_softmax"),
    "cumsum": Op(
        [
            call(draw(*s, key="cumsum"), axis=a)
            for s, a in [((3, 4), 0), ((3, 4), 1), ((2, 3, 2), 1), ((0, 3), 0), ((4,), 0)]
        ],
        np.cumsum,
        lambda t, x, axis: t.cumsum(x, dim=axis),
    ),
    "any": _truth("any"),
    "all": _truth("all"),
    "count_nonzero": _truth("count_nonzero"),
    "argmax": _argument("argmax"),
    "argmin": _argument("argmin"),
    "cross_entropy": Op(
        [
            call(draw(3, 4, key="ce"), whole(3, low=0, high=4)),
            call(draw(2, 3, 5, key="ce"), whole(2, 3, low=0, high=5)),
            call(draw(4, key="ce"), np.array(2)),
            call(draw(0, 4), whole(0, low=0, high=4)),
            call(draw(4, 3, key="ce"), np.array([2, -100, 0, -100]), ignore=-100),
            call(draw(3, 3, key="ce"), np.array([0, 1, 2]), ignore=1),
        ],
        _cross_entropy,
        _torch_cross_entropy,
    ),
}
