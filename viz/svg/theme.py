"""Colours, light and dark. Text on any ground has a contrast of at least 4.5 to 1; a test computes them all."""

from __future__ import annotations

LIGHT = {
    "ground": "#ffffff",
    "band": "#f5f7fa",
    "text": "#1b1f24",
    "muted": "#4f5a66",
    "line": "#57626e",
    "faint": "#c3cad2",
    "module": "#e7effd",
    "module line": "#2458ad",
    "op": "#f3f5f8",
    "op line": "#66717d",
    "parameter": "#fff3dc",
    "parameter line": "#9a6700",
    "bus": "#d9b56a",
    "input": "#e8f6ec",
    "input line": "#1f7a3d",
    "constant": "#ffffff",
    "state": "#2458ad",
    "backward": "#b3125e",
    "mark": "#b42318",
    "gate": "#ece6fb",
    "gate line": "#6b46c1",
}

DARK = {
    "ground": "#0f141a",
    "band": "#161d26",
    "text": "#e8edf3",
    "muted": "#a7b3c0",
    "line": "#93a0ae",
    "faint": "#3b4654",
    "module": "#182a47",
    "module line": "#7fb0ff",
    "op": "#1d252f",
    "op line": "#8695a5",
    "parameter": "#33280f",
    "parameter line": "#e0ac4a",
    "bus": "#7d6530",
    "input": "#122c1c",
    "input line": "#5cc57e",
    "constant": "#0f141a",
    "state": "#7fb0ff",
    "backward": "#ff7fb4",
    "mark": "#ff8a7a",
    "gate": "#2a2144",
    "gate line": "#b79cff",
}

# Viridis, readable by the colour-blind and in grey: N. Smith and S. van der Walt, "A better default colormap for
# Matplotlib" (2015, public domain), nine samples.
VIRIDIS = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")

SHADES = 257
"""So many colours look smooth, and thousands of bars are drawn as few paths. The samples are among them."""


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2.1)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    r, g, b = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, from 1 to 21 (WCAG 2.1)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def heat(share: float) -> str:
    """The colour of the scale at `share` between 0 and 1, one of `SHADES`."""
    place = round(min(max(share, 0.0), 1.0) * (SHADES - 1)) / (SHADES - 1) * (len(VIRIDIS) - 1)
    k = min(int(place), len(VIRIDIS) - 2)
    mix = place - k
    low, high = VIRIDIS[k], VIRIDIS[k + 1]
    parts = [round(int(low[i : i + 2], 16) * (1 - mix) + int(high[i : i + 2], 16) * mix) for i in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)


def ink(ground: str) -> str:
    """Black or white, whichever is better to read on `ground`."""
    return "#ffffff" if contrast("#ffffff", ground) >= contrast("#000000", ground) else "#000000"
