"""Record a model twice, at two sizes of its inputs, with recurrent layers as single nodes.

Imports the engine and `nn`; `sizes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import GraphError, MissingRuleError
from ..graph import Node, ancestors, leaf
from ..nn.recurrent import PackedSequence, RNNBase
from ..nn.recurrent.layers import WHOLE
from ..primitive import Primitive
from ..state import current, no_grad, record_everything
from ..tensor import Tensor, apply, make

_READ = (
    "the model is being exported, and a value that is read here would be fixed in the file for all inputs. Compute "
    "with tensors instead."
)


class Recording(NamedTuple):
    """The nodes of one call: named input leaves, outputs in order, and everything between in recording order."""

    inputs: dict[str, Node]
    outputs: list[Node]
    nodes: list[Node]


def record(model: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], names: Sequence[str]) -> Recording:
    """Call `model` and keep the graph.

    args, kwargs: what it is called with: nested tuples of Tensors and other values. names: of all Tensors in them.
    """
    leaves: dict[str, Node] = {}
    remaining = iter(names)

    def fresh(value: Any) -> Any:
        if isinstance(value, Tensor):
            tensor, name = make(value.array), next(remaining)
            tensor.node = leaves[name] = leaf(tensor.array)
            return tensor
        return type(value)(map(fresh, value)) if type(value) in (tuple, list) else value

    given = tuple(fresh(a) for a in args)
    named = {key: fresh(value) for key, value in kwargs.items()}
    token = WHOLE.set(_record_whole)
    try:
        with no_grad(), record_everything(_READ):
            result = model(*given, **named)
    finally:
        WHOLE.reset(token)
    outputs = []
    for tensor in tensors_in(result):
        if tensor.node is None:
            raise GraphError("export: an output of the model does not depend on anything that was recorded.")
        outputs.append(tensor.node)
    return Recording(leaves, outputs, ancestors(outputs))


def tensors_in(value: Any) -> list[Tensor]:
    """Every Tensor in nested tuples, lists and dicts, in order."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def _record_whole(layer: RNNBase, input: Any, hx: Any, lengths: Any) -> tuple[Any, Any]:
    """Run a recurrent layer and record one node for each of its results; it stands in for `RNNBase.forward`."""
    where = f"{type(layer).__name__}{current().scope.where()}"
    if isinstance(input, PackedSequence):
        raise MissingRuleError(
            f"export: {where} got a PackedSequence, which ONNX does not have; call it with lengths=."
        )
    if layer.proj_size:
        raise MissingRuleError(f"export: {where} has proj_size={layer.proj_size}, for which ONNX has no operator.")
    if layer.training and layer.dropout and layer.num_layers > 1:
        raise MissingRuleError(f"export: {where} would drop at random; call model.eval() first.")
    if lengths is not None and not isinstance(lengths, Tensor):
        raise MissingRuleError(f"export: {where}: expected lengths as a Tensor that is an input of the model.")
    state = () if hx is None else tuple(hx) if layer.states > 1 else (hx,)
    token = WHOLE.set(None)
    try:
        with _unrecorded():
            output, last = layer(make(input.array), _given(layer, state), None if lengths is None else lengths.array)
    finally:
        WHOLE.reset(token)
    arrays = [t.array for t in (output, *tensors_in(last))]
    inputs = (input, *(() if lengths is None else (lengths,)), *state)
    params = {"layer": layer, "lengths": lengths is not None}
    parts = [
        apply(_result(array), inputs, {**params, "part": part})
        for part, array in zip(("y", "h", "c"), arrays, strict=False)
    ]
    return parts[0], tuple(parts[1:]) if layer.states > 1 else parts[1]


def _given(layer: RNNBase, state: tuple[Tensor, ...]) -> Any:
    plain = tuple(make(part.array) for part in state)
    return None if not plain else plain if layer.states > 1 else plain[0]


class _unrecorded(record_everything):  # noqa: N801
    def apply(self, state: Any) -> None:
        state.everything, state.tracing, state.recording = False, "", False


def _result(array: np.ndarray) -> Primitive:
    """A primitive that gives what the layer has computed already."""
    return Primitive("recurrent_layer", lambda *_, **__: array, "custom")
