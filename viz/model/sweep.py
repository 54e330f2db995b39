"""Values and gradients of every node, measured: norm, largest entry, zeros, entries that are not finite.

The engine's sweep keeps the gradients of leaves only and frees what it has read. A drawing wants all of them, so this
one evaluates the recipes again (residuals that are still there are believed, not recomputed), pulls ones back through
the same rules, and keeps numbers, not arrays. It changes nothing in the graph.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .record import Recording


class Measure(NamedTuple):
    """norm: Euclidean, of the finite entries. largest: absolute. mean, low, high: of the finite entries. zeros, broken:
    shares.
    """

    norm: float
    largest: float
    mean: float
    low: float
    high: float
    zeros: float
    broken: float


def measure(array: Any) -> Measure | None:
    """The numbers of an array; None if it is empty or not numeric."""
    array = np.asarray(array)
    if not array.size or array.dtype.kind not in "fiub":
        return None
    values = array.astype(np.float64, copy=False).reshape(-1)
    low, high, broken = float(values.min()), float(values.max()), 0.0
    if not math.isfinite(low + high):  # NaN comes through both
        finite = np.isfinite(values)
        broken = float(1 - finite.mean())
        values = values[finite]
        if not values.size:
            return Measure(np.nan, np.nan, np.nan, np.nan, np.nan, 0.0, 1.0)
        low, high = float(values.min()), float(values.max())
    largest = max(abs(low), abs(high))
    scale = 1.0 if 1e-100 < largest < 1e100 else largest or 1.0  # keeps the squares from over- and underflowing
    scaled = values if scale == 1.0 else values / scale
    norm = math.sqrt(float(scaled @ scaled)) * scale
    zeros = 1 - np.count_nonzero(values) / values.size
    return Measure(norm, largest, float(values.mean()), low, high, zeros, broken)


def values_of(graph: Recording) -> list[Any]:
    """The array of each node, from residuals where they are kept, else by evaluating the recipe on what its parents
    hold.

    Random ops whose value nobody kept draw from a generator of our own, so that looking changes nothing.
    """
    known: dict[int, Any] = {}
    for i, node in enumerate(graph.nodes):
        kept = node.value if node.primitive is None else node.y
        if kept is not None:
            known[i] = kept
        if node.xs is not None and node.xs is not node.parents:
            for p, x in zip(graph.parents[i], node.xs, strict=True):
                known.update({p: x} if isinstance(x, np.ndarray) else {})
    with np.errstate(all="ignore"):
        for i, node in enumerate(graph.nodes):
            if i not in known:
                params = node.params
                if node.primitive.kind == "random":
                    params = params | {"generator": np.random.default_rng(0)}
                known[i] = np.asarray(node.primitive.forward(*(known[p] for p in graph.parents[i]), **params))
    return [known[i] for i in range(len(graph.nodes))]


def gradients_of(graph: Recording, values: list[Any]) -> list[Measure | None]:
    """The measures of ∂(sum of the outputs)/∂node for each node; None where no gradient arrives."""
    totals: dict[int, Any] = {}
    found: list[Measure | None] = [None] * len(graph.nodes)
    for root in graph.roots:
        if graph.nodes[root].needs_grad:
            totals[root] = np.ones_like(values[root])
    with np.errstate(all="ignore"):
        for i in range(len(graph.nodes) - 1, -1, -1):
            g = totals.pop(i, None)
            if g is None:
                continue
            found[i] = measure(g)
            if graph.nodes[i].primitive is not None:
                _pull(graph, i, g, values, totals)
    return found


def _pull(graph: Recording, i: int, g: Any, values: list[Any], totals: dict[int, Any]) -> None:
    """Add to the totals of the parents of node i what its cotangent `g` contributes."""
    node, parents = graph.nodes[i], graph.parents[i]
    primitive, params = node.primitive, node.params
    inputs = [values[p] for p in parents]
    joint = None if primitive.joint is None else primitive.joint(g, values[i], *inputs, **params)
    for k, p in enumerate(parents):
        parent = graph.nodes[p]
        if not parent.needs_grad:
            continue
        if joint is not None:
            part = joint[k]
        elif primitive.scatter is not None and k == 0:
            if p not in totals:
                totals[p] = np.zeros(parent.shape, parent.dtype)
            elif not totals[p].flags.writeable or totals[p].base is not None:
                totals[p] = np.array(totals[p])
            primitive.scatter(totals[p], g, *inputs[1:], **params)
            continue
        elif primitive.every is not None:
            part = primitive.every(k, g, values[i], *inputs, **params)
        else:
            rule = primitive.vjps[k]
            part = None if rule is None else rule(g, values[i], *inputs, **params)
        if part is None:
            continue
        part = _summed_to(np.asarray(part), parent.shape)
        totals[p] = np.array(part, dtype=parent.dtype) if p not in totals else totals[p] + part


def _summed_to(g: Any, shape: tuple[int, ...]) -> Any:
    """`g` summed over the axes along which an array of `shape` was broadcast."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = (*range(extra), *(k + extra for k, n in enumerate(shape) if n == 1 and g.shape[k + extra] != 1))
    return g.sum(axis=axes).reshape(shape)
