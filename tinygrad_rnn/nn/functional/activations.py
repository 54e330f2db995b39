"""Functions entry by entry, and softmax and its kin: thin renderings of the primitives in PyTorch's words."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dtypes import as_dtype
from ...ops import reduce, special
from ...ops.elementwise import tanh as _tanh
from ...ops.elementwise import where
from ...tensor import Tensor, cast

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _result(input: Tensor, output: Tensor, inplace: bool) -> Tensor:
    return input.rewrite(output) if inplace else output


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); gradient 0 at 0. inplace: write the result into the memory of the input."""
    return _result(input, special.relu(input), inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x within the bounds, else the nearer bound; gradient 0 on the bounds, as in PyTorch."""
    low, high = (np.asarray(bound, input.dtype) for bound in (min_val, max_val))
    return _result(
        input,
        where(np.less_equal(input, low), low, where(np.greater_equal(input, high), high, input)),
        inplace,
    )


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where positive, negative_slope * x elsewhere."""
    return _result(input, where(np.greater(input, 0), input, input * negative_slope), inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, alpha (exp(x) - 1) elsewhere."""
    positive = np.greater(input, 0)
    # the branch not taken sees 0: its exponential must not overflow
    below = np.expm1(where(positive, np.zeros_like(input), input)) * alpha
    return _result(input, where(positive, input, below), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """The self-normalising elu. Source: Klambauer et al. 2017."""
    return _result(input, elu(input, _SELU_ALPHA) * _SELU_SCALE, inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(x, 0) + min(alpha (exp(x / alpha) - 1), 0)."""
    return _result(input, elu(input * (1.0 / alpha)) * alpha, inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x, or its tanh approximation. Source: Hendrycks and Gimpel 2016.

    approximate: "none" or "tanh". Raises RuntimeError for anything else.
    """
    if approximate == "tanh":
        inner = (input + input * input * input * 0.044715) * 0.7978845608028654
        return input * (_tanh(inner) + 1) * 0.5
    if approximate != "none":
        raise RuntimeError(f"gelu: expected approximate to be 'none' or 'tanh', got {approximate!r}.")
    return special.gelu(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x), also called swish."""
    return _result(input, input * special.sigmoid(input), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x))."""
    return _result(input, input * _tanh(special.softplus(input)), inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above `threshold`."""
    scaled = input if beta == 1 else input * beta
    soft = special.softplus(scaled)
    soft = soft if beta == 1 else soft * (1.0 / beta)
    return where(np.greater(scaled, threshold), input, soft)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (abs(input) + 1)


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return _tanh(input)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), without overflow."""
    return special.sigmoid(input)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), without cancellation."""
    return -special.softplus(-input)


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(x) over its sum along an axis. dim: the axis; dtype: cast to it first."""
    return reduce.softmax(_cast(input, dtype), axis=_axis(dim, input))


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-x)."""
    return softmax(-_cast(input, dtype), dim)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(x)), stable. dim: the axis; dtype: cast to it first."""
    return reduce.log_softmax(_cast(input, dtype), axis=_axis(dim, input))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b), where a and b are the halves of x along an axis. Raises RuntimeError if that axis is odd."""
    axis = reduce.normalise(dim, input.ndim)[0]
    half, odd = divmod(input.shape[axis], 2)
    if odd:
        raise RuntimeError(f"glu: Halving dimension must be even, but dimension {dim} is size {input.shape[axis]}")
    lead = (slice(None),) * axis
    return input[(*lead, slice(None, half))] * special.sigmoid(input[(*lead, slice(half, None))])


def _cast(input: Tensor, dtype: Any) -> Tensor:
    return input if dtype is None else cast(input, as_dtype(dtype))


def _axis(dim: int | None, input: Tensor) -> tuple[int, ...]:
    if dim is None:  # PyTorch's legacy choice
        dim = 0 if input.ndim in (0, 1, 3) else 1
    return reduce.normalise(dim, input.ndim)
