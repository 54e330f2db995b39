"""SVG documents: escaping, and the head that every picture has."""

from __future__ import annotations

import zlib
from typing import NamedTuple

from ..model import words
from . import style
from .path import num

THEMES = ("auto", "light", "dark")


class Content(NamedTuple):
    """Elements and the room they take, from the upper left corner."""

    body: str
    width: float
    height: float


def escape(text: str) -> str:
    """`text` for XML content and attributes."""
    for sign, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("'", "#39")):
        text = text.replace(sign, f"&{name};")
    return text


def check_theme(theme: str) -> None:
    """Raise ValueError for a theme that there is not."""
    if theme not in THEMES:
        raise ValueError(f"viz.draw: theme={theme!r} is none of {', '.join(map(repr, THEMES))}.")


def document(content: Content, theme: str, title: str, summary: str, live: bool = False) -> str:
    """A whole SVG document.

    theme: "light", "dark", or "auto" to follow the reader's system. title, summary: what a screen reader says.
    live: for a page with a script, which brings the style.
    """
    wide, high = num(max(content.width, 300)), num(content.height)
    ident = style.PAGE if live else f"g{zlib.crc32((content.body + theme).encode()):08x}"
    sheet = "" if live else f"<style>{style.sheet(ident, theme)}</style>\n"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" '
        f'class="{ident}" role="img" aria-labelledby="{ident}title {ident}desc">\n'
        f'<title id="{ident}title">{escape(words.clean(title))}</title>\n'
        f'<desc id="{ident}desc">{escape(words.clean(summary))}</desc>\n'
        f'{sheet}<defs>{style.markers(ident)}</defs>\n<rect class="ground" width="{wide}" height="{high}"/>\n'
        f"{content.body}</svg>\n"
    )
