"""Two or more drawings under each other on one scale: an RNN beside an LSTM, a run beside another."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from .drawing import Drawing
from .model.heat import share_scale
from .saving import Shown
from .svg import check_theme, write_all


class Comparison(Shown):
    """Drawings by name, one below the other. Colours, widths and bars of all mean the same."""

    def __init__(self, drawings: Mapping[str, Drawing], theme: str, title: str) -> None:
        self.drawings = dict(drawings)
        self.theme = theme
        self.title = title

    @functools.cached_property
    def svg(self) -> str:
        """An SVG document: no scripts, nothing from outside."""
        return self._svg(self.theme)

    def flat(self) -> str:
        """The SVG, light unless dark was asked for."""
        return self._svg("dark" if self.theme == "dark" else "light")

    def _svg(self, theme: str) -> str:
        pictures = [(name, drawing.picture) for name, drawing in self.drawings.items()]
        return write_all(pictures, theme, self.title, self.summary)

    @property
    def summary(self) -> str:
        """Of each drawing a sentence, and where gradients were measured what became of them."""
        parts = []
        for name, drawing in self.drawings.items():
            parts.append(f"{name}: {drawing.summary}")
            heat = drawing.diagram.heat
            for flow in heat.flows if heat is not None else ():
                fate = flow.verdict or "neither vanishing nor exploding"
                first, last = flow.ends
                ratio = f"ratio {flow.ratio:.2g}, the norm at t = {last} over that at t = {first}"
                parts.append(f"{flow.name}: {fate}, {ratio}.")
        return " ".join(parts)

    @property
    def text(self) -> str:
        """The tables of all drawings."""
        return "\n".join(f"{name}\n{drawing.text}" for name, drawing in self.drawings.items())


def compare(drawings: Mapping[str, Drawing], *, theme: str = "auto", title: str = "Comparison") -> Comparison:
    """Put drawings under each other on one scale.

    drawings: by the name that stands over each; made by `draw`, with gradients=True or errors=... to be comparable.
    Returns a `Comparison` with `.svg`, `.text` and `.save(path)`. Raises ValueError if there is nothing to compare.
    """
    check_theme(theme)
    if not drawings:
        raise ValueError(
            "viz.compare: expected drawings by name, such as {'RNN': draw(...), 'LSTM': draw(...)}; got none."
        )
    measured = [drawing.diagram for drawing in drawings.values() if drawing.diagram.heat is not None]
    if measured:
        share_scale(*measured)
    return Comparison(drawings, theme, title)
