"""Compare a compiled function with the function itself: results, and the gradients of everything that wants one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backward import sweep
from ..graph import Node
from ..ops.random import resolve
from ..tensor import Tensor, make
from .signature import flatten


def compare(
    one: Callable[[], Any],
    other: Callable[[], Any],
    wanted: Callable[[], Sequence[Node]],
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Run both from the same state of the default generator, and hold results and gradients against each other.

    one: the reference. wanted: gives the leaves to compare the gradients of, after both have run. rtol, atol: by
    default 1e-4 and 1e-5 for float32, 1e-10 and 1e-11 for float64. Raises AssertionError naming what differs and by how
    much.
    """
    generator: Any = resolve(None)
    state = generator.get_state()
    expected = _tensors(one())
    generator.set_state(state)
    got = _tensors(other())
    leaves = wanted()
    assert len(expected) == len(got), f"compile: the function returns {len(expected)} tensors, the program {len(got)}"
    for i, (a, b) in enumerate(zip(expected, got, strict=True)):
        _close(f"result {i}", a.array, b.array, rtol, atol)
    for i, (a, b) in enumerate(zip(_gradients(expected, leaves), _gradients(got, leaves), strict=True)):
        name = leaves[i].name or f"of leaf {i}"
        if a is not None or b is not None:
            zero = np.zeros(leaves[i].shape, leaves[i].dtype)
            _close(f"the gradient {name}", zero if a is None else a, zero if b is None else b, rtol, atol)


def _tensors(result: Any) -> list[Tensor]:
    leaves: list[Any] = []
    flatten(result, leaves, [])
    return [x if isinstance(x, Tensor) else make(x) for x in leaves]


def _gradients(outputs: list[Tensor], leaves: Sequence[Node]) -> list[Any]:
    """Gradients of a fixed weighted sum of all outputs, without touching `.grad`."""
    flowing: dict[Node, Any] = {}
    for i, o in enumerate(outputs):
        if o.node is not None and o.requires_grad:
            weights = np.cos(np.arange(o.array.size, dtype=o.dtype) + i).reshape(o.shape)
            flowing[o.node] = np.asarray(flowing.get(o.node, 0) + weights)
    if not flowing:
        return [None] * len(leaves)
    found = sweep(list(flowing), list(flowing.values()), make, inputs=leaves)
    return [np.array(found[n][0]) if n in found else None for n in leaves]


def _close(what: str, a: Any, b: Any, rtol: float | None, atol: float | None) -> None:
    assert a.shape == b.shape, f"compile: {what} has shape {list(a.shape)} eagerly and {list(b.shape)} compiled"
    assert a.dtype == b.dtype, f"compile: {what} is {a.dtype} eagerly and {b.dtype} compiled"
    double = a.dtype == np.float64
    rtol = (1e-10 if double else 1e-4) if rtol is None else rtol
    atol = (1e-11 if double else 1e-5) if atol is None else atol
    scale = float(np.max(np.abs(a), initial=0, where=np.isfinite(a))) if a.dtype.kind == "f" else 1.0
    with np.errstate(invalid="ignore"):
        wrong = ~np.isclose(b, a, rtol=rtol, atol=atol * max(scale, 1.0), equal_nan=True)
    if wrong.any():
        worst = float(np.max(np.abs(np.where(wrong, a.astype(np.float64) - b, 0))))
        raise AssertionError(
            f"compile: {what} differs in {int(wrong.sum())} of {a.size} entries, by {worst:.3g} at most "
            f"(rtol={rtol:g}, atol={atol:g})."
        )
