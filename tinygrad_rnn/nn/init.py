"""Fill a tensor in place with numbers to start training from; every function returns the tensor it filled.

Imports the engine only. A `numpy.random.Generator` can be passed to all that draw. Draws are made in float64 and
rounded, so one seed gives the same weights in float32 and float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..ops.random import resolve
from ..tensor import Tensor
from ..writes import overwrite

_Generator = np.random.Generator | None


def _fill(tensor: Tensor, values: Any) -> Tensor:
    overwrite(tensor.array, values)
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: _Generator = None) -> Tensor:
    """Draw every entry evenly between a and b."""
    return _fill(tensor, resolve(generator).uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: _Generator = None) -> Tensor:
    """Draw every entry from a normal distribution."""
    return _fill(tensor, resolve(generator).normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: _Generator = None
) -> Tensor:
    """Draw from a normal distribution, again wherever the number falls outside a to b.

    Raises ShapeError if the interval is more than ten standard deviations from the mean: it would not end.
    """
    if a > mean + 10 * std or b < mean - 10 * std or a >= b:
        raise ShapeError(f"trunc_normal_: expected an interval near mean {mean} with std {std}, got {a} to {b}.")
    draw = resolve(generator)
    values = draw.normal(mean, std, tensor.shape)
    outside = (values < a) | (values > b)
    while outside.any():
        values[outside] = draw.normal(mean, std, int(outside.sum()))
        outside = (values < a) | (values > b)
    return _fill(tensor, values)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set every entry to `val`."""
    return _fill(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """Set every entry to 1."""
    return _fill(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """Set every entry to 0."""
    return _fill(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """Make a matrix, square or not, the identity. Raises ShapeError unless it has two axes."""
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: Only tensors with 2 dimensions are supported, got shape {list(tensor.shape)}.")
    return _fill(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor on the standard deviation that a nonlinearity asks for, by name ("tanh": 5/3, "relu": sqrt 2, ...).

    param: the negative slope of "leaky_relu". Raises ValueError for an unknown name.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else float(param)
        return math.sqrt(2.0 / (1 + slope * slope))
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 0.75}
    gains |= dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "sigmoid"), 1.0)
    if nonlinearity not in gains:
        raise ValueError(
            f"Unsupported nonlinearity {nonlinearity!r}; expected one of {sorted([*gains, 'leaky_relu'])}."
        )
    return gains[nonlinearity]


def _fans(tensor: Tensor) -> tuple[int, int]:
    """Number of inputs and of outputs of a weight (out, in, ...)."""
    if tensor.ndim < 2:
        raise ShapeError(
            f"Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got shape "
            f"{list(tensor.shape)}."
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: _Generator = None) -> Tensor:
    """Even draws of variance 2 gain^2 / (fan_in + fan_out). Source: Glorot and Bengio 2010."""
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: _Generator = None) -> Tensor:
    """Normal draws of variance 2 gain^2 / (fan_in + fan_out). Source: Glorot and Bengio 2010."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode!r} not supported, please use one of ['fan_in', 'fan_out'].")
    return calculate_gain(nonlinearity, a) / math.sqrt(_fans(tensor)[mode == "fan_out"])


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: _Generator = None,
) -> Tensor:
    """Even draws of variance gain^2 / fan. Source: He et al. 2015.

    a: negative slope of the leaky relu that follows. mode: "fan_in" or "fan_out".
    """
    if 0 in tensor.shape:
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: _Generator = None,
) -> Tensor:
    """Normal draws of variance gain^2 / fan; arguments as `kaiming_uniform_`. Source: He et al. 2015."""
    return tensor if 0 in tensor.shape else normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: _Generator = None) -> Tensor:
    """A matrix (first axis by all others) with orthonormal rows or columns, whichever are fewer, times `gain`.

    Source: Saxe et al. 2013. Raises ShapeError for fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ShapeError(
            f"orthogonal_: Only tensors with 2 or more dimensions are supported, got {list(tensor.shape)}."
        )
    if not tensor.array.size:
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    q, r = np.linalg.qr(resolve(generator).normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diagonal(r))  # without it the distribution is not uniform over rotations (Mezzadri 2007)
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: _Generator = None) -> Tensor:
    """Normal draws with a fraction `sparsity` of the rows, rounded up and chosen anew for each column, set to 0.

    Source: Martens 2010. Raises ShapeError unless the tensor has two axes.
    """
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_: Only tensors with 2 dimensions are supported, got shape {list(tensor.shape)}.")
    draw = resolve(generator)
    values = draw.normal(0.0, std, tensor.shape)
    zeros = math.ceil(sparsity * tensor.shape[0])
    for column in range(tensor.shape[1]):
        values[draw.permutation(tensor.shape[0])[:zeros], column] = 0
    return _fill(tensor, values)
