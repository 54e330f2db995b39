"""Gradients over time: what each step contributes, and at which steps a handwritten gradient must have gone wrong.

A gradient is A^T G, and what was read (A) is known. All parameters that enter the same node share its cotangents G, so
their handwritten gradients together are linear equations for them. With as many equations as there are rows the
cotangents come out exactly.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...graph import Node
from .pull import pull
from .shares import Group, Shares

__all__ = ["contributions", "cotangents", "has_witnesses", "sharing", "step_errors"]


def cotangents(shares: Shares) -> dict[Node, np.ndarray]:
    """The right cotangents, (1, *shape), of every node at which a parameter meets data."""
    recording = shares.recording
    values, wanted = recording.values, {node for node, _ in recording.uses}
    totals: dict[Node, np.ndarray] = {recording.loss: np.ones((1, *recording.loss.shape))}
    found: dict[Node, np.ndarray] = {}
    for node in reversed(recording.order):
        g = totals.pop(node, None)
        if g is None or node in recording.views:
            continue
        if node in wanted:
            found[node] = g
        xs = [values[parent] for parent in node.parents]
        for i, parent in enumerate(node.parents):
            if parent.needs_grad and parent not in recording.views:
                part = pull(node, i, g, values[node], xs)
                totals[parent] = totals[parent] + part if parent in totals else part
    return found


def contributions(shares: Shares, name: str, arrived: Mapping[Node, np.ndarray]) -> dict[int, np.ndarray]:
    """Time step -> what it adds to the gradient of a parameter, an array of its shape; empty where the graph has no
    time.

    arrived: from `cotangents`.
    """
    groups, leaf = shares.groups[name], shares.recording.leaves[name]
    loop = groups[0].loop if groups else None
    if loop is None or shares.other[name] or any(g.loop is not loop or (g.steps < 0).any() for g in groups):
        return {}
    found = {time: np.zeros(leaf.shape) for time in loop.times}
    for group in groups:
        assert group.A is not None, "a group is filled in when it is made"
        rows = group.rows(arrived)
        for n, time in enumerate(loop.times):
            part = group.gradient(group.A * (group.steps == n)[:, None], rows)
            found[time] = found[time] + shares.to_leaf(group.root, part, leaf)[0]
    return found


def step_errors(
    shares: Shares, name: str, manual: Mapping[str, np.ndarray], arrived: Mapping[Node, np.ndarray]
) -> tuple[dict[int, float], bool]:
    """Time step -> relative deviation of the cotangents that must lie behind a handwritten gradient, last step first;
    and whether the gradients determine it, or it is the smallest change that explains them. Empty where no cotangents
    do.

    manual: the handwritten gradients by name. arrived: from `cotangents`.
    """
    relatives = sharing(shares, name, arrived)
    if not relatives:
        return {}, False
    own = relatives[0][1]
    loop = own.loop
    if loop is None or (own.steps < 0).any():
        return {}, False
    rows = own.rows(arrived)[0]
    operands, residuals = [], []
    for other, group in relatives:
        m, g = manual.get(other), shares.recording.gradients[other]
        if m is None or m.shape != g.shape or group.A is None:
            continue
        change = np.asarray(m - g, dtype=np.float64)
        if change.ndim == 2 and not group.is_bias and not _rows_first(group):
            change = change.T
        operands.append(group.A)
        residuals.append(change.reshape(group.A.shape[1], -1))
    if not operands or any(r.shape[1] != rows.shape[1] for r in residuals):
        return {}, False
    A, R = np.concatenate(operands, axis=1), np.concatenate(residuals)
    change, _, rank, _ = np.linalg.lstsq(A.T, R, rcond=None)
    if np.abs(A.T @ change - R).max(initial=0.0) > 1e-6 * max(float(np.abs(R).max(initial=0.0)), 1e-300):
        return {}, False  # no cotangents at all give these numbers: the parameters do not share them any more
    errors = {}
    for n in sorted(set(own.steps.tolist()), reverse=True):
        here = own.steps == n
        size = max(float(np.linalg.norm(rows[here])), 1e-300)
        errors[loop.times[n]] = float(np.linalg.norm(change[here])) / size
    return errors, bool(rank == len(A))


def has_witnesses(relatives: list[tuple[str, Group]]) -> bool:
    """Whether gradients made of the same cotangents are more equations than it takes to determine these: only then it
    says something that cotangents explain them all.
    """
    columns = np.concatenate([group.A for _, group in relatives if group.A is not None], axis=1)
    return len(np.unique(columns.T, axis=0)) > len(columns)


def sharing(shares: Shares, name: str, arrived: Mapping[Node, np.ndarray]) -> list[tuple[str, Group]]:
    """The groups whose cotangents are row for row those of this parameter: they feed one sum."""
    groups = shares.groups[name]
    if len(groups) != 1:
        return []
    own = groups[0]
    rows = own.rows(arrived)
    found = [(name, own)]
    for other, candidates in shares.groups.items():
        if other != name and len(candidates) == 1 and np.array_equal(candidates[0].steps, own.steps):
            theirs = candidates[0].rows(arrived)
            if theirs.shape == rows.shape and np.allclose(theirs, rows):
                found.append((other, candidates[0]))
    return found


def _rows_first(group: Group) -> bool:
    """Whether the parameter's own layout is A^T G, and not its transpose."""
    turned, view = group.flip, group.root
    while view.parents:
        turned ^= view.op == "transpose"
        view = view.parents[0]
    return not turned
