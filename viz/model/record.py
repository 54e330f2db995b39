"""What is read from the recorded graph: its nodes, the places of their parents, and the time step of each.

A recurrent network is a loop, and the loop's counter is the one thing a drawing needs that a graph does not say. Our
layers record it (`scope(t=3)`). For a plain `for` loop it is inferred: if every use of some parameter by the same op
at the same source line depends on the use before it, that parameter is the recurrent one, and its k-th use opens step
k.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tinygrad_rnn.graph import ancestors

from .leaves import parameters
from .words import clean

LOOKING_ON = ("index", "shape")
"""Kinds of op that only look at values: slices, transposes, reshapes."""


class Recording:
    """The nodes of a graph in recording order, with positions instead of references.

    outputs: the nodes that are drawn. known: of some leaves, whether they are parameters.
    nodes: parents before children. parents: for each node the positions of its parents. children: the other way round.
    prepared: whether a node is made from parameters alone, for the steps to read (a transposed weight, the sum of two
    biases).
    parameter: whether a node is a leaf to be trained. step: the time step of each node, or None. inferred: whether the
    steps had to be inferred. path: the module path, in signs that can be seen, cut where a module is collapsed. roots:
    positions of what was drawn.
    """

    def __init__(
        self, outputs: Sequence[Any], collapse: Collection[str] = (), known: Mapping[Any, bool] | None = None
    ) -> None:
        self.nodes: list[Any] = ancestors(outputs)
        position = {node: i for i, node in enumerate(self.nodes)}
        self.parents: list[tuple[int, ...]] = [tuple(position[p] for p in node.parents) for node in self.nodes]
        self.children: list[list[int]] = [[] for _ in self.nodes]
        for i, parents in enumerate(self.parents):
            for p in parents:
                self.children[p].append(i)
        self.roots = {position[node] for node in outputs}
        scopes: dict[Any, tuple[str, int | None]] = {}
        self.path: list[str] = []
        self.step: list[int | None] = []
        for node in self.nodes:
            scope = node.scope
            place = scopes.get(scope)
            if place is None:
                path = clean(scope.path) or ascii(scope.path)[1:-1]  # every writer can hold it as it is
                place = scopes[scope] = (_within(path, collapse), scope.t)
            self.path.append(place[0])
            self.step.append(place[1] if node.primitive is not None else None)
        # a first guess, which the inference of steps goes by; `leaves` needs these steps
        self.parameter = [self.is_leaf(i) and (n.needs_grad or n.name is not None) for i, n in enumerate(self.nodes)]
        self.inferred = False
        if all(t is None for t in self.step):
            self.step = infer_steps(self)
            self.inferred = any(t is not None for t in self.step)
        self.parameter = parameters(self, known or {})
        self.prepared = self._prepared()

    def is_leaf(self, i: int) -> bool:
        """Whether the node is a parameter, an input or a constant."""
        return self.nodes[i].primitive is None

    def is_parameter(self, i: int) -> bool:
        """Whether the node is a leaf to be trained: see `leaves`."""
        return self.parameter[i]

    def _prepared(self) -> list[bool]:
        made = [self.is_parameter(i) for i in range(len(self.nodes))]
        for i, parents in enumerate(self.parents):
            if parents and self.step[i] is None and not self.nodes[i].scope.backward:
                made[i] = all(made[p] or self._is_number(p) for p in parents) and any(made[p] for p in parents)
        read = [False] * len(made)
        for i in range(len(made) - 1, -1, -1):
            read[i] = made[i] and any(self.step[c] is not None or read[c] for c in self.children[i])
        return [read[i] and not self.is_leaf(i) for i in range(len(made))]

    def _is_number(self, i: int) -> bool:
        return self.is_leaf(i) and self.nodes[i].shape == ()

    def looks_on(self, i: int) -> bool:
        """Whether the node is a slice, transpose or reshape."""
        node = self.nodes[i]
        return node.primitive is not None and node.primitive.kind in LOOKING_ON and len(self.parents[i]) == 1


def _within(path: str, collapse: Collection[str]) -> str:
    """The outermost of the `collapse` paths that holds `path`, or `path` itself."""
    return min((c for c in collapse if path == c or path.startswith(c + ".")), key=len, default=path)


def infer_steps(graph: Recording) -> list[int | None]:
    """Time steps of a loop that recorded none; all None if no parameter is used step after step."""
    uses: dict[tuple[Any, ...], list[int]] = {}
    for i, node in enumerate(graph.nodes):
        if node.primitive is None:
            continue
        for place, p in enumerate(graph.parents[i]):
            q = _looked_at(graph, p)
            if graph.is_leaf(q) and graph.nodes[q].needs_grad:
                line = str(node.source) if node.source is not None else None
                uses.setdefault((q, place, node.primitive.name, line, node.shape), []).append(i)
    candidates = sorted((u for u in uses.values() if len(u) > 1), key=lambda u: (-len(u), u[0]))
    for anchors in candidates[:12]:
        opened = _opened(graph, anchors)
        if opened is not None:
            return _adopt(graph, opened)
    return [None] * len(graph.nodes)


def _looked_at(graph: Recording, i: int) -> int:
    """The node behind transposes and reshapes."""
    while graph.looks_on(i) and graph.nodes[i].primitive.kind == "shape":
        i = graph.parents[i][0]
    return i


def _opened(graph: Recording, anchors: Iterable[int]) -> list[int] | None:
    """For each node the last anchor it depends on (-1: none), if every anchor depends on the one before; else None."""
    number = {i: k for k, i in enumerate(anchors)}
    last = [-1] * len(graph.nodes)
    for i, parents in enumerate(graph.parents):
        seen = max((last[p] for p in parents), default=-1)
        k = number.get(i)
        if k is not None:
            if seen != k - 1:
                return None
            seen = k
        last[i] = seen
    return last


def _adopt(graph: Recording, last: list[int]) -> list[int | None]:
    """Give each node the step of its recurrent ancestor, or of the only step that reads it."""
    steps: list[int | None] = [k if k >= 0 else None for k in last]
    end = max(last)
    for i, parents in enumerate(graph.parents):
        if last[i] < 0:
            continue
        own = [steps[p] for p in parents if last[p] >= 0]
        known = [t for t in own if t is not None]
        if own and (len(known) < len(own) or max(known) - min(known) > 1):
            steps[i] = None  # it gathers many steps, and so does what follows
    for i in range(len(steps) - 1, -1, -1):
        if last[i] < 0 and not graph.is_parameter(i):
            reading = {steps[c] for c in graph.children[i]}
            steps[i] = reading.pop() if len(reading) == 1 else None
    seen: set[Any] = set()
    for i, node in enumerate(graph.nodes):
        if steps[i] is not None and steps[i] != end and node.primitive is not None:
            seen.add((node.primitive.name, node.shape, len(node.parents)))
    for i in range(
        len(steps) - 1, -1, -1
    ):  # what follows the loop looks like the last step: it has no like in earlier ones
        node = graph.nodes[i]
        alone = node.primitive is not None and (node.primitive.name, node.shape, len(node.parents)) not in seen
        if steps[i] == end and last[i] == end and alone and all(steps[c] is None for c in graph.children[i]):
            steps[i] = None
    return steps
