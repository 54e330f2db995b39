"""Names, numbers and widths: how things are written in a picture."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

# Advance widths of Helvetica and Arial in thousandths of the font size (Adobe Core 14 metrics); others count as wide.
_NARROW = {**dict.fromkeys("ijl'|", 222), **dict.fromkeys(" .,:;!/tfI[]·", 290), **dict.fromkeys('r()-`"', 340)}
_WIDE = {
    **dict.fromkeys("mMW%@", 880),
    **dict.fromkeys("ABEKPSVXYwCDHNRUGOQ&", 722),
    **dict.fromkeys("JTFZL_ckszvxy", 556),
}
_WIDTHS = {**_NARROW, **_WIDE}


def width(text: str, size: float) -> float:
    """An upper estimate of how wide `text` is when set in a sans-serif face of `size` pixels."""
    total = 0
    for sign in text:
        known = _WIDTHS.get(sign)
        total += known if known is not None else 556 if sign < "\u0250" else 1000 if sign > "\u2e80" else 600
    return total * size / 1000


def shorten(text: str, size: float, room: float) -> str:
    """`text`, or its beginning and an ellipsis, so that it fits into `room` pixels."""
    if width(text, size) <= room:
        return text
    while text and width(text + "…", size) > room:
        text = text[:-1]
    return text + "…"


def wrap(text: str, size: float, room: float) -> list[str]:
    """`text` in lines of at most `room` pixels, broken at blanks."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(shorten(word, size, room))
    return lines


def clean(text: Any) -> str:
    """`text` as one line of visible signs: control signs, line breaks and surrogates become blanks or go."""
    text = str(text)
    if text.isprintable() and "  " not in text and text == text.strip():
        return text
    out = []
    for sign in text:
        kind = unicodedata.category(sign)
        if kind in ("Cc", "Zl", "Zp"):
            out.append(" ")
        elif kind not in ("Cf", "Cs", "Cn", "Co"):
            out.append(sign)
    return " ".join("".join(out).split())


def shape(sizes: tuple[int, ...]) -> str:
    """(5, 2, 8) as "5×2×8"; a scalar as "scalar"."""
    return "×".join(map(str, sizes)) if sizes else "scalar"


def count(n: int, noun: str, nouns: str = "") -> str:
    """ "1 step", "5 steps"; `nouns` where the plural takes more than an s."""
    return f"{n} {noun if n == 1 else nouns or noun + 's'}"


def octets(count: int) -> str:
    """A number of bytes in B, kB, MB or GB (powers of 1000)."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}" if unit != "B" else f"{count} B"
        value /= 1000
    return f"{value:.3g} GB"


def number(value: float) -> str:
    """Three digits, the same on every machine: 0.125, 1.2e-9, NaN, ∞."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
