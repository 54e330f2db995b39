"""The SVG writer: a picture with places as text, without scripts or references to anything outside."""

from __future__ import annotations

from collections.abc import Sequence

from ..layout import Picture
from ..model import words
from ..model.heat import worst
from .elements import axis, bands, boxes, buses, frames, wires
from .legend import HEIGHT as KEY
from .legend import legend
from .path import num
from .strip import LEGEND, scale_bar, strips
from .xml import Content, check_theme, document, escape

LINE, APART, HEADING = 18.0, 36.0, 30.0
BOLD = 13.2
"""The size that reckons with the width of bold 12 pixel text."""


def write(picture: Picture, theme: str = "auto", summary: str = "", title: str = "", live: bool = False) -> str:
    """`picture` as an SVG document.

    theme: "light", "dark", or "auto" to follow the reader's system. summary: what a screen reader says of the picture.
    live: for a page with a script: ids of ends and columns are noted, and the page brings the style.
    Raises ValueError for another theme.
    """
    check_theme(theme)
    return document(content(picture, live), theme, title, summary, live)


def write_all(pictures: Sequence[tuple[str, Picture]], theme: str, title: str, summary: str) -> str:
    """Several pictures, each under its name, one below the other, as one SVG document."""
    check_theme(theme)
    parts, width, height = [], 0.0, 10.0
    for name, picture in pictures:
        one = content(picture, False)
        parts.append(f'<text class="heading" x="28" y="{num(height + 18)}">{escape(words.clean(name))}</text>\n')
        parts.append(f'<g transform="translate(0 {num(height + HEADING)})">\n{one.body}</g>\n')
        height += HEADING + one.height + APART
        width = max(width, one.width)
    return document(Content("".join(parts), width, height - APART), theme, title, summary)


def content(picture: Picture, live: bool) -> Content:
    """The elements of a picture, with what stands below it: strips, scale, marks."""
    parts = [bands(picture, live), frames(picture), buses(picture, live), wires(picture, live), boxes(picture, live)]
    parts.append(axis(picture))
    height, heat = picture.height, picture.diagram.heat
    left = picture.bands[0].x if picture.bands else 28.0
    right = picture.width
    if heat is not None:
        if heat.flows and picture.bands:
            bars, end, room = strips(picture, heat, height - 18)
            parts.append(bars)
            right, height = max(right, end + 28), height + room
        scale, end = scale_bar(heat, left, height - 14)
        parts.append(scale)
        right, height = max(right, end + 28), height + LEGEND
    key, end = legend(picture, 28.0, height - 6)
    if key:
        parts.append(key)
        right, height = max(right, end), height + KEY
    room = max(right - 56, 400.0)
    lines = [line for remark in _remarks(picture) for line in words.wrap(remark, BOLD, room)]
    for k, line in enumerate(lines):
        parts.append(f'<text class="callout" x="28" y="{num(height + 8 + k * LINE)}">{escape(line)}</text>\n')
    if lines:
        right, height = max(right, room + 56), height + 8 + LINE * len(lines)
    return Content("".join(parts), right, height)


def _remarks(picture: Picture) -> list[str]:
    """What is said below the picture: the marks by number, and the worst box of a comparison."""
    diagram = picture.diagram
    remarks = [f"{k + 1}. {_place(picture, box)}: {text}" for k, (box, text) in enumerate(diagram.marks.items())]
    if diagram.heat is not None and not diagram.heat.flows and diagram.heat.sign == "error":
        box = worst(diagram.heat)
        if box is not None:
            value = words.number(diagram.heat.numbers[box])
            remarks.append(f"Worst: {_place(picture, box)}, relative error {value}")
    return remarks


def _place(picture: Picture, number: int) -> str:
    diagram = picture.diagram
    box = diagram.boxes[number]
    where = f" at {diagram.columns[box.column].title}" if box.column is not None else ""
    path = f" in {words.clean(box.path)}" if box.path and box.kind != "module" else ""
    return f"{box.title}{path}{where}"
