"""`export(model, args, path)`: a model as an ONNX file, with named axes for batch and time.

The model is recorded twice, at the given sizes and at others; what differs between the recordings is a size, and
becomes an operator that reads it from the inputs. Imports everything else of the folder.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from ..errors import MissingRuleError
from ..files import replace
from ..graph import Node
from ..nn.module import Module
from ..tensor import Tensor, make
from . import layers  # enters the recurrent layers into the table of operators
from .graph import Builder
from .operators import emit
from .recording import Recording, record, tensors_in

__all__ = ["export", "layers", "to_onnx"]

_GROWN = {"batch": 2, "time": 3}  # so that no size of the second recording is one of the first by chance


def export(
    model: Module,
    args: Any = (),
    f: str | os.PathLike[str] | IO[bytes] = "model.onnx",
    *,
    kwargs: Mapping[str, Any] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_axes: Mapping[str, Mapping[int, str] | Sequence[int]] | None = None,
    opset_version: int = 17,
    **ignored: Any,
) -> None:
    """Write a model to an ONNX file; the arguments are those of `to_onnx`.

    f: a path, replaced whole or not at all, or a file open for writing bytes.
    """
    written = to_onnx(
        model, args, kwargs=kwargs, input_names=input_names, output_names=output_names, dynamic_axes=dynamic_axes,
        opset_version=opset_version,
    ).SerializeToString()  # fmt: skip
    if isinstance(f, str | os.PathLike):
        replace(f, written)
    else:
        f.write(written)


def to_onnx(
    model: Module,
    args: Any = (),
    *,
    kwargs: Mapping[str, Any] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_axes: Mapping[str, Mapping[int, str] | Sequence[int]] | None = None,
    opset_version: int = 17,
) -> Any:
    """A model as an `onnx.ModelProto`, checked.

    args, kwargs: an example call: Tensors, in nested tuples too. Their values do not matter, only shapes and dtypes.
    input_names, output_names: of the Tensors among them and of the results; by default the names of forward's
    arguments, and "output", "output_1", ...
    dynamic_axes: name -> {axis: name of the axis}; by default the batch and time axes of what recurrent layers read.
    opset_version: 17 to 22; the IR version is 8.
    Recurrent layers become RNN, LSTM and GRU operators; initial states are inputs that may be left out, and are then
    zero; a Tensor passed as `lengths=` becomes `sequence_lens`.
    Raises MissingRuleError for what has no ONNX form (proj_size, PackedSequence, random draws), GraphError if the model
    reads a value. Warns if the graph depends on the length (a loop in Python over time), which is then fixed.
    """
    if not 17 <= opset_version <= 22:
        raise ValueError(f"export: expected an opset_version from 17 to 22, got {opset_version}.")
    args = args if isinstance(args, tuple) else (args,)
    kwargs = dict(kwargs or {})
    names = list(input_names or _input_names(model, args, kwargs))
    count = len(tensors_in((args, kwargs)))
    if len(names) != count:
        raise ValueError(f"export: expected {count} input names, one for each Tensor in args and kwargs, got {names}.")
    if count == 0:
        raise ValueError("export: expected at least one Tensor among the arguments.")
    first = record(model, args, kwargs, names)
    chosen = _usual_axes(first) if dynamic_axes is None else _named_axes(dynamic_axes, names)
    twins, chosen = _record_again(model, args, kwargs, names, first, chosen)
    builder = _build(model, first, twins, chosen, opset_version)
    return _finish(builder, first, chosen, list(output_names or ()))


def _input_names(model: Module, args: Any, kwargs: Mapping[str, Any]) -> list[str]:
    names: list[str] = []
    parameters = [p for p in inspect.signature(model.forward).parameters if p not in kwargs]
    spelt = [*zip(parameters + [f"input_{i}" for i in range(len(args))], args, strict=False), *kwargs.items()]
    for name, value in spelt:
        several = len(tensors_in(value))
        names += [name] if isinstance(value, Tensor) else [f"{name}_{i}" for i in range(several)]
    return names


Chosen = dict[str, dict[int, str]]


def _named_axes(given: Mapping[str, Mapping[int, str] | Sequence[int]], names: list[str]) -> Chosen:
    chosen: Chosen = {}
    for name, axes in given.items():
        if name in names:  # axes of outputs follow from those of inputs
            spelt = axes.items() if isinstance(axes, Mapping) else ((i, f"{name}_axis_{i}") for i in axes)
            chosen[name] = dict(spelt)
    return chosen


def _usual_axes(recording: Recording) -> Chosen:
    """Axes of batch and time: of the states and lengths of recurrent layers, and of all other inputs in the layers'
    layout."""
    layers = [node for node in recording.nodes if node.op == "recurrent_layer"]
    states, lengths = set(), set()
    batch_first = bool(layers) and layers[0].params["layer"].batch_first
    for node in layers:
        rest = list(node.parents[1:])
        if node.params["lengths"]:
            lengths.add(rest.pop(0))
        states.update(rest)
    unbatched = bool(layers) and layers[0].parents[0].ndim == 2
    if not layers:
        return {name: {0: "batch"} for name, node in recording.inputs.items() if node.ndim}
    chosen: Chosen = {}
    for name, node in recording.inputs.items():
        if node in states:
            chosen[name] = {} if unbatched else {1: "batch"}
        elif node in lengths:
            chosen[name] = {0: "batch"}
        elif unbatched:
            chosen[name] = {0: "time"}
        elif node.ndim >= 2:
            chosen[name] = {0: "batch", 1: "time"} if batch_first else {0: "time", 1: "batch"}
    return chosen


def _grown(value: Any, axes: Mapping[str, Mapping[int, str]], names: Any) -> Any:
    """The example with more entries along the named axes: those that are there, over again."""
    if isinstance(value, Tensor):
        array = value.array
        for axis, label in axes.get(next(names), {}).items():
            extra = _GROWN.get(label, 5)
            array = np.take(array, np.arange(array.shape[axis] + extra) % array.shape[axis], axis=axis)
        return make(array)
    if isinstance(value, dict):
        return {key: _grown(v, axes, names) for key, v in value.items()}
    return type(value)(_grown(v, axes, names) for v in value) if type(value) in (tuple, list) else value


def _record_again(
    model: Module, args: Any, kwargs: Any, names: list[str], first: Recording, chosen: Chosen
) -> tuple[dict[Node, Node], Chosen]:
    """Record at other sizes; axes on which the number of operations depends are given up, with a warning.

    Returns the node of the second recording for every node of the first, and the axes that are left.
    """
    labels = list(dict.fromkeys(label for axes in chosen.values() for label in axes.values()))
    for given_up in ([], *([label] for label in reversed(labels)), labels):
        kept = {n: {i: label for i, label in axes.items() if label not in given_up} for n, axes in chosen.items()}
        unused = iter(names)
        grown = _grown(args, kept, unused), _grown(kwargs, kept, unused)
        again = record(model, *grown, names)
        twins = _paired(first, again)
        if twins is not None:
            if given_up:
                warnings.warn(
                    f"export: the operations of {type(model).__name__} depend on the size of {', '.join(given_up)}, as "
                    f"in a loop over time; that size is fixed in the file. nn.RNN, nn.LSTM and nn.GRU can be exported "
                    f"with any length.",
                    stacklevel=4,
                )
            return twins, kept
    raise MissingRuleError(f"export: {type(model).__name__} records other operations at every call.")


def _paired(first: Recording, second: Recording) -> dict[Node, Node] | None:
    """Node -> the same node of another recording, or None if the graphs are not alike."""
    ends = ([*r.outputs, *r.inputs.values()] for r in (first, second))
    pending = list(zip(*ends, strict=True)) if len(first.outputs) == len(second.outputs) else [(None, None)]
    twins: dict[Node, Node] = {}
    while pending:
        one, other = pending.pop()
        if one is None or other is None or one.op != other.op or len(one.parents) != len(other.parents):
            return None
        if one not in twins:
            twins[one] = other
            pending += zip(one.parents, other.parents, strict=True)
        elif twins[one] is not other:
            return None
    return twins


def _build(model: Module, first: Recording, twins: dict[Node, Node], chosen: Chosen, opset: int) -> Builder:
    sizes: dict[str, tuple[int, int]] = {}
    sources: dict[str, tuple[str, int]] = {}
    optional = _states(first)
    for name, axes in sorted(chosen.items(), key=lambda item: first.inputs[item[0]] in optional):
        node = first.inputs[name]
        for axis, label in axes.items():
            sizes.setdefault(label, (node.shape[axis], twins[node].shape[axis]))
            sources.setdefault(label, (name, axis))
    b = Builder(sizes, sources, twins, opset)
    for name, node in first.inputs.items():
        b.names[node] = name
        if node in optional and "batch" in chosen.get(name, {}).values():
            # absent, it is zeros for a batch of 1, which are spread over the batch
            b.constant(
                np.zeros([1 if i in chosen[name] else n for i, n in enumerate(node.shape)], node.dtype), name=name
            )
            b.names[node] = b.add("Expand", name, b.shape(b.shape_of(node)))
    known = {id(p.node): name for name, p in model.named_parameters()}
    known |= {id(t.node): name for name, t in model.named_buffers() if t.node is not None}
    for node in first.nodes:
        if node.primitive is not None:
            b.names[node] = emit(b, node)
        elif id(node) in known:
            b.names[node] = b.constant(node.value, name=known[id(node)])
    return b


def _states(recording: Recording) -> set[Node]:
    """The inputs that are initial states of recurrent layers."""
    found: set[Node] = set()
    for node in recording.nodes:
        if node.op == "recurrent_layer":
            found.update(node.parents[1 + node.params["lengths"] :])
    return found & set(recording.inputs.values())


def _finish(b: Builder, recording: Recording, chosen: Chosen, output_names: list[str]) -> Any:
    helper = b.helper
    names = output_names + ["output", *(f"output_{i}" for i in range(1, len(recording.outputs)))][len(output_names) :]
    inputs, outputs = [], []
    for name, node in recording.inputs.items():
        labels = chosen.get(name, {})
        optional = name in b.initializers  # its default has another size there, so that axis has a name of its own
        shape = [
            (f"{name}_{labels[i]}" if optional else labels[i]) if i in labels else n for i, n in enumerate(node.shape)
        ]
        inputs.append(helper.make_tensor_value_info(name, b.element(node.dtype), shape))
    for name, node in zip(names, recording.outputs, strict=True):
        b.nodes.append(helper.make_node("Identity", [b.value(node)], [name]))
        outputs.append(helper.make_tensor_value_info(name, b.element(node.dtype), b.declared(node)))
    graph = helper.make_graph(b.nodes, "tinygrad_rnn", inputs, outputs, list(b.initializers.values()))
    model = helper.make_model(
        graph, producer_name="tinygrad_rnn", ir_version=8, opset_imports=[helper.make_opsetid("", b.opset)]
    )
    b.checker.check_model(model, full_check=True)
    return model
