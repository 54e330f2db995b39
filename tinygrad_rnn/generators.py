"""Generators of random numbers: NumPy's, with PyTorch's words for reseeding and saving.

Floor 0. Importing this file loads `numpy.random`, which `import numpy` does not; so
whoever draws imports it when it draws.
"""

from __future__ import annotations

from typing import Any

import numpy as np


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
