"""Draws, and the generators they come from.

A draw is a primitive without array arguments, so programs that replay a recording draw afresh each time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitive import primitive

__all__ = ["Generator", "bernoulli", "default_generator", "manual_seed", "resolve"]


class Generator(np.random.Generator):
    """A `numpy.random.Generator` (PCG64) that can also be reseeded and saved in PyTorch's words.

    Any `numpy.random.Generator` is welcome wherever one of these is.
    """

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(np.random.PCG64())

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from `seed`, an int >= 0; returns self."""
        self.bit_generator.state = np.random.PCG64(seed).state
        return self

    def get_state(self) -> dict[str, Any]:
        """All that is needed to continue the stream from here (a dict of ints and strings)."""
        return dict(self.bit_generator.state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue the stream from where `get_state` was called."""
        self.bit_generator.state = state


default_generator = Generator()
"""What draws when no generator is passed."""


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, from which everything draws that is given no other; returns it."""
    return default_generator.manual_seed(seed)


def resolve(generator: np.random.Generator | None) -> np.random.Generator:
    """The generator to draw from: the one given, or the default one."""
    return default_generator if generator is None else generator


def _bernoulli(
    *, p: float, shape: tuple[int, ...], dtype: Any, scale: float, generator: np.random.Generator | None
) -> Any:
    hits = resolve(generator).random(shape, dtype=np.float32) < p
    return np.multiply(hits, scale, dtype=dtype)


# A mask that is `scale` with probability p and 0 otherwise: what dropout multiplies by.
bernoulli = primitive(_bernoulli, kind="random", name="bernoulli")
