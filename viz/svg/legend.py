"""The key to the signs of a picture, only those that occur: the dots always, boxes where every op is drawn."""

from __future__ import annotations

from ..layout import Picture
from ..model import words
from .path import num
from .xml import escape

HEIGHT, APART, SAMPLE = 34.0, 20.0, 26.0

_BOXES = (
    ("n op elementwise", "element by element"),
    ("n op contract", "product"),
    ("n op shape", "only looks at values"),
    ("n parameter", "parameter"),
    ("n input", "input"),
    ("n constant", "number"),
    ("n elided", "steps left out"),
)


def legend(picture: Picture, left: float, top: float) -> tuple[str, float]:
    """The key as elements, and where it ends at the right; nothing if there is nothing to explain."""
    diagram = picture.diagram
    kept = any(box.saved and box.kind == "op" for box in diagram.boxes)
    out: list[str] = []
    x = _kinds(picture, out, left, top) if diagram.level == "ops" else left
    if kept:
        out.append(f'<circle class="saved" cx="{num(x + 5)}" cy="{num(top + 9)}" r="2.5"/>')
        x = _said(out, x + 8, top, "kept for the backward sweep")
    return (f'<g class="key">{"".join(out)}</g>\n' if out else ""), x


def _kinds(picture: Picture, out: list[str], x: float, top: float) -> float:
    """Add the kinds of boxes that occur to `out`; returns where they end at the right."""
    diagram = picture.diagram
    present = {box.kind for box in diagram.boxes}
    kinds = {diagram.graph.nodes[box.main].primitive.kind for box in diagram.boxes if box.kind == "op"}
    shown = [(sign, text) for sign, text in _BOXES if _occurs(sign, present, kinds)]
    for sign, text in shown:
        rounded = 9 if sign in ("n input", "n constant") else 3
        rect = f'x="{num(x)}" y="{num(top)}" height="18"'
        spine = f'<rect class="spine" {rect} width="4"/>' if "parameter" in sign else ""
        out.append(f'<g class="{sign}"><rect {rect} width="{SAMPLE:.0f}" rx="{rounded}"/>{spine}</g>')
        x = _said(out, x + SAMPLE, top, text)
    if any(not diagram.graph.nodes[box.main].needs_grad for box in diagram.boxes if box.kind != "elided"):
        out.append(f'<g class="n still"><text x="{num(x + 8)}" y="{num(top + 13)}">x</text></g>')
        x = _said(out, x + 14, top, "needs no gradient")
    return x


def _occurs(sign: str, present: set[str], kinds: set[str]) -> bool:
    name = sign.split()[-1]
    if name == "shape":
        return bool(kinds & {"shape", "index"})
    return name in kinds if " op " in sign else name in present


def _said(out: list[str], x: float, top: float, text: str) -> float:
    out.append(f'<text class="strip" x="{num(x + 7)}" y="{num(top + 13)}">{escape(text)}</text>')
    return x + 7 + words.width(text, 11) + APART
