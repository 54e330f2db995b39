"""DOT for whoever wants Graphviz. Our own pictures need none of it.

The `graphviz` package (pure Python) writes the text, and only when asked for. A `dot` program is run only on request,
in a child process with a time limit. A layout library is never loaded into this process.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from .model import Box, Diagram
from .model.tips import tip

_SHAPES = {
    "parameter": "box3d",
    "input": "ellipse",
    "constant": "plaintext",
    "module": "box",
    "op": "box",
    "elided": "plain",
}


def to_graphviz(diagram: Diagram) -> Any:
    """`diagram` as a `graphviz.Digraph`, every label through `graphviz.escape`, modules as clusters.

    Raises ImportError with the way out if the `graphviz` package is not installed.
    """
    try:
        import graphviz
    except ImportError as error:
        raise ImportError("to_graphviz() needs the package `graphviz` (pure Python): pip install graphviz") from error
    graph = graphviz.Digraph(
        "tinygrad_rnn", graph_attr={"rankdir": "BT"}, node_attr={"fontname": "Helvetica", "fontsize": "11"}
    )
    clusters: dict[tuple[int, int | None], list[Box]] = {}
    for box in diagram.boxes:
        inside = diagram.level == "ops" and box.kind == "op" and box.path
        clusters.setdefault((box.group, box.column) if inside else (-1, None), []).append(box)
    for (group, column), boxes in clusters.items():
        if group < 0:
            for box in boxes:
                _node(graph, graphviz, diagram, box)
            continue
        with graph.subgraph(name=f"cluster_{group}_{'' if column is None else column}") as cluster:  # type: ignore[union-attr]
            time = "" if column is None else f" {diagram.columns[column].title}"
            cluster.attr(label=graphviz.escape(diagram.groups[group][0] + time))
            for box in boxes:
                _node(cluster, graphviz, diagram, box)
    for edge in diagram.edges:
        style = {"weight": "dotted", "recurrent": "bold", "cut": "dashed"}.get(edge.kind, "solid")
        constraint = "false" if edge.kind in ("recurrent", "cut") else "true"
        graph.edge(f"n{edge.source.id}", f"n{edge.target.id}", style=style, constraint=constraint)
    return graph


def _node(graph: Any, graphviz: Any, diagram: Diagram, box: Box) -> None:
    label = box.title + ("\n" + box.detail if box.detail else "")
    # escape() also keeps a label such as "<b>" from being taken for HTML; lines are joined by DOT's \n afterwards.
    graph.node(
        f"n{box.id}",
        label="\\n".join(graphviz.escape(line) for line in label.split("\n"))
        if "\n" in label
        else graphviz.escape(label),
        shape=_SHAPES[box.kind],
        tooltip=graphviz.escape(", ".join(tip(diagram, box))),
        style="rounded" if box.kind == "module" else "dashed" if box.kind in ("constant", "elided") else "solid",
    )


def run_dot(source: str, seconds: float = 60.0) -> str:
    """SVG laid out by a `dot` on PATH, in a child process.

    Raises RuntimeError with the ways out if there is none, if it fails, or if it takes longer than `seconds`.
    """
    program = shutil.which("dot")
    if program is None:
        raise RuntimeError(
            'viz: engine="dot" needs the program `dot`, and there is none on PATH. Ways out: leave `engine` away '
            "(our own layout needs no program); install Graphviz (apt install graphviz, brew install graphviz); "
            "or save the .dot text and lay it out elsewhere."
        )
    try:
        done = subprocess.run(
            [program, "-Tsvg"], input=source.encode(), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(
            f"viz: `dot` did not finish in {seconds:g} s, as happens with unrolled networks. Ways out: leave "
            f"`engine` away (our own layout takes milliseconds), draw fewer steps (steps=slice(5)), or give it more "
            f"time (timeout=...)."
        ) from error
    if done.returncode:
        raise RuntimeError(
            f"viz: `dot` failed with status {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout.decode()
