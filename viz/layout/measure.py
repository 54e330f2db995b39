"""How large boxes are: from what is written in them."""

from __future__ import annotations

from ..model import Box, words

TEXT, SMALL = 12.5, 10.5
"""Font sizes in pixels: titles, and everything under them."""

WIDEST = 190.0
"""Longer texts are cut; the tooltip has all of them."""


def size(box: Box, states: int = 1) -> tuple[float, float]:
    """Width and height of a box. states: how many states travel through it to the next step."""
    title = min(WIDEST, words.width(box.title, TEXT))
    detail = min(WIDEST, words.width(box.detail, SMALL))
    note = 0.0 if not box.note else min(WIDEST, words.width(box.note, SMALL)) + 20
    extra = 13.0 if box.note else 0.0
    if box.kind == "module":
        return max(96.0, title + 28, detail + 28, note), 58.0 + 26 * (states - 1) + extra
    if box.kind == "parameter":
        return gutter_size(box)
    if box.kind == "constant":
        return max(26.0, title + 16), 24.0
    if box.kind == "elided":
        return 64.0, 34.0
    return max(44.0, title + 20, detail + 20, note), 38.0 + extra


def gutter_size(box: Box) -> tuple[float, float]:
    """Width and height of a box in the gutter: one line."""
    title = min(WIDEST, words.width(box.title, TEXT))
    detail = min(WIDEST, words.width(box.detail, SMALL)) + (words.width(f" {box.note}", SMALL) if box.note else 0.0)
    return title + detail + 34, 26.0


def initial_size(box: Box) -> tuple[float, float]:
    """Width and height of an initial state: one line, so that two of them fit beside a cell."""
    title = min(WIDEST, words.width(box.title, TEXT))
    detail = min(WIDEST, words.width(box.detail, SMALL))
    return title + detail + 28, 24.0
