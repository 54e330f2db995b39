"""Embedding: a table of rows, looked up by number."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ...tensor import Tensor, array_of
from .. import functional as F
from .. import init
from ..module import Module, Parameter
from .linear import new


class Embedding(Module):
    """Rows of a table, by number.

    num_embeddings, embedding_dim: sizes V and D. padding_idx: a row that starts as zeros and is never trained.
    max_norm, norm_type: shrink rows, when they are looked up, to at most this norm.
    Parameter: weight (V, D), drawn from a standard normal distribution.
    Raises ValueError if padding_idx is no row. scale_grad_by_freq and sparse are refused when called.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Padding_idx must be within num_embeddings: got {padding_idx} of {num_embeddings}.")
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if _weight is None:
            self.weight = new(num_embeddings, embedding_dim, dtype=dtype)
            self.reset_parameters(generator)
            self.weight.requires_grad = not _freeze
        else:
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None, **more: Any) -> Self:
        """An Embedding on a given table (V, D), which is not trained unless freeze=False."""
        rows, size = array_of(embeddings).shape
        return cls(rows, size, padding_idx, _weight=embeddings, _freeze=freeze, **more)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw the table anew."""
        init.normal_(self.weight, generator=generator)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        """input: (...) int. Returns (..., D). Raises IndexError for a row that is not in the table."""
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        options = {"padding_idx": None, "max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
        for name, default in options.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text + (", sparse=True" if self.sparse else "")
