"""Draws. A draw is a primitive without array arguments, so programs that replay a recording draw afresh each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..primitive import primitive

if TYPE_CHECKING:
    from ..generators import Generator


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, from which everything draws that is given no other; returns it."""
    from ..generators import default_generator

    return default_generator.manual_seed(seed)


def resolve(generator: np.random.Generator | None) -> np.random.Generator:
    """The generator to draw from: the one given, or the default one."""
    if generator is not None:
        return generator
    from ..generators import default_generator

    return default_generator


def _bernoulli(
    *, p: float, shape: tuple[int, ...], dtype: Any, scale: float, generator: np.random.Generator | None
) -> Any:
    hits = resolve(generator).random(shape, dtype=np.float32) < p
    return np.multiply(hits, scale, dtype=dtype)


# A mask that is `scale` with probability p and 0 otherwise: what dropout multiplies by.
bernoulli = primitive(_bernoulli, kind="random", name="bernoulli")
