"""Stochastic gradient descent, with momentum in Sutskever's form and Nesterov's, as PyTorch writes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import make
from .optimizer import Array, Optimizer, at_least

BLOCK = 1 << 15
"""Entries that are updated at a time: the product is then made in the cache, and in memory that is at hand."""


def descend(p: Array, g: Array, lr: Any) -> None:
    """p -= lr g."""
    if p.size <= BLOCK or not (p.flags.c_contiguous and g.flags.c_contiguous):
        p -= lr * g
        return
    p, g = p.reshape(-1), g.reshape(-1)
    for start in range(0, p.size, BLOCK):
        part = p[start : start + BLOCK]
        part -= lr * g[start : start + BLOCK]


class SGD(Optimizer):
    """p -= lr (g + weight_decay p), or with momentum: buf = momentum buf + (1 - dampening) g; p -= lr buf.

    The first step has buf = g. nesterov: p -= lr (g + momentum buf). maximize: climb instead.
    Raises ValueError for negative options, and for nesterov without momentum or with dampening.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        at_least("learning rate", lr)
        at_least("momentum", momentum)
        at_least("weight_decay", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                "nesterov": nesterov, "maximize": maximize, "foreach": foreach, "differentiable": differentiable,
                "fused": fused,
            },
        )  # fmt: skip

    def update(self, p: Array, g: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of one parameter; see `Optimizer.update`."""
        momentum, decay = group["momentum"], group["weight_decay"]
        if decay:
            g = g + decay * p
        if momentum:
            kept = state.get("momentum_buffer")
            if kept is None:
                buf = np.array(g)
                state["momentum_buffer"] = make(buf)
            else:
                buf = kept.array
                buf *= momentum
                buf += g if not group["dampening"] else (1 - group["dampening"]) * g
            g = g + momentum * buf if group["nesterov"] else buf
        descend(p, g, group["lr"])
