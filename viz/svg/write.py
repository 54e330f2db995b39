"""The SVG writer: a picture with places as text. No scripts, no references to anything outside, the same bytes every
time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from ..layout import Picture, Placed
from ..layout.measure import SMALL, TEXT, WIDEST
from ..model import Box, words
from ..model.tips import tip
from . import style
from .path import data, num

THEMES = ("auto", "light", "dark")


def escape(text: str) -> str:
    """`text` for XML content and attributes."""
    return (
        text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("'", "&#39;")
    )


def write(picture: Picture, theme: str = "auto", summary: str = "", title: str = "") -> str:
    """`picture` as an SVG document.

    theme: "light", "dark", or "auto" to follow the reader's system. summary: what a screen reader says of the picture.
    Raises ValueError for another theme.
    """
    if theme not in THEMES:
        raise ValueError(f"viz.draw: theme={theme!r} is none of {', '.join(map(repr, THEMES))}.")
    body = "".join(
        [_bands(picture), _frames(picture), _buses(picture), _wires(picture), _boxes(picture, tip), _axis(picture)]
    )
    width, height = num(picture.width), num(picture.height)
    ident = f"g{zlib.crc32((body + theme).encode()):08x}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'class="{ident}" role="img" aria-labelledby="{ident}title {ident}desc">\n'
        f'<title id="{ident}title">{escape(title)}</title>\n<desc id="{ident}desc">{escape(summary)}</desc>\n'
        f"<style>{style.sheet(ident, theme)}</style>\n<defs>{style.markers(ident)}</defs>\n"
        f'<rect class="ground" width="{width}" height="{height}"/>\n'
        + body.replace("#ident-", f"#{ident}")
        + "</svg>\n"
    )


def _bands(picture: Picture) -> str:
    out = []
    for band in picture.bands:
        x, middle = num(band.x - 8), num(band.x + band.width / 2)
        kind = "band hidden" if band.column.hidden else "band"
        out.append(
            f'<rect class="{kind}" x="{x}" y="{num(picture.top)}" width="{num(band.width + 16)}" '
            f'height="{num(picture.bottom - picture.top)}" rx="10"/>'
            f'<text class="time" x="{middle}" y="{num(picture.top - 9)}">{band.column.title}</text>\n'
        )
    return "".join(out)


def _frames(picture: Picture) -> str:
    return "".join(
        f'<rect class="frame" x="{num(f.x)}" y="{num(f.y)}" width="{num(f.width)}" height="{num(f.height)}" rx="9"/>'
        f'<text class="module" x="{num(f.x + 9)}" y="{num(f.y + 14)}">{escape(words.clean(f.title))}</text>\n'
        for f in picture.frames
    )


def _buses(picture: Picture) -> str:
    out = []
    for bus in picture.buses:
        lines = "".join(f'<path d="{data(route)}"/>' for route in bus.points)
        taps = "".join(f'<path marker-end="url(#ident-w)" d="{data(route)}"/>' for route in bus.taps)
        out.append(f'<g class="bus" data-s="{bus.box.id}">{lines}{taps}</g>\n')
    return "".join(out)


def _wires(picture: Picture) -> str:
    out = []
    for wire in picture.wires:
        edge = wire.edge
        kind = edge.kind
        if edge.source.kind == "elided" or edge.target.kind == "elided":
            kind += " part"
        head = {"recurrent": "r", "weight": "w"}.get(edge.kind, "d")
        out.append(
            f'<path class="e {kind}" data-s="{edge.source.id}" data-t="{edge.target.id}" '
            f'marker-end="url(#ident-{head})" d="{data(wire.points)}"/>\n'
        )
        if edge.label and len(wire.points) == 2:
            (x1, y1), (x2, _) = wire.points
            out.append(f'<text class="state" x="{num((x1 + x2) / 2)}" y="{num(y1 - 6)}">{escape(edge.label)}</text>\n')
    return "".join(out)


def _boxes(picture: Picture, tips: Callable[..., list[str]]) -> str:
    out = []
    for placed in picture.placed:
        box = placed.box
        kind = classes(picture, box)
        note = "\n".join(tips(picture.diagram, box))
        out.append(
            f'<g class="n {kind}" id="n{box.id}" tabindex="0"><title>{escape(note)}</title>'
            f"{_shape(placed)}{_text(placed)}</g>\n"
        )
    return "".join(out)


def classes(picture: Picture, box: Box) -> str:
    """The CSS classes of a box: what kind it is, and its special marks."""
    node = picture.diagram.graph.nodes[box.main]
    names = [box.kind]
    if box.kind == "op" and node.primitive is not None:
        names.append(node.primitive.kind)
    if box.root:
        names.append("root")
    if box.backward:
        names.append("back")
    return " ".join(names)


def _shape(placed: Placed) -> str:
    x, y, w, h = placed.x - placed.width / 2, placed.y - placed.height / 2, placed.width, placed.height
    box = placed.box
    radius = {"module": 9, "input": min(h / 2, 19), "constant": h / 2, "parameter": 3, "elided": 9}.get(box.kind, 4)
    shape = f'<rect x="{num(x)}" y="{num(y)}" width="{num(w)}" height="{num(h)}" rx="{num(radius)}"/>'
    if box.kind == "parameter":
        shape += f'<rect class="spine" x="{num(x)}" y="{num(y)}" width="4" height="{num(h)}"/>'
    if box.saved and box.kind == "op":
        shape += f'<circle class="saved" cx="{num(x + w - 5)}" cy="{num(y + 5)}" r="2.5"/>'
    return shape


def _text(placed: Placed) -> str:
    box, x, y = placed.box, placed.x, placed.y
    title = escape(words.shorten(box.title, TEXT, WIDEST))
    detail = escape(words.shorten(box.detail, SMALL, WIDEST))
    if box.kind == "parameter" or (box.initial and placed.height < 30):
        left, right = x - placed.width / 2 + 11, x + placed.width / 2 - 9
        return _line(left, y + 4.5, title, "l") + _line(right, y + 4, detail, "s r")
    if not detail:
        return _line(x, y + 4.5, title)
    return _line(x, y - 2, title) + _line(x, y + 12.5, detail, "s")


def _line(x: float, y: float, text: str, kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f'<text{mark} x="{num(x)}" y="{num(y)}">{text}</text>'


def _axis(picture: Picture) -> str:
    if not picture.bands:
        return ""
    first, last = picture.bands[0], picture.bands[-1]
    y = picture.bottom + 12
    x1, x2 = first.x - 8, last.x + last.width + 8
    ticks = "".join(f"M{num(b.x + b.width / 2)} {num(y - 4)}v8" for b in picture.bands)
    return (
        f'<path class="axis" d="M{num(x1)} {num(y)}H{num(x2)}{ticks}"/>'
        f'<text class="axis" x="{num(x2 + 6)}" y="{num(y + 4)}">time</text>\n'
    )
