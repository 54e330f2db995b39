"""Elementwise functions and products for which PyTorch has arguments of its own.

Floor 5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import mixed, with_number
from ..errors import ShapeError
from ..ops import contract, elementwise, special
from ..primitive import PRIMITIVES
from ..reading import values_of
from ..tensor import Tensor, apply, array_of, as_array, cast, make
from .common import floating


def add(x: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """x + alpha * other."""
    return x + (other if alpha == 1 else other * alpha)


def sub(x: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """x - alpha * other."""
    return x - (other if alpha == 1 else other * alpha)


def div(x: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """x / other; rounding_mode "floor" or "trunc" rounds the quotient."""
    if rounding_mode is None:
        return x / other
    if rounding_mode == "floor":
        return x // other
    if rounding_mode == "trunc":
        quotient = apply(PRIMITIVES["trunc"], (x / other,))
        return quotient if (x * other).dtype.kind == "f" else cast(quotient, (x * other).dtype)
    raise ValueError(f"div: expected rounding_mode None, 'floor' or 'trunc', got {rounding_mode!r}.")


def addcmul(x: Tensor, a: Tensor, b: Tensor, *, value: float = 1) -> Tensor:
    """x + value * a * b."""
    return x + a * b * value


def addcdiv(x: Tensor, a: Tensor, b: Tensor, *, value: float = 1) -> Tensor:
    """x + value * a / b."""
    return x + a / b * value


def lerp(x: Tensor, end: Tensor, weight: Any) -> Tensor:
    """x + weight * (end - x)."""
    return x + (end - x) * weight


def clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """x kept between min and max, numbers or tensors; the gradient on a bound is 1."""
    if min is None and max is None:
        raise ValueError("clamp: at least one of 'min' or 'max' must not be None.")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        x = x if min is None else apply(elementwise.maximum, (x, min))
        return x if max is None else apply(elementwise.minimum, (x, max))
    return apply(elementwise.clip, (x,), {"low": min, "high": max})


def rsqrt(x: Tensor) -> Tensor:
    """1 / sqrt(x)."""
    return 1.0 / floating(x).sqrt()


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """x where the condition holds, else y; with one argument the indices where it holds, as
    `nonzero(as_tuple=True)`."""
    if x is None or y is None:
        return tuple(make(i) for i in np.nonzero(values_of(condition, "where(condition)")))
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        dtype = mixed(x.array.dtype, x.array.ndim, y.array.dtype, y.array.ndim)
        x, y = cast(x, dtype), cast(y, dtype)
    elif isinstance(x, Tensor) or isinstance(y, Tensor):
        tensor, number = (x, y) if isinstance(x, Tensor) else (y, x)
        dtype = with_number(tensor.array.dtype, array_of(number))
        x, y = (cast(v, dtype) if isinstance(v, Tensor) else np.asarray(v, dtype) for v in (x, y))
    else:  # Python floats become the default dtype
        x, y = as_array(x), as_array(y)
    return apply(elementwise.where, (condition, x, y))


def masked_fill(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where the mask holds."""
    value = value if isinstance(value, Tensor) else np.asarray(value, dtype=x.array.dtype)
    return apply(elementwise.where, (mask, value, x))


def masked_select(x: Tensor, mask: Tensor) -> Tensor:
    """The entries where the mask holds, 1-d."""
    return x[mask]


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x; approximate="tanh" for the formula with tanh."""
    if approximate == "none":
        return apply(special.gelu, (floating(x),))
    inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
    return x * 0.5 * (inner.tanh() + 1)


def softplus(x: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + exp(beta * x)) / beta, which is x itself where beta * x exceeds the threshold."""
    scaled = floating(x) if beta == 1 else floating(x) * beta
    soft = apply(special.softplus, (scaled,))
    return where(scaled > threshold, x, soft if beta == 1 else soft / beta)


def mm(a: Tensor, b: Tensor) -> Tensor:
    """Product of two matrices, (M, K) and (K, N)."""
    return _product(a, b, 2, "mm")


def bmm(a: Tensor, b: Tensor) -> Tensor:
    """Products of two batches of matrices, (B, M, K) and (B, K, N)."""
    return _product(a, b, 3, "bmm")


def _product(a: Tensor, b: Tensor, ndim: int, name: str) -> Tensor:
    if a.array.ndim != ndim or b.array.ndim != ndim:
        raise ShapeError(f"{name}: expected two {ndim}-D tensors, got {list(a.shape)} and {list(b.shape)}.")
    return a @ b


def addmm(x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * x + alpha * (a @ b)."""
    product = a @ b if alpha == 1 else (a @ b) * alpha
    return (x if beta == 1 else x * beta) + product


def einsum(equation: str, *operands: Any) -> Tensor:
    """Products summed by the index notation of np.einsum."""
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return apply(contract.einsum, operands, {"subscripts": equation})
