"""Dropout in its forms: entries, or whole channels, set to zero while training."""

from __future__ import annotations

import numpy as np

from ...tensor import Tensor
from .. import functional as F
from ..module import Module


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: np.random.Generator | None = None) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace
        self.generator = generator

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Set entries to 0 with probability p while training, and multiply the others by 1 / (1 - p).

    generator: what draws; the default one if None. Raises ValueError unless 0 <= p <= 1. Source: Srivastava et al.
    2014.
    """

    def forward(self, input: Tensor) -> Tensor:
        """input: any shape, float. Returns the same shape."""
        return F.dropout(input, self.p, self.training, self.inplace, self.generator)


class Dropout1d(_Dropout):
    """Drop whole channels of (B, C, T) or (C, T); arguments as `Dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        """input: (B, C, T) or (C, T). Returns the same shape."""
        return F.dropout1d(input, self.p, self.training, self.inplace, self.generator)


class Dropout2d(_Dropout):
    """Drop whole channels of (B, C, ...); arguments as `Dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        """input: (B, C, ...). Returns the same shape."""
        return F.dropout2d(input, self.p, self.training, self.inplace, self.generator)
