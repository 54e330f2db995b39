"""Derivatives of functions: `grad`, `value_and_grad`, `vjp`, `jvp`, `hvp`, `jacobian`.

Floor 8. Each takes a function of tensors and returns its derivative; they compose to any depth, closures included.
Arguments may be tensors, arrays, numbers, or dicts, lists and tuples of these, and gradients come back in the same
structure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .backward import pull
from .errors import GraphError, ShapeError
from .graph import ancestors
from .ops import elementwise
from .state import enable_grad
from .tensor import Tensor, apply, as_array, make


def _map(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to every leaf of nested dicts, lists and tuples."""
    if isinstance(tree, dict):
        return {key: _map(function, value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        parts = [_map(function, value) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return function(tree)


def _leaves(tree: Any) -> list[Any]:
    found: list[Any] = []
    _map(found.append, tree)
    return found


def _tracked(x: Any) -> Tensor:
    """A tensor to differentiate by: a new leaf, or an alias that keeps the history of `x` for an outer derivative."""
    if isinstance(x, Tensor) and x.requires_grad:
        return apply(elementwise.positive, (x,))
    leaf = make(as_array(x))
    leaf.requires_grad = True
    return leaf


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else make(as_array(x))


def _nested(outputs: list[Tensor], inputs: list[Tensor]) -> bool:
    """Whether the outputs depend on tensors that require grad other than ours: then an outer derivative may follow."""
    own = {t.node for t in inputs}
    nodes = ancestors([t.node for t in outputs if t.node is not None], only_grad=True)
    return any(node.primitive is None and node not in own for node in nodes)


def _released(tree: Any, nested: bool) -> Any:
    """Results without history, unless an outer derivative may need it."""
    return tree if nested else _map(lambda t: t.detach() if isinstance(t, Tensor) else t, tree)


def _pulled(outputs: list[Tensor], seeds: list[Any], inputs: list[Tensor], record: bool) -> list[Tensor]:
    """Cotangents of `inputs`, zeros for those that the outputs do not depend on."""
    live = [(y, s) for y, s in zip(outputs, seeds, strict=True) if y.requires_grad]
    found = pull([y for y, _ in live], [s for _, s in live], make, inputs=inputs, create_graph=record) if live else {}
    results = []
    for x in inputs:
        assert x.node is not None
        g = found.get(x.node, (None,))[0]
        g = np.zeros_like(x.array) if g is None else g
        results.append(g if isinstance(g, Tensor) else make(np.array(g)))
    return results


def _scalar(value: Any, name: str) -> Tensor:
    if isinstance(value, (int, float, np.generic)):
        value = make(as_array(value))  # it depends on none of the tensors
    if not isinstance(value, Tensor) or value.array.size != 1:
        shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ShapeError(
            f"{name}: expected the function to return a tensor with one entry, got {shape}. Reduce it, or use jacobian."
        )
    return value


def value_and_grad(
    function: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns (value, gradient) of a scalar `function`.

    argnums: the position(s) of the arguments to differentiate by; a tuple gives a tuple of gradients.
    has_aux: the function returns (value, more); then ((value, more), gradient) comes back.
    Raises ShapeError if the value has more than one entry.
    """

    @functools.wraps(function)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        with enable_grad():
            chosen = [_map(_tracked, args[i]) for i in positions]
            full = list(args)
            for i, tree in zip(positions, chosen, strict=True):
                full[i] = tree
            result = function(*full, **kwargs)
            value = _scalar(result[0] if has_aux else result, "grad")
            inputs = [leaf for tree in chosen for leaf in _leaves(tree)]
            nested = _nested([value], inputs)
            flat = iter(_pulled([value], [make(np.ones_like(value.array))], inputs, record=nested))
        grads = tuple(_map(lambda _: next(flat), tree) for tree in chosen)
        shown = _released(value, nested)
        return ((shown, result[1]) if has_aux else shown), (grads[0] if isinstance(argnums, int) else grads)

    return derivative


def grad(function: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """A function that returns the gradient of a scalar `function`.

    >>> import numpy as np
    >>> grad(lambda x: x * x)(np.float64(3))
    tensor(6., dtype=float64)
    """
    both = value_and_grad(function, argnums)

    @functools.wraps(function)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return derivative


def vjp(function: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The value of `function` at `args`, and the map from a cotangent of the value to the cotangents of all args."""
    with enable_grad():
        chosen = [_map(_tracked, a) for a in args]
        value = function(*chosen)
    inputs = [leaf for tree in chosen for leaf in _leaves(tree)]
    outputs = _leaves(value)

    def pull_back(cotangent: Any) -> tuple[Any, ...]:
        seeds = [_tensor(s) for s in _leaves(cotangent)]
        flat = iter(
            _pulled(outputs, seeds, inputs, record=True)
        )  # recorded: the graph stays usable, and so does the result
        return tuple(_map(lambda _: next(flat), tree) for tree in chosen)

    pull_back.inputs = inputs  # type: ignore[attr-defined]
    return value, pull_back


def jvp(function: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    """The value of `function` at `primals`, and its derivative in the direction `tangents` (same structure).

    Two reverse sweeps: the vjp is linear in the cotangent, and its own vjp is the jvp (J. Townsend, 2017).
    """
    value, pull_back = vjp(function, *primals)
    outputs = _leaves(value)
    directions = [_tensor(v) for v in _leaves(tuple(tangents))]
    points = _leaves(tuple(primals))
    if len(directions) != len(points):
        raise ShapeError(f"jvp: expected {len(points)} tangents, one for each primal, got {len(directions)}.")
    with enable_grad():
        probes = [_tracked(np.zeros_like(y.array)) for y in outputs]
        rest = iter(probes)
        pulled = _leaves(pull_back(_map(lambda _: next(rest), value)))
        flat = iter(_pulled(pulled, directions, probes, record=True))
    nested = _nested(outputs, pull_back.inputs)  # type: ignore[attr-defined]
    return _released((value, _map(lambda _: next(flat), value)), nested)


def hvp(function: Callable[[Any], Any], x: Any, v: Any) -> tuple[Tensor, Any]:
    """The value of a scalar `function` at x, and its Hessian times v (same structure as x)."""
    with enable_grad():
        point = _map(_tracked, x)
        inputs = _leaves(point)
        value = _scalar(function(point), "hvp")
        first = _pulled([value], [make(np.ones_like(value.array))], inputs, record=True)
        flat = iter(_pulled(first, [_tensor(d) for d in _leaves(v)], inputs, record=True))
    return _released((value, _map(lambda _: next(flat), x)), _nested([value], inputs))


def jacobian(function: Callable[..., Any], argnums: int = 0) -> Callable[..., Tensor]:
    """A function that returns all first derivatives of `function`, output shape + input shape: one sweep per output
    entry.

    The argument and the value must be single tensors. Raises GraphError otherwise.
    """

    @functools.wraps(function)
    def derivative(*args: Any, **kwargs: Any) -> Tensor:
        with enable_grad():
            x = _tracked(args[argnums])
            value = function(*args[:argnums], x, *args[argnums + 1 :], **kwargs)
            if not isinstance(value, Tensor):
                raise GraphError(f"jacobian: expected the function to return one tensor, got {type(value).__name__}.")
            rows = []
            for i in range(value.array.size):
                seed = np.zeros_like(value.array)
                seed.reshape(-1)[i] = 1
                rows.append(_pulled([value], [make(seed)], [x], record=True)[0])
            shape = (*value.shape, *x.shape)
            if not rows:
                return make(np.zeros(shape, value.dtype))
            return _released(np.reshape(np.stack(rows), shape), _nested([value], [x]))  # type: ignore[arg-type]

    return derivative
