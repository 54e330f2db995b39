"""What the functions in this folder share: casts to float, axes, sizes, lists of tensors.

Floor 5.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import get_default_dtype
from ..errors import ShapeError
from ..ops.reduce import normalise
from ..tensor import Tensor, cast, make


def floating(x: Any) -> Tensor:
    """x as a float tensor: integers become the default dtype, as PyTorch's float functions have it."""
    x = x if isinstance(x, Tensor) else make(np.asarray(x))
    return x if x.array.dtype.kind == "f" else cast(x, get_default_dtype())


def axis_of(x: Tensor, dim: int) -> int:
    """`dim` as a non-negative int."""
    axes = normalise(dim, x.array.ndim)
    return axes[0] if axes else 0


def sizes_of(size: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one or as one tuple or list."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    return tuple(int(n) for n in size)


def same_dtype(tensors: Any, name: str) -> list[Tensor]:
    """A list of tensors in their common dtype. Raises ShapeError if there is none."""
    tensors = [x if isinstance(x, Tensor) else make(np.asarray(x)) for x in tensors]
    if not tensors:
        raise ShapeError(f"{name}: expected a non-empty list of Tensors")
    dtype = np.result_type(*(x.array.dtype for x in tensors))
    return tensors if builtin_all(x.array.dtype == dtype for x in tensors) else [cast(x, dtype) for x in tensors]


def builtin_all(items: Any) -> bool:
    """Python's own all(), whose name is PyTorch's here."""
    return next((False for item in items if not item), True)
