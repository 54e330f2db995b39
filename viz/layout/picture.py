"""The picture with places: what the writers draw."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..model import Box, Column, Diagram, Edge
from .block import Frame, Route


@dataclass
class Placed:
    """A box and where it is: x, y its middle."""

    box: Box
    x: float
    y: float
    width: float
    height: float


@dataclass
class Wire:
    """An edge and its points. Two that follow lie above each other, side by side, or are joined by a smooth step."""

    edge: Edge
    points: Route


@dataclass
class Bus:
    """A shared parameter's light line. points: from its box to the last reader; taps: where it enters a box, as (x, y,
    top).
    """

    box: Box
    points: list[Route]
    taps: list[Route]
    targets: list[int]


@dataclass
class Band:
    """A column: where it is and what it stands for."""

    column: Column
    x: float
    width: float


@dataclass
class Picture:
    """Everything with places, the upper left corner at the origin. top, bottom: where the columns begin and end."""

    diagram: Diagram
    width: float = 0.0
    height: float = 0.0
    top: float = 0.0
    bottom: float = 0.0
    placed: list[Placed] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    buses: list[Bus] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)

    def move(self, dx: float, dy: float) -> None:
        """Shift everything."""
        for placed in self.placed:
            placed.x, placed.y = placed.x + dx, placed.y + dy
        for wire in self.wires:
            wire.points = [(x + dx, y + dy) for x, y in wire.points]
        for bus in self.buses:
            bus.points = [[(x + dx, y + dy) for x, y in route] for route in bus.points]
            bus.taps = [[(x + dx, y + dy) for x, y in route] for route in bus.taps]
        for band in self.bands:
            band.x += dx
        for frame in self.frames:
            frame.x, frame.y = frame.x + dx, frame.y + dy
        self.top, self.bottom = self.top + dy, self.bottom + dy
