"""Keep gradients from exploding: clip them to a norm or to a range, in place."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...tensor import Tensor, make
from ...writes import mutated


def _grads(parameters: Tensor | Iterable[Tensor]) -> list[np.ndarray]:
    given = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.node.grad.array for p in given if p.node is not None and p.node.grad is not None]


def _total_norm(arrays: list[np.ndarray], norm_type: float) -> Any:
    if not arrays:
        return np.float32(0.0)
    dtype = np.result_type(*arrays)
    if norm_type == 2:  # one pass each: the product of an array with itself
        flat = [a.reshape(-1) if a.flags.c_contiguous else a.ravel() for a in arrays]
        return dtype.type(math.sqrt(sum(float(np.dot(a, a)) for a in flat)))
    norms = [np.linalg.norm(a.reshape(-1), norm_type) for a in arrays]
    return dtype.type(max(norms) if math.isinf(norm_type) else np.linalg.norm(norms, norm_type))


def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The norm of all entries of some tensors together, 0-d. Raises RuntimeError if it is not finite and that is an
    error."""
    arrays = [t.array for t in ([tensors] if isinstance(tensors, Tensor) else tensors)]
    total = _total_norm(arrays, float(norm_type))
    _refuse_nonfinite(total, norm_type, error_if_nonfinite)
    return make(np.asarray(total))


def _refuse_nonfinite(total: Any, norm_type: float, refuse: bool) -> None:
    if refuse and not np.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            f"clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            f"`error_if_nonfinite=False`"
        )


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients together, in place, to at most a norm.

    parameters: a Tensor or several; those without gradient are left out. norm_type: 2.0, inf, or any order.
    Returns the total norm before clipping, 0-d. Raises RuntimeError if it is not finite and error_if_nonfinite.
    Source: Pascanu et al. 2013.
    """
    arrays = _grads(parameters)
    with np.errstate(over="ignore", invalid="ignore"):
        total = _total_norm(arrays, float(norm_type))
    _refuse_nonfinite(total, norm_type, error_if_nonfinite)
    # PyTorch's 1e-6, and its multiplication even where nothing is to be clipped only when the norm is no number
    scale = float(max_norm) / (float(total) + 1e-6)
    if not scale >= 1:
        for array in arrays:
            array *= scale
            mutated(array)
    return make(np.asarray(total))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Clip every entry of all gradients, in place, to the range from -clip_value to clip_value."""
    for array in _grads(parameters):
        np.clip(array, -clip_value, clip_value, out=array)
        mutated(array)
