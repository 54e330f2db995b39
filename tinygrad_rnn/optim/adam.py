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
            params, lr, betas, eps, weight_decay, amsgrad=amsgrad, maximize=maximize, foreach=foreach, fused=fused,
            capturable=capturable, differentiable=differentiable, decoupled_weight_decay=decoupled_weight_decay,
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
        change = np.sqrt(square, out=np.empty_like(square))
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


class Adamax(_Moments):
    """Adam with the largest recent |g| in place of sqrt(v). Source: Kingma and Ba 2014, section 7.1."""

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, maximize=maximize, foreach=foreach, differentiable=differentiable,
            capturable=capturable,
        )  # fmt: skip

    def update(self, p: Array, g: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of one parameter; see `Optimizer.update`."""
        beta1, beta2 = group["betas"]
        step = state["step"] = state.get("step", 0) + 1
        g = self._decayed(p, g, group)
        mean = self._mean(p, g, state, beta1)
        largest = buffer(state, "exp_inf", p)
        largest *= beta2
        np.maximum(largest, np.abs(g) + group["eps"], out=largest)
        p -= group["lr"] / (1 - beta1**step) * (mean / largest)


class NAdam(_Moments):
    """Adam with Nesterov momentum. Source: Dozat 2016. momentum_decay: how fast the momentum approaches beta1."""

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        at_least("momentum_decay", momentum_decay)
        super().__init__(
            params, lr, betas, eps, weight_decay, momentum_decay=momentum_decay, maximize=maximize, foreach=foreach,
            decoupled_weight_decay=decoupled_weight_decay, capturable=capturable, differentiable=differentiable,
        )  # fmt: skip

    def update(self, p: Array, g: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of one parameter; see `Optimizer.update`."""
        beta1, beta2 = group["betas"]
        step = state["step"] = state.get("step", 0) + 1
        g = self._decayed(p, g, group)
        now, following = (beta1 * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1))
        product = state["mu_product"] = state.get("mu_product", 1.0) * now
        mean = self._mean(p, g, state, beta1)
        divisor = np.sqrt(self._square(p, g, state, beta2) / (1 - beta2**step)) + group["eps"]
        p -= group["lr"] * (1 - now) / (1 - product) * (g / divisor)
        p -= group["lr"] * following / (1 - product * following) * (mean / divisor)


class RAdam(_Moments):
    """Adam that starts as plain momentum, until enough gradients are in to trust v. Source: Liu et al. 2019."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, maximize=maximize, foreach=foreach, capturable=capturable,
            decoupled_weight_decay=decoupled_weight_decay, differentiable=differentiable,
        )  # fmt: skip

    def update(self, p: Array, g: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of one parameter; see `Optimizer.update`."""
        beta1, beta2 = group["betas"]
        step = state["step"] = state.get("step", 0) + 1
        g = self._decayed(p, g, group)
        mean = self._mean(p, g, state, beta1)
        square = self._square(p, g, state, beta2)
        change = mean * (group["lr"] / (1 - beta1**step))
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / (1 - beta2**step)
        if length > 5:
            rectified = ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length)
            change *= math.sqrt(rectified) * math.sqrt(1 - beta2**step) / (np.sqrt(square) + group["eps"])
        p -= change
