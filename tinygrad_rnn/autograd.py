"""PyTorch's `autograd` namespace: `grad` and `backward` of tensors, `Function`, and the gradient checks.

Floor 11. For gradients of functions rather than of tensors see `transforms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .backward import deposit, pull
from .compare.numeric import gradcheck, gradgradcheck
from .errors import GraphError
from .function import Function
from .state import detect_anomaly, enable_grad, no_grad, protect_residuals, set_grad_enabled
from .tensor import Tensor, make

__all__ = [
    "Function",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "no_grad",
    "protect_residuals",
    "set_grad_enabled",
]


def _listed(x: Any) -> list[Any]:
    return [x] if isinstance(x, Tensor) or x is None else list(x)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs`, summed, with respect to `inputs`; `.grad` is left alone.

    outputs, inputs: a tensor or several. grad_outputs: cotangents of the outputs; may be left out for those with one
    entry.
    retain_graph, create_graph: as in Tensor.backward. allow_unused: give None for an input that the outputs do not
    depend on. Returns one tensor per input, of its shape. Raises GraphError for an unused input, or one that does not
    require grad.
    """
    outs, ins = _listed(outputs), _listed(inputs)
    seeds = [None] * len(outs) if grad_outputs is None else _listed(grad_outputs)
    for i, x in enumerate(ins):
        if not x.requires_grad:
            raise GraphError(
                f"One of the differentiated Tensors does not require grad: inputs[{i}], of shape {list(x.shape)}."
            )
    found = pull(outs, seeds, make, inputs=ins, retain_graph=retain_graph, create_graph=create_graph)
    result: list[Tensor | None] = []
    for i, x in enumerate(ins):
        g = found.get(x.node)
        if g is None and not allow_unused:
            raise GraphError(
                f"One of the differentiated Tensors appears to not have been used in the graph: inputs[{i}], of shape "
                f"{list(x.shape)}. "
                f"Set allow_unused=True if this is the desired behavior."
            )
        value = None if g is None else g[0]
        # a copy: the sweep may have handed the same array to several places
        result.append(value if value is None or isinstance(value, Tensor) else make(np.array(value)))
    return tuple(result)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of several tensors to `.grad` of the leaves, in one sweep; arguments as in Tensor.backward."""
    outs = _listed(tensors)
    seeds = [None] * len(outs) if grad_tensors is None else _listed(grad_tensors)
    found = pull(
        outs,
        seeds,
        make,
        inputs=None if inputs is None else _listed(inputs),
        retain_graph=retain_graph,
        create_graph=create_graph,
    )
    for node, (g, exclusive) in found.items():
        deposit(node, g, exclusive, make)
