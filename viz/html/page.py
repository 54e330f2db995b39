"""A drawing as one HTML file that works offline: pan, zoom, open and close modules, search, and a walk through time.

Every state of the modules that can be reached is a picture laid out here; the script only shows the right one. The
policy in the head lets nothing be loaded and no other script run, so a hostile label has nowhere to go.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from typing import Any, NamedTuple

from ..layout import place
from ..model import Diagram
from ..model.tips import statistics
from ..model.words import clean, number
from ..svg import escape, write
from ..svg.style import page_sheet
from ..text import summary

MOST = 14
"""A page holds at most so many pictures."""

FEW = 4
"""Entries of an array that the walk shows."""

LONG = 400
"""Beyond so many steps the walk tells norms only."""


class View(NamedTuple):
    """A state of the modules: those drawn op by op, and those that are one box with everything inside."""

    expand: tuple[str, ...]
    collapse: tuple[str, ...]


Reader = Callable[[View], Diagram]


def page(read: Reader, modules: Iterable[str], title: str, values: Sequence[Any] | None = None) -> str:
    """The page of a drawing.

    read: makes the diagram of a view. modules: the paths of all modules, parents before children. values: the array of
    each node, to be shown on the walk.
    """
    paths = list(modules)
    shown = []
    for view in views(paths):
        diagram = read(view)
        picture = write(place(diagram), "light", summary(diagram), title, live=True)
        shown.append((view, picture, diagram))
    first = shown[0][2]
    data = {"modules": paths, "views": [[v.expand, v.collapse] for v, _, _ in shown], "steps": walk(first, values)}
    script, sheet = _file("page.js"), page_sheet() + _file("page.css")
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_digest(script)}'; base-uri 'none'"
    templates = "".join(f'<template class="view">{picture}</template>\n' for _, picture, _ in shown)
    body = _file("page.html").replace("{{hidden}}", "" if paths else " hidden")
    body = body.replace("{{title}}", escape(clean(title))).replace("{{summary}}", escape(summary(first)))
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="light">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(clean(title))}</title>\n<style>{sheet}</style>\n</head>\n<body>\n{body}{templates}"
        f'<script type="application/json" id="data">{island(data)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def views(paths: list[str]) -> list[View]:
    """The states a page holds: all closed, all open, each module open by itself, then pairs, each parent closed."""
    leaves = [p for p in paths if not any(other.startswith(p + ".") for other in paths)]
    parents = [p for p in paths if p not in leaves]
    found = [View((), ()), View(tuple(leaves), ())]
    found += [View((), (path,)) for path in parents[:4]]
    found += [View((path,), ()) for path in leaves]
    found += [View((a, b), ()) for k, a in enumerate(leaves) for b in leaves[k + 1 :]]
    return list(dict.fromkeys(found))[:MOST]


def walk(diagram: Diagram, values: Sequence[Any] | None = None) -> list[dict[str, Any]]:
    """What happens in each time step: its column, and for each module the value it gives and the gradient that reaches
    it.
    """
    fold, graph = diagram.fold, diagram.graph
    column_of = {t: c for c, col in enumerate(diagram.columns) for t in range(col.first, col.last + 1)}
    last: dict[int, dict[int, int]] = {}
    for i, t in enumerate(fold.step):
        group = fold.group[fold.role[i]]
        if t is not None and diagram.groups[group][1] in ("cell", "step") and not graph.nodes[i].scope.backward:
            last.setdefault(t, {})[group] = i
    steps = []
    for t in sorted(last):
        rows = []
        for group, i in last[t].items():
            value = diagram.values[i] if diagram.values is not None else None
            gradient = diagram.gradients[i] if diagram.gradients is not None else None
            size = graph.nodes[i].size
            brief = len(column_of) > LONG
            rows.append(
                [
                    clean(graph.path[i]) or diagram.groups[group][1],
                    ""
                    if value is None
                    else f"{value.norm:.3g}"
                    if brief
                    else statistics(value, size) + some(values, i),
                    "" if gradient is None else f"{gradient.norm:.3g}" if brief else statistics(gradient, size),
                ]
            )
        steps.append({"t": t, "c": column_of[t], "rows": rows})
    return steps


def some(values: Sequence[Any] | None, i: int) -> str:
    """The first few entries of an array, after a colon."""
    if values is None or values[i].size < 2:
        return ""
    entries = values[i].reshape(-1)[:FEW].tolist()
    return ": " + ", ".join(map(number, entries)) + (", …" if values[i].size > FEW else "")


def island(data: Any) -> str:
    """JSON that cannot end the script element it stands in: ASCII, with <, > and & as escapes."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _file(name: str) -> str:
    return resources.files("viz.html").joinpath(name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
