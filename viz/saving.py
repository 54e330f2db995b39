"""What every drawing can do with its text: be saved by suffix, and be shown in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygrad_rnn.files import replace

from .raster import rasterise


class Shown:
    """Something with `.svg` and `.text`. formats: suffix -> the attribute that holds the text of that format."""

    formats = {".svg": "svg", ".txt": "text"}
    svg: Any
    text: Any

    def flat(self) -> str:
        """The SVG in one theme, for formats that know no reader's system."""
        raise NotImplementedError

    def save(self, path: str | Path) -> Path:
        """Write the drawing to `path`, whole or not at all, in the format that its suffix names. Returns the path.

        Raises ValueError for an unknown suffix, ImportError where .png or .pdf need a library that is not installed,
        OSError where it cannot be written; what was there before is then untouched.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        writers: dict[str, Callable[[], bytes]] = {
            **{s: lambda name=name: getattr(self, name).encode() for s, name in self.formats.items()},
            ".png": lambda: rasterise(self.flat(), ".png"),
            ".pdf": lambda: rasterise(self.flat(), ".pdf"),
        }
        if suffix not in writers:
            raise ValueError(f"Drawing.save: {path.name!r} ends in none of {', '.join(writers)}. Choose one of them.")
        replace(path, writers[suffix]())
        return path

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.text}
