"""A parameter's gradient, taken apart: one row per example and time step, and what was read there.

Where a parameter W meets data as x W, its gradient is A^T G: row by row, what was read (A) and the cotangent that came
back (G). A bias reads 1. Every mistake in *forming* a gradient is another A: rows missing, rows of another step. So all
of them, for all hypotheses about the cotangents, are a single matrix product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...graph import Node
from .pull import pull
from .recording import Recording, Use
from .structure import Loop, Structure

__all__ = ["Group", "Shares"]

_LARGEST_ONE_HOT = 4096


class Group:
    """Uses of one parameter that have the same form.

    root: the view of the parameter that is used. A: (R, M), what was read, or None for a use that has no rows (a gain,
    say). flip: whether the view's gradient is G^T A instead of A^T G. steps: (R,) number of the step, -1 if unknown.
    examples: (R,) index within the batch. loop: the loop that the steps belong to.
    """

    def __init__(self, root: Node, flip: bool) -> None:
        self.root = root
        self.flip = flip
        self.uses: list[Use] = []
        self.A: np.ndarray | None = None
        self.steps = np.zeros(0, int)
        self.examples = np.zeros(0, int)
        self.loop: Loop | None = None
        self.is_bias = False
        self.summed: tuple[int, ...] = ()

    def rows(self, arrived: Mapping[Node, np.ndarray]) -> np.ndarray:
        """The cotangents as rows, (K, R, N), from those that arrived at the nodes."""
        return np.concatenate([self.rows_of(node, arrived[node]) for node, _ in self.uses], axis=1)

    def rows_of(self, node: Node, g: np.ndarray) -> np.ndarray:
        """The rows of one use, (K, r, N), of what is shaped like its node, (K, ...)."""
        K = len(g)
        if self.is_bias:
            kept = [j for j in range(1, g.ndim) if j - 1 not in self.summed]
            moved = g.transpose(0, *(j + 1 for j in self.summed), *kept)
            return moved.reshape(K, -1, self.root.size)
        if node.op == "matmul" and self.flip:  # W @ x: the rows are the columns
            return g.reshape(K, g.shape[1], -1).swapaxes(1, 2)
        return g.reshape(K, -1, g.shape[-1])

    def gradient(self, A: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The gradients of the view, (..., K, *its shape), from (..., R, M) and (K, R, N)."""
        part = np.matmul(np.swapaxes(A, -1, -2)[..., None, :, :], rows)
        if self.flip:
            part = np.swapaxes(part, -1, -2)
        return part.reshape(*part.shape[:-2], *self.root.shape)


class Shares:
    """How each parameter's gradient is put together.

    groups: parameter name -> its groups. other: name -> uses that have no rows.
    """

    def __init__(self, recording: Recording, structure: Structure) -> None:
        self.recording = recording
        self.structure = structure
        self.labels = _Labels(structure)
        self.groups: dict[str, list[Group]] = {name: [] for name in recording.leaves}
        self.other: dict[str, list[Use]] = {name: [] for name in recording.leaves}
        names = {leaf: name for name, leaf in recording.leaves.items()}
        made: dict[Any, Group] = {}
        for node, i in recording.uses:
            view = node.parents[i]
            form = self._form(node, i)
            for leaf in recording.owners[view]:
                if form is None:
                    self.other[names[leaf]].append((node, i))
                    continue
                key = (leaf, self._chain(view), form)
                if key not in made:
                    made[key] = Group(view, flip=form[0] == "columns")
                    made[key].is_bias = form[0] == "bias"
                    made[key].summed = form[1] if form[0] == "bias" else ()
                    self.groups[names[leaf]].append(made[key])
                made[key].uses.append((node, i))
        for group in made.values():
            self._read(group)

    def _chain(self, view: Node) -> Any:
        """What was done to parameters to make this view: equal for the W.T of every step."""
        if not view.parents:
            return id(view)
        return view.op, str(view.params), tuple(self._chain(parent) for parent in view.parents)

    def _form(self, node: Node, i: int) -> tuple[Any, ...] | None:
        view = node.parents[i]
        if node.op == "matmul" and view.ndim == 2:
            other = node.parents[1 - i]
            if i == 1:
                return ("rows", other.ndim > 1)
            return ("columns", other.ndim > 1) if other.ndim <= 2 else None
        if node.op == "take" and i == 0 and view.ndim == 2 and len(node.params["pattern"]) == 1:
            return ("rows", True) if len(view) <= _LARGEST_ONE_HOT else None
        if node.op in ("add", "subtract") and (node.op == "add" or i == 0):
            extra = node.ndim - view.ndim
            stretched = tuple(j for j in range(node.ndim) if j < extra or (view.shape[j - extra] != node.shape[j]))
            return ("bias", stretched) if view.ndim <= 2 else None
        return None

    def _read(self, group: Group) -> None:
        """Fill in what was read, and which step and example each row is."""
        values = self.recording.values
        read, steps, examples = [], [], []
        for node, i in group.uses:
            if group.is_bias:
                shape = tuple(node.shape[j] for j in group.summed)
                A = np.ones((int(np.prod(shape)), 1))
                label = self.labels.along(node, group.summed)
            elif node.op == "take":
                index = np.asarray(values[node.parents[1]])
                shape = index.shape
                A = np.eye(len(node.parents[0]))[index.reshape(-1)]
                label = self.labels.along(node, tuple(range(node.ndim - 1)))
            else:
                x = np.asarray(values[node.parents[1 - i]])
                shape = x.shape[1:] if group.flip else x.shape[:-1]
                A = (x.reshape(x.shape[0], -1).T if group.flip else x.reshape(-1, x.shape[-1])).astype(float)
                label = self.labels.along(
                    node, tuple(range(1, node.ndim)) if group.flip else tuple(range(node.ndim - 1))
                )
            read.append(A)
            steps.append(label)
            examples.append(_example_numbers(label, len(A)))
            group.loop = group.loop or self.labels.loop_of(node)
        group.A = np.concatenate(read)
        group.steps = np.concatenate(steps)
        group.examples = np.concatenate(examples)

    def to_leaf(self, view: Node, part: np.ndarray, leaf: Node) -> np.ndarray:
        """K gradients of a view -> K gradients of a parameter in it."""
        values = self.recording.values
        found = np.zeros((len(part), *leaf.shape))
        pending = [(view, part)]
        while pending:
            node, g = pending.pop()
            if node is leaf:
                found = g if len(pending) == 0 and not found.any() else found + g
                continue
            for i, parent in enumerate(node.parents):
                if leaf in self.recording.owners.get(parent, ()):
                    pending.append((parent, pull(node, i, g, values[node], [values[p] for p in node.parents])))
        return found

    def of_others(self, name: str, arrived: Mapping[Node, np.ndarray]) -> np.ndarray | float:
        """What the uses without rows add to the gradient: (K, *shape), or 0."""
        values, leaf = self.recording.values, self.recording.leaves[name]
        total: np.ndarray | float = 0.0
        for node, i in self.other[name]:
            part = pull(node, i, arrived[node], values[node], [values[p] for p in node.parents])
            total = total + self.to_leaf(node.parents[i], part, leaf)
        return total

    def gradient(self, name: str, arrived: Mapping[Node, np.ndarray], K: int) -> np.ndarray:
        """The gradient as it is put together rightly, (K, *shape)."""
        leaf = self.recording.leaves[name]
        total = np.zeros((K, *leaf.shape)) + self.of_others(name, arrived)
        for group in self.groups[name]:
            assert group.A is not None
            total = total + self.to_leaf(group.root, group.gradient(group.A, group.rows(arrived)), leaf)
        return total


def _example_numbers(steps: np.ndarray, rows: int) -> np.ndarray:
    """Which example of its step each row is: rows of one step are numbered as they come."""
    numbers = np.zeros(rows, int)
    for step in np.unique(steps):
        where = np.flatnonzero(steps == step)
        numbers[where] = np.arange(len(where))
    return numbers


class _Labels:
    """Which step each entry of a node belongs to, also for nodes made for all steps at once."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.known: dict[Node, tuple[int, np.ndarray, Loop] | None] = {}
        for node in structure.nodes:
            self.known[node] = self._from_parents(node)
        for node in reversed(structure.nodes):
            if self.known[node] is None and node not in structure.step:
                self.known[node] = self._from_readers(node)

    def along(self, node: Node, axes: tuple[int, ...]) -> np.ndarray:
        """The step of each entry along some axes, flattened; -1 where unknown."""
        shape = tuple(node.shape[j] for j in axes)
        place = self.structure.step.get(node)
        if place is not None:
            return np.full(int(np.prod(shape)), place[1] if place[0].states else -1)
        known = self.known[node]
        if known is None or known[0] not in axes:
            return np.full(int(np.prod(shape)), -1)
        spread = [1] * len(axes)
        spread[axes.index(known[0])] = -1
        return np.broadcast_to(known[1].reshape(spread), shape).reshape(-1)

    def loop_of(self, node: Node) -> Loop | None:
        """The loop that the labels of a node refer to."""
        place = self.structure.step.get(node)
        known = self.known[node]
        return place[0] if place is not None else known[2] if known is not None else None

    def _from_parents(self, node: Node) -> tuple[int, np.ndarray, Loop] | None:
        if node in self.structure.step:
            return None
        if node.op in ("stack", "concatenate"):
            places = [self.structure.step.get(parent) for parent in node.parents]
            if all(place is not None and place[0] is places[0][0] for place in places if places[0] is not None):
                axis = node.params["axis"]
                sizes = [1 if node.op == "stack" else parent.shape[axis] for parent in node.parents]
                steps = [place[1] for place in places if place is not None]
                if places[0] is not None and len(steps) == len(sizes):
                    return axis, np.repeat(steps, sizes), places[0][0]
            return None
        for parent in node.parents[:1] if node.op in ("matmul", "reshape", "transpose", "getitem") else node.parents:
            known = self.known.get(parent)
            if known is not None:
                return self._moved(node, parent, known)
        return None

    def _moved(
        self, node: Node, parent: Node, known: tuple[int, np.ndarray, Loop]
    ) -> tuple[int, np.ndarray, Loop] | None:
        axis, steps, loop = known
        if node.op == "transpose":
            return node.params["axes"].index(axis), steps, loop
        if node.op == "reshape" and axis < 2 and parent.ndim > 2 and node.ndim and axis == 0:
            merged = int(np.prod(parent.shape[: parent.ndim - node.ndim + 1]))
            if node.shape[0] == merged and node.shape[1:] == parent.shape[parent.ndim - node.ndim + 1 :]:
                return 0, np.repeat(steps, merged // len(steps)), loop
            return None
        if node.ndim == parent.ndim and axis < node.ndim and node.shape[axis] == len(steps):
            return known
        return None

    def _from_readers(self, node: Node) -> tuple[int, np.ndarray, Loop] | None:
        """From slices by step, such as x[t]; or from a reader of the same form, such as the sum with a bias."""
        found: dict[int, dict[int, int]] = {}
        loop: Loop | None = None
        for child, _ in self.structure.children[node]:
            place = self.structure.step.get(child)
            known = self.known.get(child)
            if child.op == "getitem" and place is not None:
                index = child.params["index"]
                whole = [j for j, part in enumerate(index) if isinstance(part, int)] if isinstance(index, tuple) else []
                if len(whole) == 1 and Ellipsis not in index and None not in index:
                    axis = whole[0]
                    found.setdefault(axis, {})[index[axis] % node.shape[axis]] = place[1]
                    loop = place[0]
            elif known is not None and child.shape == node.shape:
                return known
        for axis, steps in found.items():
            if loop is not None and len(steps) == node.shape[axis]:
                return axis, np.array([steps[j] for j in range(node.shape[axis])]), loop
        return None
