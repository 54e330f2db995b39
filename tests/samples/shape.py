"""Samples of the primitives that move entries."""

from typing import Any

import numpy as np

from .base import Op, call, draw


def _many(name: str, cases: Any) -> list[Any]:
    return [
        call(*(draw(*shape, key=(name, i)) for i, shape in enumerate(shapes)), axis=axis) for axis, *shapes in cases
    ]


def _broadcast(x: Any, shape: Any) -> Any:
    return np.zeros(shape) + x


def _flip(x: Any, axis: Any) -> Any:
    return x[tuple(slice(None, None, -1) if i in axis else slice(None) for i in range(x.ndim))]


def _torch_pad(t: Any, x: Any, width: Any, value: float) -> Any:
    flat = [n for pair in reversed(width) for n in pair]
    return t.nn.functional.pad(x, flat, value=value) if flat else x.clone()


def _torch_repeat(t: Any, x: Any, repeats: Any, axis: int) -> Any:
    return t.repeat_interleave(x, repeats if isinstance(repeats, int) else t.tensor(repeats), dim=axis)


def _band(name: str) -> Op:
    samples = [
        call(draw(*s, key=name), k=k) for s, k in [((3, 4), 0), ((3, 4), 1), ((4, 3), -1), ((2, 3, 3), 0), ((0, 3), 0)]
    ]

    def numpy(x: Any, k: int) -> Any:
        rows, columns = np.indices(x.shape[-2:])
        return np.where(columns - rows <= k if name == "tril" else columns - rows >= k, x, 0.0)

    return Op(samples, numpy, lambda t, x, k: getattr(t, name)(x, k))


SHAPE: dict[str, Op] = {
    "reshape": Op(
        [
            call(draw(3, 4), shape=(2, 6)),
            call(draw(3, 4), shape=(12,)),
            call(draw(1, 1), shape=()),
            call(draw(), shape=(1, 1)),
            call(draw(0, 3), shape=(3, 0, 2)),
            call(draw(2, 3), shape=(2, 3)),
        ],
        lambda x, shape: np.array(x.ravel().tolist()).reshape(shape),
        lambda t, x, shape: t.reshape(x, shape),
    ),
    "transpose": Op(
        [
            call(draw(3, 4), axes=(1, 0)),
            call(draw(2, 3, 4), axes=(2, 0, 1)),
            call(draw(2, 3, 4), axes=(0, 2, 1)),
            call(draw(), axes=()),
            call(draw(0, 3), axes=(1, 0)),
        ],
        lambda x, axes: np.einsum(x, list(range(x.ndim)), list(axes)),
        lambda t, x, axes: x.permute(axes),
    ),
    "broadcast_to": Op(
        [
            call(draw(3, 1), shape=(3, 4)),
            call(draw(4), shape=(2, 3, 4)),
            call(draw(), shape=(2, 2)),
            call(draw(0, 1), shape=(0, 3)),
            call(draw(2, 3), shape=(2, 3)),
            call(draw(1, 2, 1), shape=(2, 2, 3)),
        ],
        _broadcast,
        lambda t, x, shape: t.broadcast_to(x, shape),
    ),
    "concatenate": Op(
        _many(
            "concatenate",
            [
                (0, (2, 3), (1, 3)),
                (1, (2, 3), (2, 1), (2, 2)),
                (0, (3,)),
                (2, (2, 1, 2), (2, 1, 3)),
                (0, (0, 2), (3, 2)),
                (0, (0,), (0,)),
            ],
        ),
        lambda *xs, axis: np.moveaxis(
            np.array([row for x in xs for row in np.moveaxis(x, axis, 0)]).reshape(-1, *np.delete(xs[0].shape, axis)),
            0,
            axis,
        ),
        lambda t, *xs, axis: t.cat(xs, dim=axis),
    ),
    "stack": Op(
        _many(
            "stack",
            [(0, (2, 3), (2, 3)), (1, (2, 3), (2, 3), (2, 3)), (2, (2, 3), (2, 3)), (0, (), ()), (1, (0,), (0,))],
        ),
        lambda *xs, axis: np.moveaxis(np.array([x.tolist() for x in xs]).reshape(len(xs), *xs[0].shape), 0, axis),
        lambda t, *xs, axis: t.stack(xs, dim=axis),
    ),
    "flip": Op(
        [
            call(draw(*s), axis=a)
            for s, a in [((3, 4), (0,)), ((3, 4), (0, 1)), ((2, 3, 2), (0, 2)), ((0, 2), (0,)), ((), ())]
        ],
        _flip,
        lambda t, x, axis: t.flip(x, axis),
    ),
    "roll": Op(
        [
            call(draw(*s), shift=n, axis=a)
            for s, n, a in [
                ((5,), (2,), (0,)),
                ((3, 4), (-1,), (1,)),
                ((3, 4), (1, -2), (0, 1)),
                ((0, 2), (1,), (0,)),
                ((4,), (7,), (0,)),
            ]
        ],
        lambda x, shift, axis: x[
            np.ix_(
                *(
                    (np.arange(n) - sum(s for s, a in zip(shift, axis, strict=True) if a == i)) % max(n, 1)
                    for i, n in enumerate(x.shape)
                )
            )
        ],
        lambda t, x, shift, axis: t.roll(x, shift, axis),
    ),
    "pad": Op(
        [
            call(draw(2, 3), width=((1, 0), (0, 2)), value=0.0),
            call(draw(3), width=((2, 1),), value=-1.5),
            call(draw(2, 1, 2), width=((0, 0), (1, 1), (2, 0)), value=0.0),
            call(draw(0, 2), width=((1, 1), (0, 0)), value=0.5),
            call(draw(), width=(), value=0.0),
        ],
        lambda x, width, value: np.pad(x, width, constant_values=value) if x.ndim else x,
        _torch_pad,
    ),
    "repeat": Op(
        [
            call(draw(2, 3), repeats=2, axis=0),
            call(draw(2, 3), repeats=3, axis=1),
            call(draw(2, 3), repeats=(1, 0, 2), axis=1),
            call(draw(0, 3), repeats=2, axis=0),
            call(draw(2, 1, 2), repeats=2, axis=2),
            call(draw(3), repeats=0, axis=0),
        ],
        lambda x, repeats, axis: np.take(
            x,
            [i for i in range(x.shape[axis]) for _ in range(repeats if isinstance(repeats, int) else repeats[i])],
            axis=axis,
        ),
        _torch_repeat,
    ),
    "tril": _band("tril"),
    "triu": _band("triu"),
}
