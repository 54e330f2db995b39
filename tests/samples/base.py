"""What a sample is, and how the arrays of samples are drawn."""

import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Sample(NamedTuple):
    """Arguments of one call of a primitive: arrays in float64, int64 or bool, numbers, and params by keyword."""

    args: tuple[Any, ...]
    params: dict[str, Any]

    def __str__(self) -> str:
        shapes = ["x".join(map(str, a.shape)) or "0d" if isinstance(a, np.ndarray) else repr(a) for a in self.args]
        return ",".join(shapes) + "".join(f",{name}={value}" for name, value in self.params.items())


class Op(NamedTuple):
    """The samples of one primitive, and two independent oracles.

    samples: calls in the interior of the domain, away from kinks. numpy: `numpy(*args, **params)` on arrays, by another
    way than the primitive's own where there is one. torch: `torch(torch_module, *args, **params)` on torch's tensors.
    """

    samples: Sequence[Sample]
    numpy: Callable[..., Any]
    torch: Callable[..., Any]


class Edge(NamedTuple):
    """A call at a tie, a kink or an edge of the domain, and the gradients that PyTorch's convention gives there.

    grads: one per float argument, for a cotangent of ones. torch: as in `Op`, or how and why we depart from PyTorch.
    """

    primitive: str
    args: tuple[Any, ...]
    params: dict[str, Any]
    grads: tuple[Any, ...]
    torch: Callable[..., Any] | str

    def __str__(self) -> str:
        values = [str(a.tolist() if isinstance(a, np.ndarray) else a).replace(" ", "") for a in self.args]
        return f"{self.primitive}({','.join(values)})"


def call(*args: Any, **params: Any) -> Sample:
    """A sample as it is written in a call."""
    return Sample(args, params)


def rng_of(*key: Any) -> np.random.Generator:
    """A generator that depends on `key` alone, so that one sample does not change another."""
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def draw(*shape: int, low: float = -2.0, high: float = 2.0, key: Any = 0) -> np.ndarray:
    """Uniform in [low, high), float64."""
    return rng_of(shape, low, high, key).uniform(low, high, shape)


def spread(*shape: int, low: float = -2.0, high: float = 2.0, key: Any = 0) -> np.ndarray:
    """Shuffled values at equal distances: no two are near each other, so a maximum is a smooth function."""
    size = math.prod(shape)
    values = low + (high - low) * (np.arange(size) + 0.62) / (size + 1)
    return rng_of(shape, low, high, key).permutation(values).reshape(shape)


def whole(*shape: int, low: int = -4, high: int = 5, key: Any = 0) -> np.ndarray:
    """Integers in [low, high), int64."""
    return np.asarray(rng_of(shape, low, high, key).integers(low, high, shape))


def mask(*shape: int, key: Any = 0) -> np.ndarray:
    """Random booleans."""
    return np.asarray(rng_of(shape, key).random(shape) < 0.5)
