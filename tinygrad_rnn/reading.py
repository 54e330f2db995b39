"""Reading the values of a tensor: as an array, as a Python number, one by one.

Below Tensor, which inherits this. While a compiler records, values must not be read, and each of these says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DTypeError, GraphError
from .state import call_site, current


class Readable:
    """What makes a tensor with one entry a number, and any tensor an array."""

    __slots__ = ()

    if TYPE_CHECKING:
        array: np.ndarray
        node: Any

        @property
        def requires_grad(self) -> bool: ...

        def __getitem__(self, key: Any) -> Any: ...

    def numpy(self) -> np.ndarray:
        """The array itself (shared memory). Raises GraphError if gradients flow to this tensor: detach() it first."""
        self._readable("numpy()")
        if self.requires_grad:
            raise GraphError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return self.array

    def item(self) -> Any:
        """The value of a tensor with one entry, as a Python number."""
        self._readable("item()")
        if self.array.size != 1:
            raise GraphError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar")
        return self.array.item()

    def _readable(self, what: str) -> None:
        """Raise GraphError where values must not be read: a compiler is recording. what: who reads, for the message."""
        reason = current().tracing
        if reason:
            raise GraphError(f"{what}{current().scope.where()} at {call_site()}: {reason}")

    def _known(self, what: str) -> np.ndarray:
        """The array, for whoever decides by its values; what: who does, for the message.

        Raises GraphError while a compiler records and the tensor has a history there: a replay would decide as then.
        """
        if self.node is not None:
            self._readable(what)
        return self.array

    def __format__(self, spec: str) -> str:
        if not self.array.ndim and not current().tracing:
            return format(self.item(), spec)  # as PyTorch's: f"{loss:.4f}"
        if spec:
            raise DTypeError(
                f"unsupported format string {spec!r} for a Tensor of shape {list(self.array.shape)}: format its "
                f"entries, from tolist(), or take one with item()."
            )
        return str(self)

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise GraphError(
                f"Boolean value of Tensor with {self.array.size} values is ambiguous; use .any() or .all()."
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.array.dtype.kind == "f":
            raise DTypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __len__(self) -> int:
        if not self.array.ndim:
            raise DTypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.array.ndim:
            raise DTypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self.array.shape[0]))


def values_of(x: Any, what: str) -> Any:
    """The array of a tensor, for whoever decides by its values, see `_known`; anything else as it is."""
    return x._known(what) if isinstance(x, Readable) else x
