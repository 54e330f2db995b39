"""Which way an edge takes between rows and columns, decided once for all edges between the same roles.

An edge goes straight up where nothing is in the way. Else it takes a *lane*, a vertical line in the free room right
of a column, and *tracks*, horizontal lines in the free room between two rows. Edges that come from the same place
share them.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from .block import Key
from .rows import Unit
from .templates import Template

LANES, TRACKS = 12, 14
"""More than so many parallel lines are drawn on top of each other: nobody could follow them anyway."""


@dataclass
class Way:
    """The way of an edge. straight: at which end it can go up without a lane: "source", "target" or "" (needs `lane`).

    lane: number of its lane, or -1. low, high: track in the gap above the source's row and below the target's, or -1.
    """

    straight: str = ""
    lane: int = -1
    low: int = -1
    high: int = -1


class Wires:
    """The ways taken so far, and with them how many lanes and tracks there must be room for.

    tracks: for each gap (number of the row below it) its tracks, uppermost first.
    """

    def __init__(self, templates: list[Template], offset: dict[int, float], rows: int) -> None:
        self.templates = templates
        self.offset = offset
        self.in_row: list[list[Unit]] = [[] for _ in range(rows)]
        for template in templates:
            self.in_row[template.unit.row].append(template.unit)
        self.tracks: dict[int, dict[Hashable, int]] = {}
        self.lanes: list[list[tuple[int, int]]] = []
        self._lane_of: dict[Hashable, int] = {}
        self._ways: dict[Hashable, Way] = {}

    def track(self, gap: int, key: Hashable) -> int:
        """A horizontal line above row `gap`, the same for equal keys."""
        known = self.tracks.setdefault(gap, {})
        return known.setdefault(key, len(known) % TRACKS)

    def lane(self, key: Hashable, low: int, high: int) -> int:
        """A vertical line beside a column, from row `low` to row `high`, the same for equal keys."""
        number = self._lane_of.get(key)
        if number is None:
            free = (k for k, taken in enumerate(self.lanes) if all(high < a or b < low for a, b in taken))
            number = next(free, len(self.lanes) % LANES)
            if number == len(self.lanes):
                self.lanes.append([])
            self._lane_of[key] = number
            self.lanes[number].append((low, high))
        return number

    def sideways(
        self, row: int, target_row: int, source: Hashable, columns: tuple[int, int], adjacent: bool, aligned: bool
    ) -> Way:
        """The way of a state: straight on, or by a lane to another height, or over the columns in between.

        columns: where it starts and ends. adjacent: whether the second follows the first in the direction of the state.
        Of those that pass over columns, neighbours take different tracks.
        """
        phase = 0 if adjacent else columns[0] % min(max(2, abs(columns[0] - columns[1])), 4)
        key = ("side", row, target_row, source, adjacent, aligned, phase)
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = Way()
            low, high = min(row, target_row), max(row, target_row)
            if not adjacent:
                far = (source, "far", phase)
                way.lane, way.low = self.lane(far, low, high + 1), self.track(row, far)
            elif not aligned:
                way.lane = self.lane((source, "state"), low, high)
        return way

    def upwards(
        self, source: Unit | int, target: Unit, key: Key, target_key: Key, x1: float, x2: float, column: bool
    ) -> Way:
        """The way from the top of one unit to the bottom of another. x1, x2: places relative to the middle of the
        column.

        source: a unit, or just its row. column: whether both ends are in the same column.
        """
        row = source if isinstance(source, int) else source.row
        source_number = -1 if isinstance(source, int) else source.number
        ident = ("up", source_number, row, target.number, key, target_key, column)
        way = self._ways.get(ident)
        if way is not None:
            return way
        way = self._ways[ident] = Way()
        between = range(row + 1, target.row)
        if target.row <= row:
            way.lane = self.lane((source_number, key), target.row - 1, row + 1)
            way.low, way.high = (
                self.track(row, (source_number, key)),
                self.track(target.row - 1, (target.number, target_key)),
            )
            return way
        if all(self._free(r, x1) for r in between):
            way.straight = "source"
        elif column and all(self._free(r, x2) for r in between):
            way.straight = "target"
        else:
            way.lane = self.lane((source_number, key), row, target.row)
        if not column:
            if target.timed:
                way.low = self.track(row, (source_number, key))
            else:
                way.high = self.track(target.row - 1, (target.number, key, target_key))
        return way

    def to_bar(self, source: Unit, target: Unit, key: Key, x: float) -> Way:
        """The way up into a bar, or out of one: straight at x, or by a lane where other rows are in between."""
        ident = ("bar", source.number, target.number, key)
        way = self._ways.get(ident)
        if way is None:
            way = self._ways[ident] = Way(straight="bar")
            if not all(self._free(r, x) for r in range(source.row + 1, target.row)):
                way.lane = self.lane((source.number, target.number, key), source.row, target.row)
        return way

    def _free(self, row: int, x: float) -> bool:
        """Whether a vertical line at x passes a row in every column."""
        for unit in self.in_row[row]:
            if not unit.timed:
                return False
            if abs(x - self.offset[unit.number]) < self.templates[unit.number].block.width / 2 + 6:
                return False
        return True
