"""From recorded nodes to boxes and edges, at the level of detail that was asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .boxes import Maker
from .diagram import Diagram
from .edges import make_edges
from .labels import label
from .record import Recording
from .roles import Folding
from .steps import columns

LEVELS = ("ops", "modules", "layers")


def read(
    outputs: Iterable[Any],
    *,
    level: str = "modules",
    steps: slice | int | Iterable[int] | None = None,
    elide: int | None = None,
    expand: Collection[str] = (),
    collapse: Collection[str] = (),
    names: Mapping[Any, str] | None = None,
    classes: Mapping[str, str] | None = None,
    known: Mapping[Any, bool] | None = None,
) -> Diagram:
    """Read the graph of `outputs` (nodes) into boxes and edges.

    level: "ops" draws every primitive, "modules" a box for each cell and module, "layers" folds time away.
    steps, elide: see `columns`. expand: paths of modules whose ops are drawn. collapse: paths of modules that are one
    box. names: what to call inputs, by node. classes: the class name of each module path. known: of some
    leaves, whether they are parameters; of others `leaves` decides.
    Raises ValueError for an unknown level, IndexError for a step that does not exist.
    """
    if level not in LEVELS:
        raise ValueError(
            f"viz.draw: level={level!r} is none of {', '.join(map(repr, LEVELS))}. Choose how much detail to draw."
        )
    graph = Recording(list(outputs), collapse, known)
    _check_paths(graph, expand, collapse)
    fold = Folding(graph, fold_time=level == "layers", merged=frozenset(collapse))
    cols, odd = ([], []) if level == "layers" else columns(fold, steps, elide)
    diagram = Diagram(graph, fold, level, cols, odd)
    Maker(diagram, expand).make()
    make_edges(diagram)
    diagram.names = {node: node.name for node in graph.nodes if node.name} | dict(names or {})
    label(diagram, classes or {})
    return diagram


def modules(graph: Recording) -> list[str]:
    """The paths of all modules in a recording, parents included, in order of first use."""
    found: dict[str, None] = {}
    for path in graph.path:
        parts = path.split(".") if path else []
        for k in range(len(parts)):
            found[".".join(parts[: k + 1])] = None
    return list(found)


def _check_paths(graph: Recording, expand: Collection[str], collapse: Collection[str]) -> None:
    known = set(modules(graph))
    for name, paths in (("expand", expand), ("collapse", collapse)):
        if isinstance(paths, str):
            raise TypeError(
                f"viz.draw: {name}={paths!r} is one string; give a list of module paths: {name}=[{paths!r}]."
            )
        for path in paths:
            if path not in known:
                raise ValueError(
                    f"viz.draw: {name} names the module {path!r}; the graph has {', '.join(sorted(known)) or 'none'}."
                )
