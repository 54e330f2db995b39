"""PyTorch's constructors by type: `LongTensor(3, 4)` for a shape, `LongTensor([1, 2])` for values."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import dtypes
from .tensor import Tensor, as_array, make


def _of(dtype: Any, given: tuple[Any, ...]) -> Tensor:
    if given and all(isinstance(n, int | np.integer) for n in given):
        return make(np.zeros(given, dtype))
    return make(np.array(as_array(given[0] if given else [], dtype)))


def FloatTensor(*given: Any) -> Tensor:
    """A float32 tensor: zeros of the shape given as ints, or the values of a list or array."""
    return _of(dtypes.float32, given)


def DoubleTensor(*given: Any) -> Tensor:
    """A float64 tensor: zeros of the shape given as ints, or the values of a list or array."""
    return _of(dtypes.float64, given)


def LongTensor(*given: Any) -> Tensor:
    """An int64 tensor: zeros of the shape given as ints, or the values of a list or array."""
    return _of(dtypes.int64, given)


def IntTensor(*given: Any) -> Tensor:
    """An int32 tensor: zeros of the shape given as ints, or the values of a list or array."""
    return _of(dtypes.int32, given)


def BoolTensor(*given: Any) -> Tensor:
    """A bool tensor: all False of the shape given as ints, or the values of a list or array."""
    return _of(dtypes.bool_, given)


def is_tensor(obj: Any) -> bool:
    """Whether it is a Tensor."""
    return isinstance(obj, Tensor)


inf, nan, pi = float("inf"), float("nan"), 3.141592653589793
