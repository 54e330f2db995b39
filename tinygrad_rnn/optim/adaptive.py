"""Optimisers that divide by the size of past gradients, as PyTorch writes them: RMSprop, Adagrad, Adadelta."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import make
from .optimizer import Array, Optimizer, at_least, below_one, buffer


class RMSprop(Optimizer):
    """p -= lr g / (sqrt(v) + eps), with v a running mean of g^2. Source: Hinton 2012; Graves 2013 for centered.

    alpha: of the running mean. centered: subtract the squared running mean of g from v. momentum: accumulate the
    change.
    Raises ValueError for negative options.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        for name, value in (("learning rate", lr), ("epsilon", eps), ("momentum", momentum), ("alpha", alpha)):
            at_least(name, value)
        at_least("weight_decay", weight_decay)
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
                "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable,
            },
        )  # fmt: skip

    def update(self, p: Array, g: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of one parameter; see `Optimizer.update`."""
        alpha = group["alpha"]
        state["step"] = state.get("step", 0) + 1
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        square = buffer(state, "square_avg", p)
        square *= alpha
        square += (1 - alpha) * (g * g)
        if group["centered"]:
            mean = buffer(state, "grad_avg", p)
            mean += (1 - alpha) * (g - mean)
            square = square - mean * mean
        change = np.sqrt(square, out=np.empty_like(p))
        change += group["eps"]
        np.divide(g, change, out=change)
        if group["momentum"]:
            kept = buffer(state, "momentum_buffer", p)
            kept *= group["momentum"]
            kept += change
            p -= group["lr"] * kept
        else:
            change *= group["lr"]
            p -= change


class Adagrad(Optimizer):
    """p -= lr g / (sqrt(sum of g^2) + eps), with lr falling as lr / (1 + (step - 1) lr_decay). Source: Duchi et al.
    2011.

    initial_accumulator_value: what the sum starts from. Raises ValueError for negative options.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        for name, value in (("learning rate", lr), ("lr_decay", lr_decay), ("weight_decay", weight_decay)):
            at_least(name, value)
        at_least("initial_accumulator_value", initial_accumulator_value)
        at_least("epsilon", eps)
        super().__init__(
            params,
            {
                "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable, "fused": fused,
            },
        )  # fmt: skip
        for group in self.param_groups:
            for p in group["params"]:
                start = np.full_like(p.array, group["initial_accumulator_value"])
                self.state[p] = {"step": 0, "sum": make(start)}

    def update(self, p: Array, g: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of one parameter; see `Optimizer.update`."""
        step = state["step"] = state.get("step", 0) + 1
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        total = buffer(state, "sum", p)
        total += g * g
        p -= group["lr"] / (1 + (step - 1) * group["lr_decay"]) * (g / (np.sqrt(total) + group["eps"]))


class Adadelta(Optimizer):
    """p -= lr d, with d = sqrt(D + eps) / sqrt(v + eps) g and v, D running means of g^2 and d^2. Source: Zeiler 2012.

    rho: of the running means. Raises ValueError for options out of range.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        at_least("learning rate", lr)
        at_least("epsilon", eps)
        at_least("weight_decay", weight_decay)
        below_one("rho value", rho)
        super().__init__(
            params,
            {
                "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
            },
        )  # fmt: skip

    def update(self, p: Array, g: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of one parameter; see `Optimizer.update`."""
        rho, eps = group["rho"], group["eps"]
        state["step"] = state.get("step", 0) + 1
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        square, change = buffer(state, "square_avg", p), buffer(state, "acc_delta", p)
        square *= rho
        square += (1 - rho) * (g * g)
        delta = np.sqrt((change + eps) / (square + eps))
        delta *= g
        change *= rho
        change += (1 - rho) * (delta * delta)
        p -= group["lr"] * delta
