"""All parameters of a model as one vector, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...errors import ShapeError
from ...tensor import Tensor
from ...writes import overwrite


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Concatenate the entries of all parameters, in order, to one axis; gradients flow back to them."""
    return np.concatenate([np.reshape(p, -1) for p in parameters])  # type: ignore[return-value,call-overload]


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the entries of a vector (N,) into the parameters, in order. Raises ShapeError if it is too long or too
    short."""
    targets = list(parameters)
    total = sum(math.prod(p.shape) for p in targets)
    if vec.shape != (total,):
        raise ShapeError(f"vector_to_parameters: expected shape [{total}], got {list(vec.shape)}.")
    start = 0
    for p in targets:
        overwrite(p.array, vec.array[start : start + p.array.size].reshape(p.shape))
        start += p.array.size
