"""Recurrent layers as ONNX's RNN, LSTM and GRU: one operator a layer, both directions in one.

ONNX orders gates i, o, f, c and z, r, h where PyTorch and we have i, f, g, o and r, z, n; its GRU is ours with
linear_before_reset. Y is (T, directions, B, H). Both directions of all weights are stacked. Source: the ONNX operator
specification, checked against ONNX Runtime.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Node
from ..nn.recurrent import GRU, LSTM, RNN, RNNBase
from .graph import Builder
from .operators import rule

_ORDER = {LSTM: (0, 3, 1, 2), GRU: (1, 0, 2), RNN: (0,)}


def _reordered(weight: np.ndarray, layer: RNNBase) -> np.ndarray:
    """The blocks of rows (gates H, ...) in ONNX's order."""
    blocks = weight.reshape(layer.gates, layer.hidden_size, *weight.shape[1:])
    return blocks[list(_ORDER[_kind(layer)])].reshape(weight.shape)


def _kind(layer: RNNBase) -> type[RNNBase]:
    return next(kind for kind in _ORDER if isinstance(layer, kind))


@rule("recurrent_layer")
def _recurrent(b: Builder, node: Node) -> str:
    """One node for each result of a layer; the operators are written at the first of them."""
    layer: RNNBase = node.params["layer"]
    key = (id(layer), node.parents)
    if key not in b.shared:
        b.shared[key] = _write(b, node, layer)
    return b.shared[key][node.params["part"]]


def _write(b: Builder, node: Node, layer: RNNBase) -> dict[str, str]:
    """The operators of all layers of a stack; returns the names of outputs "y" and last states "h" and "c"."""
    x, *rest = node.parents
    value = b.value(x)
    unbatched = x.ndim == 2
    if unbatched:
        value = b.add("Unsqueeze", value, b.integers([1]))
    elif layer.batch_first:
        value = b.add("Transpose", value, perm=[1, 0, 2])
    lengths = b.value(rest.pop(0), np.dtype(np.int32)) if node.params["lengths"] else ""
    states = [b.value(part) for part in rest]
    if unbatched:
        states = [b.add("Unsqueeze", part, b.integers([1])) for part in states]
    directions = 2 if layer.bidirectional else 1
    last: dict[str, list[str]] = {"h": [], "c": []}
    for k in range(layer.num_layers):
        rows = [b.integers([n]) for n in (k * directions, (k + 1) * directions, 0)]
        first = [b.add("Slice", part, *rows) for part in states] if layer.num_layers > 1 else states
        value, ends = _one_layer(b, layer, k, value, lengths, first)
        for part, name in zip(("h", "c"), ends, strict=False):
            last[part].append(name)
    joined = {p: names[0] if len(names) == 1 else b.add("Concat", *names, axis=0) for p, names in last.items() if names}
    if unbatched:
        value = b.add("Squeeze", value, b.integers([1]))
        joined = {part: b.add("Squeeze", name, b.integers([1])) for part, name in joined.items()}
    elif layer.batch_first:
        value = b.add("Transpose", value, perm=[1, 0, 2])
    return {"y": value, **joined}


def _weights(layer: RNNBase, k: int) -> list[np.ndarray | None]:
    """w_ih, w_hh, b_ih, b_hh of layer k, each with its directions stacked; None for biases that there are not."""
    stacked: list[np.ndarray | None] = []
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        sides = [layer._parameters.get(f"{name}_l{k}{suffix}") for suffix in layer._suffixes()]
        arrays = [_reordered(p.array, layer) for p in sides if p is not None]
        stacked.append(np.stack(arrays) if arrays else None)
    return stacked


def _one_layer(b: Builder, layer: RNNBase, k: int, x: str, lengths: str, states: list[str]) -> tuple[str, list[str]]:
    """x (T, B, D) -> (T, B, directions H), and the last states, each (directions, B, H)."""
    w_ih, w_hh, b_ih, b_hh = _weights(layer, k)
    path = f"{layer._path}." if layer._path else ""
    prefix = f"{path}l{k}" if path else f"{type(layer).__name__}_{len(b.shared)}.l{k}"
    names = [b.constant(w_ih, name=f"{prefix}.W"), b.constant(w_hh, name=f"{prefix}.R")]
    names.append(
        "" if b_ih is None or b_hh is None else b.constant(np.concatenate([b_ih, b_hh], axis=1), name=f"{prefix}.B")
    )
    options: dict[str, Any] = {
        "hidden_size": layer.hidden_size,
        "direction": "bidirectional" if layer.bidirectional else "forward",
    }
    kind = _kind(layer)
    if kind is GRU:
        options["linear_before_reset"] = 1
    if isinstance(layer, RNN):
        options["activations"] = [layer.nonlinearity.capitalize()] * (2 if layer.bidirectional else 1)
    inputs = [x, *names, lengths, *states]
    while not inputs[-1]:
        inputs.pop()
    y, *ends = b.add_many(kind.__name__, inputs, 3 if kind is LSTM else 2, **options)
    y = b.add("Transpose", y, perm=[0, 2, 1, 3])
    directions = 2 if layer.bidirectional else 1
    return b.add("Reshape", y, b.integers([0, 0, directions * layer.hidden_size])), ends
