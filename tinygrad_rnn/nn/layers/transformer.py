"""Names that scripts for recurrent and attention models alike import; this package has recurrent models only.

The classes can be subclassed and named, and refuse to be made.
"""

from __future__ import annotations

from typing import Any

from ..module import Module


class _Absent(Module):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            f"nn.{type(self).__name__}: transformers are not part of this package; choose a recurrent model (nn.RNN, "
            f"nn.LSTM, nn.GRU), or write attention with matmul and softmax."
        )


class Transformer(_Absent):
    """Not part of this package: making one raises NotImplementedError."""


class TransformerEncoder(_Absent):
    """Not part of this package: making one raises NotImplementedError."""


class TransformerEncoderLayer(_Absent):
    """Not part of this package: making one raises NotImplementedError."""


class MultiheadAttention(_Absent):
    """Not part of this package: making one raises NotImplementedError."""
