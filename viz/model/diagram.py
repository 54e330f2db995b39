"""The picture before it has places: boxes, edges, columns."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from .record import Recording
from .roles import Folding
from .scale import Heat
from .steps import Column
from .sweep import Measure


class Box:
    """One thing that is drawn: an op, a cell, a parameter, an input, or a run of steps left out.

    kind: "op", "module", "parameter", "input", "constant" or "elided". members: positions of its nodes in the
    recording.
    group, column: the group of roles and the column (None: outside time) it belongs to. role: what is equal in all
    columns.
    main: the node whose value leaves the box (the recurrent one, if any). loop: in a folded drawing, whether it feeds
    itself.
    """

    __slots__ = (
        "backward", "column", "detail", "group", "id", "initial", "kind", "loop", "main", "members", "note", "path",
        "role", "root", "saved", "title", "uses",
    )  # fmt: skip

    def __init__(self, number: int, kind: str, group: int, column: int | None, role: Any, path: str) -> None:
        self.id = number
        self.kind = kind
        self.group = group
        self.column = column
        self.role = role
        self.path = path
        self.members: list[int] = []
        self.main = -1
        self.title = self.detail = self.note = ""
        self.backward = self.initial = self.root = self.saved = False
        self.loop = self.uses = 0


class Edge:
    """One connection. kind: "data", "weight" (from a parameter), "recurrent" (to another step) or "cut" (detached
    there).

    node: the position of the node whose value travels along it. label: what the value is called, for recurrent edges.
    state: for recurrent edges, and for those from an initial state, the role that makes the state; else -1.
    """

    __slots__ = ("kind", "label", "node", "source", "state", "target")

    def __init__(self, source: Box, target: Box, kind: str, node: int) -> None:
        self.source = source
        self.target = target
        self.kind = kind
        self.node = node
        self.label = ""
        self.state = -1


class Diagram:
    """Boxes and edges of one drawing, and the columns they stand in.

    odd: steps that differ from the others. groups: for each group (path, kind), see `Folding`.
    box_of: the box of each node. clones: for (an initial state, (group, step) that it starts) the box that stands
    there.
    """

    def __init__(self, graph: Recording, fold: Folding, level: str, cols: list[Column], odd: list[int]) -> None:
        self.graph = graph
        self.fold = fold
        self.level = level
        self.columns = cols
        self.odd = odd
        self.groups = fold.keys
        self.boxes: list[Box] = []
        self.edges: list[Edge] = []
        self.box_of: list[Box | None] = []
        self.clones: dict[tuple[int, tuple[int, int]], Box] = {}
        self.values: Sequence[Measure | None] | None = None
        self.gradients: Sequence[Measure | None] | None = None
        self.heat: Heat | None = None
        self.marks: dict[int, str] = {}
        self.backward = False
        self.names: dict[Any, str] = {}
        self.lines: dict[tuple[int, int], str] = {}

    @functools.cached_property
    def leaving(self) -> dict[int, list[Edge]]:
        """The edges that leave each box, by id."""
        found: dict[int, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.source.id, []).append(edge)
        return found

    @property
    def timed(self) -> bool:
        """Whether there is a time axis."""
        return bool(self.columns)

    @property
    def length(self) -> int:
        """Number of time steps, shown and hidden."""
        return sum(column.count for column in self.columns)
