"""Units on a grid: time steps are columns from left to right, units are rows from bottom to top.

`Grid` holds the measures; `place` puts the boxes of every column down, `route` draws the edges between them.
"""

from __future__ import annotations

from ..model import Box, Diagram, Edge
from .block import Block, Key
from .measure import initial_size
from .rows import Unit, in_gutter, is_input, sequences_between, starting, units
from .templates import templates
from .wires import Way, Wires

COLUMN_GAP, LANE, ROW_GAP, TRACK = 42.0, 9.0, 34.0, 9.0
"""Room between columns and rows, and what each further parallel line adds to it."""

ELIDED = (66.0, 34.0)
GUTTER_STEP = 31.0


class Grid:
    """Where rows and columns are.

    unit_of: the unit of a box id. beside: for a box id of an initial state, the unit and the column next to which it
    stands.
    x: the middle of each column, with one more on either side for initial states. offset: how far a unit stands from
    the middle.
    y: the middle of each row; height: of its tallest block. bars: numbers of the units that stretch over all columns.
    """

    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram
        self.gutter = in_gutter(diagram)
        initial, self.below = starting(diagram)
        self.units, self.unit_of = units(diagram, self.gutter | initial | self.below)
        between = sequences_between(diagram, self.units)
        if between:
            self.gutter |= between
            self.units, self.unit_of = units(diagram, self.gutter | initial | self.below)
        self.templates = templates(diagram, self.units, self.unit_of)
        self.beside = self._beside(initial)
        self.rows = max((u.row for u in self.units), default=-1) + 1
        self.offset = self._offsets()
        self.bars = self._bars()
        self.wires = Wires(self.templates, self.offset, self.rows)
        self.ways = self._plan()
        self._columns()
        self._islands()
        self._heights()
        self._tracks()

    def _beside(self, initial: set[int]) -> dict[int, tuple[Unit, int, list[tuple[Key, int]]]]:
        """For each initial state its unit, its column, and the (box, state) it enters."""
        found: dict[int, tuple[Unit, int, list[tuple[Key, int]]]] = {}
        for edge in self.diagram.edges:
            if edge.source.id in initial and edge.target.column is not None:
                unit = self.unit_of[edge.target.id]
                step = -1 if self.templates[unit.number].right else 1
                column = edge.target.column + step
                while column in unit.columns:
                    column += step
                entry = found.setdefault(edge.source.id, (unit, column, []))
                entry[2].append((edge.target.role, edge.state))
        return found

    def _offsets(self) -> dict[int, float]:
        """Units of a row stand side by side: the first in the middle, the others to its right."""
        offset = dict.fromkeys(range(len(self.units)), 0.0)
        edge: dict[int, float] = {}
        for unit in sorted((u for u in self.units if u.timed), key=lambda u: (u.row, u.slot)):
            half = self.templates[unit.number].block.width / 2
            if unit.slot:
                offset[unit.number] = edge[unit.row] + 16 + half
            edge[unit.row] = offset[unit.number] + half
        return offset

    def _bars(self) -> set[int]:
        """Islands of one box that touch many columns and that no edge has to pass."""
        spans = set()
        touched: dict[int, set[int]] = {}
        for edge in self.diagram.edges:
            a, b = self.unit_of.get(edge.source.id), self.unit_of.get(edge.target.id)
            if a is None or b is None:
                if b is not None and edge.source.id in self.beside:
                    spans.add((self.beside[edge.source.id][0].row, b.row))
                continue
            if a.timed or b.timed:
                spans.add((min(a.row, b.row), max(a.row, b.row)))
            for one, other in ((a, edge.target), (b, edge.source)):
                if not one.timed and other.column is not None:
                    touched.setdefault(one.number, set()).add(other.column)
        return {
            u.number
            for u in self.units
            if len(u.boxes) == 1 and len(touched.get(u.number, ())) > 2 and not any(a < u.row < b for a, b in spans)
        }

    def _plan(self) -> list[Way | None]:
        return [None if edge.source.id in self.gutter else self._way(edge) for edge in self.diagram.edges]

    def _way(self, edge: Edge) -> Way | None:
        source, target = edge.source, edge.target
        su, tu = self.unit_of.get(source.id), self.unit_of.get(target.id)
        if source.id in self.below:
            return None
        if tu is None:  # into an initial state: it is reached from below
            if target.id not in self.beside or su is None:
                return None
            return Way(low=self.wires.track(su.row, (su.number, source.role)))
        if su is tu and (edge.state < 0 or not tu.timed):
            return None
        if su is not None and su.above:
            return Way(straight="down")
        st = self.templates[tu.number]
        if su is None:
            if source.id not in self.beside:
                return None
            unit, column, entries = self.beside[source.id]
            if target.column is not None:
                level = unit is tu and target.role == entries[0][0]
                adjacent = target.column - column == (1 if st.right else -1)
                columns = (column, target.column)
                return self.wires.sideways(unit.row, tu.row, source.id, columns, adjacent, level)
            return self.wires.upwards(unit.row, tu, source.role, target.role, 0.0, 0.0, False)
        ss = self.templates[su.number]
        if edge.state >= 0 and source.column is not None and target.column is not None:
            y1, y2 = ss.state_at(source.role, edge.state, True), st.state_at(target.role, edge.state, False)
            hidden = source.kind == "elided" or target.kind == "elided"
            level = su is tu and (hidden or y1 == y2)
            columns = (source.column, target.column)
            adjacent = ss.right == st.right and columns[1] - columns[0] == (1 if st.right else -1)
            return self.wires.sideways(su.row, tu.row, (su.number, edge.state), columns, adjacent, level)
        x1 = self.offset[su.number] + leaving_x(ss.block, source.role)
        x2 = self.offset[tu.number] + entering_x(st.block, source.role, target.role)
        if su.number in self.bars or tu.number in self.bars:
            x = x1 if tu.number in self.bars else x2
            return self.wires.to_bar(su, tu, source.role if tu.number in self.bars else target.role, x)
        column = source.column is not None and source.column == target.column
        return self.wires.upwards(su, tu, source.role, target.role, x1, x2, column)

    def block(self, box: Box) -> Block:
        """The block that a box is part of: its template, or what stands for steps left out."""
        unit = self.unit_of[box.id]
        template = self.templates[unit.number]
        return self.elided[unit.number] if box.kind == "elided" else template.block

    def _columns(self) -> None:
        """Widths and places of the columns."""
        self.elided: dict[int, Block] = {}
        for template in self.templates:
            heights = [y for b in (template.block.left, template.block.right) for y in b.values()]
            if template.block.single:
                tall = max(ELIDED[1], template.block.height)
            else:
                tall = max([ELIDED[1], *(2 * abs(y) + 24 for y in heights)])
            width = ELIDED[0]
            self.elided[template.unit.number] = Block(
                width, tall, {("…", template.unit.number): (0.0, 0.0, width, tall)}, single=True
            )
        n = len(self.diagram.columns)
        left, right = [0.0] * (n + 2), [0.0] * (n + 2)
        for unit in self.units:
            block, o = self.templates[unit.number].block, self.offset[unit.number]
            for c in unit.columns:
                half = self.elided[unit.number].width / 2 if self.diagram.columns[c].hidden else block.width / 2
                o_c = 0.0 if self.diagram.columns[c].hidden and not unit.slot else o
                left[c + 1], right[c + 1] = max(left[c + 1], half - o_c), max(right[c + 1], half + o_c)
        self.sizes = {box: initial_size(self.diagram.boxes[box]) for box in self.below | set(self.beside)}
        for box_id, (_, c, _) in self.beside.items():
            half = self.sizes[box_id][0] / 2
            left[c + 1], right[c + 1] = max(left[c + 1], half), max(right[c + 1], half)
        gap = COLUMN_GAP + LANE * len(self.wires.lanes)
        self.x = []
        self.left_of: list[float] = []
        self.right_of: list[float] = []
        at = 0.0
        for c in range(n + 2):
            empty = left[c] + right[c] == 0
            self.left_of.append(at)
            at += left[c]
            self.x.append(at)
            at += right[c]
            self.right_of.append(at)
            if c < n + 1 and not empty:
                at += gap
        self.gap = gap
        self.span = (self.left_of[1], self.right_of[n]) if n else (0.0, 0.0)

    def _islands(self) -> None:
        """Where islands stand: over the columns they touch, or right of everything if they would be in the way."""
        self.island_x: dict[int, float] = {}
        near: dict[int, list[float]] = {}
        for edge in self.diagram.edges:
            for one, other in ((edge.source, edge.target), (edge.target, edge.source)):
                unit = self.unit_of.get(one.id)
                if unit is None or unit.timed:
                    continue
                if other.column is not None:
                    block = self.templates[unit.number].block
                    shift = (
                        entering_x(block, other.role, one.role) if one is edge.target else leaving_x(block, one.role)
                    )
                    near.setdefault(unit.number, []).append(self.x[other.column + 1] - shift)
                elif other.id in self.beside:
                    near.setdefault(unit.number, []).append(self.x[self.beside[other.id][1] + 1])
        middle = (self.span[0] + self.span[1]) / 2
        spans, to_bars = self._passing_rows()
        beyond = self.right_of[-1] + self.gap
        for unit in self.units:
            if unit.timed:
                continue
            wish = near.get(unit.number)
            x = sum(wish) / len(wish) if wish else middle
            block = self.templates[unit.number].block
            if unit.number in self.bars:
                key = unit.boxes[0].role
                width = max(self.span[1] - self.span[0], block.width)
                x = (self.span[0] + self.span[1]) / 2
                block.width = width
                block.places[key] = (0.0, 0.0, width, block.height)
            elif any(a < unit.row < b for a, b in to_bars):
                x = beyond + block.width / 2
            elif any(a < unit.row < b for a, b in spans):
                c = min(range(len(self.x)), key=lambda k: abs(self.x[k] - x))
                x = self.x[c]
                if block.width > self.right_of[c] - self.left_of[c] + 8:
                    x = beyond + block.width / 2
            self.island_x[unit.number] = x

    def _passing_rows(self) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
        """Pairs of rows that edges of columns join, and those of them where one is a bar."""
        spans: set[tuple[int, int]] = set()
        to_bars: set[tuple[int, int]] = set()
        for edge in self.diagram.edges:
            a, b = self.unit_of.get(edge.source.id), self.unit_of.get(edge.target.id)
            if a is not None and b is not None and (a.timed or b.timed):
                joins = spans if a.number not in self.bars and b.number not in self.bars else to_bars
                joins.add((min(a.row, b.row), max(a.row, b.row)))
        return spans, to_bars

    def _heights(self) -> None:
        """Heights and places of the rows, from below; y grows downwards."""
        self.height = [0.0] * self.rows
        for template in self.templates:
            r = template.unit.row
            self.height[r] = max(self.height[r], template.block.height)
        shared: dict[int, set[int]] = {}
        for edge in self.diagram.edges:
            if edge.source.id in self.gutter and edge.target.id in self.unit_of:
                unit = self.unit_of[edge.target.id]
                known = shared.setdefault(unit.row, set())
                known.add(edge.source.id)
                if not self.threads(unit.row):
                    self.wires.track(unit.row - 1, ("bus", edge.source.id))
        self.y: list[float] = []
        self.gap_top: dict[int, float] = {}
        level = 0.0
        for r in range(self.rows):
            room = max(self.height[r], GUTTER_STEP * len(shared.get(r, ())))
            below = TRACK * len(self.wires.tracks.get(r - 1, ()))
            level -= ROW_GAP + below if r or below else 0.0
            self.y.append(level - room / 2)
            self.gap_top[r - 1] = self.y[r] + self.height[r] / 2
            level -= room
        if self.rows:
            self.gap_top[self.rows - 1] = level - ROW_GAP - TRACK * len(self.wires.tracks.get(self.rows - 1, ()))
        self.top_y = level

    def _tracks(self) -> None:
        """Heights of the tracks; buses of parameters are nearest to the row that they serve."""
        self.track_y: dict[tuple[int, int], float] = {}
        self.bus_y: dict[tuple[int, int], float] = {}
        for gap, keys in self.wires.tracks.items():
            buses = [key for key in keys if isinstance(key, tuple) and key[0] == "bus"]
            others = [key for key in keys if key not in set(buses)]
            for place, key in enumerate(buses + others):
                y = self.gap_top[gap] + 15 + TRACK * place
                self.track_y[gap, keys[key]] = y
                if place < len(buses):
                    self.bus_y[gap, key[1]] = y  # type: ignore[index]

    def threads(self, row: int) -> bool:
        """Whether the shared parameters of a row run through its boxes as one light line."""
        members = self.wires.in_row[row]
        if len(members) != 1 or not members[0].timed or is_input(self.diagram, members[0].boxes[0]):
            return False
        return self.templates[members[0].number].block.single


def leaving_x(block: Block, key: Key) -> float:
    """Where, relative to its middle, a value leaves a block upwards."""
    route = block.leaving.get(key)
    return route[-1][0] if route else 0.0


def entering_x(block: Block, source: Key, target: Key) -> float:
    """Where, relative to its middle, a value enters a block from below."""
    route = block.entering.get((source, target))
    return route[0][0] if route else 0.0
