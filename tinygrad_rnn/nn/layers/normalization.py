"""LayerNorm and BatchNorm1d: mean 0 and variance 1, over features or over the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ShapeError
from ...state import current, no_grad
from ...tensor import Tensor
from .. import functional as F
from .. import init
from ..module import Module
from .linear import new


class LayerNorm(Module):
    """Normalise over the last axes, then scale and shift entry by entry. Source: Ba et al. 2016.

    normalized_shape: sizes of the last axes, int or several. eps: added to the variance.
    Parameters, unless elementwise_affine=False: weight (ones) and bias (zeros, unless bias=False), of normalized_shape.
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        shape = self.normalized_shape
        self.register_parameter("weight", new(*shape, dtype=dtype) if elementwise_affine else None)
        self.register_parameter("bias", new(*shape, dtype=dtype) if elementwise_affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """input: (..., *normalized_shape). Returns the same shape. Raises ShapeError if the last axes differ."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The sizes and options."""
        affine = f"elementwise_affine={self.elementwise_affine}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}, bias={self.bias is not None}"


class BatchNorm1d(Module):
    """Normalise each channel over the batch while training, and by running statistics in evaluation.

    num_features: number of channels C. momentum: share of the new statistics; None means a plain average over all
    batches.
    Parameters, if affine: weight (C,) ones and bias (C,) zeros, unless bias=False. Buffers, if track_running_stats:
    running_mean, running_var (C,) and num_batches_tracked. Source: Ioffe and Szegedy 2015.
    """

    _version = 2

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.register_parameter("weight", new(num_features, dtype=dtype) if affine else None)
        self.register_parameter("bias", new(num_features, dtype=dtype) if affine and bias else None)
        for name in ("running_mean", "running_var"):
            statistic = new(num_features, dtype=dtype).detach() if track_running_stats else None
            self.register_buffer(name, statistic)
        self.register_buffer("num_batches_tracked", Tensor(np.array(0)) if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batches seen."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and fresh statistics."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """input: (B, C) or (B, C, T). Returns the same shape. Raises ShapeError (a ValueError) for other shapes."""
        if input.ndim not in (2, 3):
            raise ShapeError(f"expected 2D or 3D input (got {input.ndim}D input)")
        if input.shape[1] != self.num_features:
            raise ShapeError(f"BatchNorm1d: expected {self.num_features} channels in axis 1, got {list(input.shape)}.")
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats:
            if current().tracing:  # a program must see the count, so that replays go on with it
                with no_grad():
                    self.num_batches_tracked += 1
            else:
                tracked: Any = self.num_batches_tracked
                tracked.array += 1
            if self.momentum is None:
                count: Any = self.num_batches_tracked
                momentum = 1.0 / (count.to(self.running_mean.dtype) if current().tracing else int(count))
        learning = self.training or not self.track_running_stats
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, learning, momentum, self.eps
        )

    def extra_repr(self) -> str:
        """The sizes and options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )
