"""Adam and its relatives, as PyTorch writes them: Adam, AdamW, Adamax, NAdam, RAdam."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .optimizer import Array, Optimizer, at_least, below_one, buffer


class _Moments(Optimizer):
    """What the family shares: options, and running means of g and g^2."""

    def __init__(
        self, params: Any, lr: float, betas: tuple[float, float], eps: float, decay: float, **more: Any
    ) -> None:
        at_least("learning rate", lr)
        at_least("epsilon", eps)
        below_one("beta parameter at index 0", betas[0])
        below_one("beta parameter at index 1", betas[1])
        at_least("weight_decay", decay)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": decay, **more})

    def _mean(self, p: Array, g: Array, state: dict[str, Any], beta: float) -> Array:
        mean = buffer(state, "exp_avg", p)
        mean *= beta
        mean += (1 - beta) * g
        return mean

    def _square(self, p: Array, g: Array, state: dict[str, Any], beta: float) -> Array:
        square = buffer(state, "exp_avg_sq", p)
        square *= beta
        scaled = g * g
        scaled *= 1 - beta
        square += scaled
        return square

    def _decayed(self, p: Array, g: Array, group: dict[str, Any]) -> Array:
        """Weight decay: into the gradient, or, decoupled, straight off the parameter."""
        decay = group["weight_decay"]
        if not decay:
            return g
        if group.get("decoupled_weight_decay"):
            p *= 1 - group["lr"] * decay
            return g
        return g + decay * p


class Adam(_Moments):
    """p -= lr m / (sqrt(v) + eps), with m and v the bias-corrected running means of g and g^2. Source: Kingma and Ba
    2014.

    weight_decay: added to the gradient as decay * p. amsgrad: divide by the largest v so far (Reddi et al. 2018).
    decoupled_weight_decay: shrink p instead, as `AdamW`. maximize: climb instead. Raises ValueError for options out of
    range.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad=amsgrad, maximize=maximize, foreach=foreach,
            capturable=capturable, differentiable=differentiable, fused=fused, decoupled_weight_decay=decoupled_weight_decay,
        )  # fmt: skip

    def update(self, p: Array, g: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of one parameter; see `Optimizer.update`."""
        beta1, beta2 = group["betas"]
        step = state["step"] = state.get("step", 0) + 1
        g = self._decayed(p, g, group)
        mean = self._mean(p, g, state, beta1)
        square = self._square(p, g, state, beta2)
        if group["amsgrad"]:
            largest = buffer(state, "max_exp_avg_sq", p)
            np.maximum(largest, square, out=largest)
            square = largest
        change = np.sqrt(square)
        change *= 1 / math.sqrt(1 - beta2**step)
        change += group["eps"]
        np.divide(mean, change, out=change)
        change *= group["lr"] / (1 - beta1**step)
        p -= change


class AdamW(Adam):
    """Adam with decoupled weight decay: p *= 1 - lr weight_decay first. Source: Loshchilov and Hutter 2017."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **more, decoupled_weight_decay=True)
