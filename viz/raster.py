"""PNG and PDF, by a library that is installed for it: extra `picture`. Everything else needs none."""

from __future__ import annotations

from typing import Any


def rasterise(svg: str, suffix: str, scale: float = 2.0) -> bytes:
    """`svg` as a PNG with `scale` pixels a unit, or as a PDF.

    svg: in one theme, "light" or "dark". Raises ImportError with the ways out if no library that can do it is there.
    """
    vl_convert = _module("vl_convert")
    if vl_convert is not None:
        return vl_convert.svg_to_png(svg, scale=scale) if suffix == ".png" else vl_convert.svg_to_pdf(svg)
    cairosvg = _module("cairosvg")
    if cairosvg is not None:
        convert = cairosvg.svg2png if suffix == ".png" else cairosvg.svg2pdf
        return convert(bytestring=svg.encode(), scale=scale if suffix == ".png" else 1.0)
    raise ImportError(
        f"Drawing.save: {suffix} needs a library that turns SVG into it, and none is installed. Ways out: "
        f"pip install vl-convert-python (brings all it needs); pip install cairosvg (needs the system's cairo); or "
        f"save an .svg and let a browser print it."
    )


def _module(name: str) -> Any:
    try:
        return __import__(name)
    except (ImportError, OSError):  # OSError: cairosvg without the system's cairo
        return None
