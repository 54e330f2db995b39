"""From what the user has (a Tensor, several, a Module with sample input) to the nodes of a graph, and names for its
inputs.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from tinygrad_rnn.graph import Node
from tinygrad_rnn.state import record_everything, record_sources, scope


class Recorded:
    """nodes: what to draw the way to. names: what inputs are called. classes: the class name of each module path.
    title: of it all. known: of some leaves, whether they are parameters.
    """

    def __init__(
        self,
        nodes: list[Node],
        names: dict[Node, str],
        classes: dict[str, str],
        title: str,
        known: dict[Node, bool] | None = None,
    ) -> None:
        self.nodes = nodes
        self.names = names
        self.classes = classes
        self.title = title
        self.known = known or {}


def record(x: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Recorded:
    """Find the graph of `x`: Tensors are drawn as recorded; a Module is called with `args` and everything it does is
    recorded.

    Raises TypeError if there is nothing to draw, or no input, ValueError for Tensors without a recorded graph.
    """
    if callable(getattr(x, "named_modules", None)):
        return _record_module(x, args if kwargs else _sample(x, args), kwargs)
    if args or kwargs:
        raise TypeError(
            f"viz.draw: sample input only goes with a Module, but a {type(x).__name__} came with it. "
            f"Call draw(model, sample) or draw(tensor)."
        )
    nodes = [node for node in (_node(tensor) for tensor in tensors(x)) if node is not None]
    if nodes and all(node.primitive is None for node in nodes):
        nodes = []
    if not nodes:
        if next(tensors(x), None) is not None:
            raise ValueError(
                "viz.draw: the tensor has no recorded graph: nothing it was made from requires a gradient, or it was "
                "made under no_grad() or detached. Compute it inside `with record_everything():`, "
                "or draw a Module with sample input."
            )
        raise TypeError(
            f"viz.draw: expected a Tensor, several Tensors, a Module with sample input, or a compiled function, "
            f"but got {type(x).__name__}."
        )
    return Recorded(nodes, {}, {}, f"Graph of {_called(nodes[-1])}")


def _record_module(module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Recorded:
    names: dict[Node, str] = {}
    known: dict[Node, bool] = {}
    alone = len(list(module.named_modules())) == 1  # then nothing below would carry a name
    with record_everything(), record_sources(), scope(type(module).__name__ if alone else None):
        result = module(*args, **kwargs)
    nodes = [node for node in (_node(tensor) for tensor in tensors(result)) if node is not None]
    if not nodes:
        raise ValueError(
            f"viz.draw: calling {type(module).__name__} returned no recorded Tensor, but {type(result).__name__}."
        )
    for name, tensor in _arguments(module, args, kwargs):
        node = _node(tensor)
        if node is not None and node.primitive is None:
            names.setdefault(node, name)
            known[node] = is_parameter(tensor)
    classes = {path: type(child).__name__ for path, child in module.named_modules() if path}
    return Recorded(nodes, names, classes, f"{type(module).__name__} unrolled", known)


def _sample(module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    needed = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    found = inspect.signature(module.forward).parameters.values()
    if not args and any(p.kind in needed and p.default is inspect.Parameter.empty for p in found):
        raise TypeError(
            f"viz.draw: a {type(module).__name__} is drawn with sample input, and got none. Call draw(model, sample)."
        )
    return args


def tensors(x: Any) -> Iterator[Any]:
    """The Tensors in nested lists, tuples, mappings and objects such as PackedSequence, in order."""
    waiting = [x]
    while waiting:
        item = waiting.pop()
        if hasattr(item, "node") and hasattr(item, "array"):
            yield item
        elif isinstance(item, Mapping):
            waiting += reversed(list(item.values()))
        elif isinstance(item, (list, tuple)):
            waiting += reversed(item)


def is_parameter(tensor: Any) -> bool:
    """Whether a Tensor is a Parameter that is trained, wherever it comes in: only those have a label."""
    return hasattr(tensor, "label") and tensor.requires_grad


def _node(tensor: Any) -> Node | None:
    return tensor.node


def _called(node: Node) -> str:
    return node.name or node.op


def _arguments(module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each Tensor among the arguments under the name that `forward` gives it; "state[1]" inside tuples."""
    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    except TypeError:
        bound = {f"input{k}": arg for k, arg in enumerate(args)} | dict(kwargs)
    for name, value in bound.items():
        found = list(tensors(value))
        for k, tensor in enumerate(found):
            yield (name if len(found) == 1 else f"{name}[{k}]"), tensor
