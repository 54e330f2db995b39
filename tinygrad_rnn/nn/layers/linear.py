"""Affine maps and reshaping: Linear, Bilinear, Identity, Flatten, Unflatten."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...dtypes import as_dtype, get_default_dtype
from ...ops.shape import reshape, resolve
from ...tensor import Tensor
from .. import functional as F
from .. import init
from ..module import Module, Parameter


def new(*shape: int, dtype: Any = None) -> Parameter:
    """An uninitialised parameter, of the default dtype unless told."""
    return Parameter(np.empty(shape, get_default_dtype() if dtype is None else as_dtype(dtype)))


class Identity(Module):
    """Gives back what it gets; arguments of the constructor are ignored."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """The input itself."""
        return input


class Linear(Module):
    """y = x W^T + b.

    in_features, out_features: sizes D and H. bias: whether there is a b. generator: what draws the initial weights.
    Parameters: weight (H, D) and bias (H,), both drawn evenly from -1/sqrt(D) to 1/sqrt(D).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = new(out_features, in_features, dtype=dtype)
        if bias:
            self.bias = new(out_features, dtype=dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw the weights anew."""
        init.kaiming_uniform_(self.weight, math.sqrt(5), generator=generator)
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, input: Tensor) -> Tensor:
        """input: (..., D). Returns (..., H). Raises ShapeError for another last axis."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class NonDynamicallyQuantizableLinear(Linear):
    """A `Linear` under a name that PyTorch's files may mention."""


class Bilinear(Module):
    """y_k = x1^T W_k x2 + b_k. Parameters: weight (H, D1, D2) and bias (H,), from -1/sqrt(D1) to 1/sqrt(D1)."""

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = new(out_features, in1_features, in2_features, dtype=dtype)
        if bias:
            self.bias = new(out_features, dtype=dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw the weights anew."""
        bound = 1 / math.sqrt(self.in1_features)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound, generator)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """input1: (..., D1). input2: (..., D2). Returns (..., H)."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Flatten(Module):
    """Make one axis of the axes start_dim to end_dim."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """input: (B, ...). Returns (B, product of the rest) by default."""
        shape = input.shape or (1,)
        first, last = self.start_dim % len(shape), self.end_dim % len(shape)
        return reshape(input, shape=(*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))

    def extra_repr(self) -> str:
        """The two axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Make several axes of one: axis `dim` becomes axes of sizes `unflattened_size`."""

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """input: (..., product of the sizes, ...). Returns (..., *sizes, ...)."""
        at = self.dim % input.ndim
        shape = (*input.shape[:at], *self.unflattened_size, *input.shape[at + 1 :])
        return reshape(input, shape=resolve(shape, input.array.size))

    def extra_repr(self) -> str:
        """The axis and the sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
