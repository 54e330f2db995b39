"""`draw`: from whatever has a graph to a drawing that can be shown and saved."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from .dot import run_dot, to_graphviz
from .html import View, page
from .layout import Picture, place
from .model import Diagram, read
from .model.heat import look_at_errors, look_at_gradients, mark
from .model.read import modules
from .model.sweep import gradients_of, measure, values_of
from .program import draw_program
from .record import is_parameter, record
from .saving import Shown
from .svg import check_theme, write
from .text import as_json, summary, text

ELIDE = {"ops": 6, "modules": 12, "layers": None}
"""More steps than this are left out, unless the caller says otherwise."""


def draw(
    x: Any,
    *args: Any,
    level: str = "modules",
    steps: slice | int | Iterable[int] | None = None,
    elide: int | str | None = "auto",
    gradients: bool = False,
    backward: bool = False,
    errors: Any = None,
    marks: Any = None,
    names: Mapping[str, Any] | None = None,
    expand: Collection[str] = (),
    collapse: Collection[str] = (),
    theme: str = "auto",
    engine: str | None = None,
    timeout: float = 60.0,
    title: str | None = None,
    **kwargs: Any,
) -> Any:
    """Draw the graph of a Tensor, of several, of a Module with sample input, or the program of a compiled function.

    x: what to draw. args, kwargs: sample input, for a Module or a compiled function.
    level: "ops" for every primitive, "modules" for cells as boxes, "layers" with time folded away.
    steps: which time steps to show, a slice or numbers. elide: leave out the middle of sequences longer than this;
    None: of none.
    names: what to call Tensors that have no name of their own, by name. A leaf with requires_grad is a parameter,
    unless data come in there (arguments of the module, first states, sequences, what a module's weight multiplies).
    expand, collapse: paths of modules to draw op by op, or as one box with everything inside.
    gradients: colour everything by the norm of the gradient that reaches it, with a strip chart of all steps.
    backward: draw the way of the gradient as a second set of edges. errors: relative errors, by node or parameter
    name, or a report of compare_gradients, as heat. marks: what to say of some nodes or parameters, or findings of the
    gradient doctor: they are accused by number.
    theme: "light", "dark", or "auto" to follow the reader's system.
    engine: None for our own layout, "dot" for a `dot` program on PATH, which is given `timeout` seconds.
    Returns a `Drawing`, of a compiled function a `ProgramDrawing`. Raises TypeError, ValueError, KeyError or IndexError
    with what was expected and what to do.
    """
    check_theme(theme)
    if engine not in (None, "dot"):
        raise ValueError(f'viz.draw: engine={engine!r} is neither None (our own layout) nor "dot".')
    if callable(getattr(x, "stages", None)):
        name = getattr(x, "name", type(x).__name__)
        return draw_program(x.stages(*args, **kwargs), theme=theme, title=title or f"Program of {name}")
    found = record(x, args, kwargs)
    for name, tensor in (names or {}).items():
        if tensor.node is not None:
            found.names[tensor.node] = name
            found.known.update({tensor.node: True} if is_parameter(tensor) else {})
    limit = ELIDE.get(level) if elide == "auto" else elide
    if isinstance(limit, str):
        raise ValueError(f'viz.draw: elide={elide!r} is neither a number of steps, None, nor "auto".')
    plain = functools.partial(
        read, found.nodes, steps=steps, elide=limit, names=found.names, classes=found.classes, known=found.known
    )
    measured: list[Diagram] = []

    def reader(**options: Any) -> Diagram:
        diagram = plain(**options)
        diagram.backward = backward
        if gradients:
            if measured:  # another view of the same recording
                diagram.values, diagram.gradients = measured[0].values, measured[0].gradients
            look_at_gradients(diagram)
            measured[:] = measured or [diagram]
        if errors is not None:
            look_at_errors(diagram, errors)
        if marks:
            mark(diagram, marks)
        return diagram

    diagram = reader(level=level, expand=expand, collapse=collapse)
    return Drawing(diagram, reader, theme=theme, engine=engine, timeout=timeout, title=title or found.title)


class Drawing(Shown):
    """A drawing: `.svg`, `.html`, `.dot`, `.text`, `.json` are text; `.save(path)` writes any of them, or .png and
    .pdf.

    diagram: the boxes and edges. reader: reads the graph anew at another level. picture: the layout. Notebooks show
    it by themselves.
    """

    formats = {".svg": "svg", ".html": "html", ".dot": "dot", ".txt": "text", ".json": "json"}

    def __init__(
        self,
        diagram: Diagram,
        reader: Callable[..., Diagram],
        *,
        theme: str = "auto",
        engine: str | None = None,
        timeout: float = 60.0,
        title: str = "",
    ) -> None:
        self.diagram = diagram
        self._reader = reader
        self.theme = theme
        self.title = title
        self._engine = engine
        self._timeout = timeout

    @functools.cached_property
    def picture(self) -> Picture:
        """The layout."""
        return place(self.diagram)

    @functools.cached_property
    def svg(self) -> str:
        """An SVG document: no scripts, nothing from outside."""
        if self._engine == "dot":
            return run_dot(self.dot, self._timeout)
        return self._svg(self.theme)

    def _svg(self, theme: str) -> str:
        return write(self.picture, theme, summary(self.diagram), self.title)

    @functools.cached_property
    def html(self) -> str:
        """One page that works offline: pan, zoom, open and close modules, search, walk through time."""
        graph = self.diagram.graph
        measured, values = None, None
        if any(graph.nodes[root].needs_grad for root in graph.roots):
            values = values_of(graph)
            measured = [measure(value) for value in values], gradients_of(graph, values)

        def read_view(view: View) -> Diagram:
            diagram = self._reader(level="modules", expand=view.expand, collapse=view.collapse)
            diagram.backward = True
            if measured is not None and diagram.values is None:
                diagram.values, diagram.gradients = measured
            return diagram

        return page(read_view, modules(graph), self.title, values)

    @functools.cached_property
    def dot(self) -> str:
        """DOT text; needs the package `graphviz`, not the program."""
        return to_graphviz(self.diagram).source

    @property
    def text(self) -> str:
        """A table for terminals and screen readers."""
        return text(self.diagram)

    @property
    def json(self) -> str:
        """Boxes, edges and columns as JSON."""
        return as_json(self.diagram)

    def to_graphviz(self) -> Any:
        """A `graphviz.Digraph`, to be changed or laid out elsewhere."""
        return to_graphviz(self.diagram)

    def flat(self) -> str:
        """The SVG, light unless dark was asked for."""
        if self._engine == "dot":
            return self.svg
        return self._svg("dark" if self.theme == "dark" else "light")

    @property
    def summary(self) -> str:
        """What the picture shows, in a sentence or two."""
        return summary(self.diagram)

    def __repr__(self) -> str:
        return f"<Drawing: {summary(self.diagram)}>"
