"""The points of each edge, once rows and columns have places."""

from __future__ import annotations

from ..model import Box, Edge
from .block import Block, Key, Route
from .grid import Grid
from .rows import Unit
from .wires import Way


class Router:
    """Turns the way of an edge into points. centre: the middle of the block of each box."""

    def __init__(self, grid: Grid, centre: dict[int, tuple[float, float]]) -> None:
        self.grid = grid
        self.centre = centre

    def route(self, edge: Edge, way: Way | None) -> Route:
        """The points of an edge from its source to its target."""
        grid, source, target = self.grid, edge.source, edge.target
        su, tu = grid.unit_of.get(source.id), grid.unit_of.get(target.id)
        if source.id in grid.below:
            return self._from_below(edge)
        if way is None:
            x, y = self.centre[source.id]
            assert su is not None
            inner = grid.templates[su.number].block.inner.get((source.role, target.role), [])
            return [(x + px, y + py) for px, py in inner]
        if tu is None:
            return self._into_initial(edge, way)
        if source.id in grid.beside:
            return self._sideways(edge, way) if target.column is not None else self._from_initial(edge, way, tu)
        assert su is not None
        if edge.state >= 0 and source.column is not None and target.column is not None:
            return self._sideways(edge, way)
        return self._upwards(edge, way, su, tu)

    def _out(self, box: Box) -> Route:
        """From a box to the upper edge of its row."""
        grid = self.grid
        x, y = self.centre[box.id]
        unit, block = grid.unit_of[box.id], grid.block(box)
        route = block.leaving.get(box.role) or [(0.0, -block.height / 2)]
        points = [(x + px, y + py) for px, py in route]
        return [*points, (points[-1][0], grid.y[unit.row] - grid.height[unit.row] / 2)]

    def _into(self, block: Block, unit: Unit, source: Key, target: Box) -> Route:
        """From the lower edge of its row into a box."""
        grid = self.grid
        x, y = self.centre[target.id]
        route = block.entering.get((source, target.role))
        if route is None and target.kind != "elided":
            route = next((r for (_, key), r in block.entering.items() if key == target.role), None)
        points = [(x + px, y + py) for px, py in route or [(0.0, block.height / 2)]]
        return [(points[0][0], grid.y[unit.row] + grid.height[unit.row] / 2), *points]

    def _upwards(self, edge: Edge, way: Way, su: Unit, tu: Unit) -> Route:
        grid = self.grid
        if way.straight == "down":
            return self._down(edge)
        out, into = self._out(edge.source), self._into(grid.block(edge.target), tu, edge.source.role, edge.target)
        if way.straight == "bar":
            return self._bar(edge, way, out, into, su)
        x1, x2 = out[-1][0], into[0][0]
        column = edge.source.column if edge.source.column is not None else edge.target.column
        lane = self.lane_x(column, way.lane)
        low = grid.track_y.get((su.row, way.low))
        high = grid.track_y.get((tu.row - 1, way.high))
        return _tidy([*out, *self._between(x1, x2, lane, low, high, su.row, tu.row, way), *into])

    def _down(self, edge: Edge) -> Route:
        """From above into the upper side of a box."""
        grid = self.grid
        (x1, y1), (x2, y2) = self.centre[edge.source.id], self.centre[edge.target.id]
        above, below = grid.block(edge.source), grid.block(edge.target)
        start, end = y1 + above.height / 2, y2 - below.height / 2
        if grid.unit_of[edge.source.id].number in grid.bars:
            return [(x2, start), (x2, end)]
        x2 += min(max(x1 - x2, -0.3 * below.width), 0.3 * below.width)
        row, target = grid.unit_of[edge.source.id].row, grid.unit_of[edge.target.id].row
        low, high = grid.y[row] + grid.height[row] / 2, grid.y[target] - grid.height[target] / 2
        return _tidy([(x1, start), (x1, low), (x2, high), (x2, end)])

    def _between(
        self,
        x1: float,
        x2: float,
        lane: float,
        low: float | None,
        high: float | None,
        row: int,
        target_row: int,
        way: Way,
    ) -> Route:
        grid = self.grid
        upper = grid.gap_top[row]
        floor = grid.y[target_row - 1] - grid.height[target_row - 1] / 2 if target_row else grid.y[0]
        if target_row <= row and low is not None and high is not None:
            return [(x1, low), (lane, low), (lane, high), (x2, high)]
        if low is not None:  # out of an island: along the track, then up the column
            x = lane if way.lane >= 0 else x2
            return [(x1, low), (x, low), (x, floor)] if target_row > row + 1 else [(x1, low), (x2, low)]
        if high is not None:  # up the column, then along the track into an island
            return [(lane, upper), (lane, high), (x2, high)] if way.lane >= 0 else [(x1, high), (x2, high)]
        if target_row == row + 1:
            return []
        x = lane if way.lane >= 0 else x2 if way.straight == "target" else x1
        return [(x, upper), (x, floor)]

    def _bar(self, edge: Edge, way: Way, out: Route, into: Route, su: Unit) -> Route:
        """Straight up into a bar, or out of one."""
        grid = self.grid
        from_bar = su.number in grid.bars
        to_bar = grid.unit_of[edge.target.id].number in grid.bars
        if from_bar and not to_bar:
            low, high = grid.span
            if way.lane >= 0:
                x = self.lane_x(edge.target.column, way.lane)
                return _tidy([(min(x, high - 8), out[0][1]), (x, into[0][1] + 16), *into])
            x = min(max(into[0][0], low + 8), high - 8)
            return _tidy([(x, out[0][1]), (x, out[-1][1]), *into])
        if to_bar and not from_bar:
            low, high = grid.span
            if way.lane >= 0:
                x = self.lane_x(edge.source.column, way.lane)
                gap = grid.gap_top[su.row]
                end = min(x, high - 8)
                return _tidy([*out, (x, gap), (x, into[0][1] + 16), (end, into[0][1]), (end, into[-1][1])])
            x = min(max(out[-1][0], low + 8), high - 8)
            return _tidy([*out, (x, into[0][1]), (x, into[-1][1])])
        return _tidy([*out, *into])

    def _sideways(self, edge: Edge, way: Way) -> Route:
        grid, source, target = self.grid, edge.source, edge.target
        x1, y1, w1 = self._side(edge, True)
        x2, y2, w2 = self._side(edge, False)
        into = grid.templates[grid.unit_of[target.id].number].right
        out = into if source.id in grid.beside else grid.templates[grid.unit_of[source.id].number].right
        if source.kind == "elided":
            y1 = y2
        elif target.kind == "elided" or source.id in grid.beside:
            y2 = y2 if source.id in grid.beside else y1
            y1 = y2 if source.id in grid.beside and way.lane < 0 else y1
        start, end = x1 + (w1 if out else -w1), x2 - (w2 if into else -w2)
        if way.lane < 0:
            return (
                [(start, y1), (end, y2)]
                if y1 == y2
                else [(start, y1), ((start + end) / 2, y1), ((start + end) / 2, y2), (end, y2)]
            )
        c = self._column(source) - (0 if out else 1)
        lane = self.lane_x(c, way.lane)
        if way.low < 0:
            return _tidy([(start, y1), (lane, y1), (lane, y2), (end, y2)])
        other = self.lane_x(self._column(target) - (1 if into else 0), way.lane)
        track = grid.track_y[
            grid.unit_of[source.id].row if source.id in grid.unit_of else grid.beside[source.id][0].row, way.low
        ]
        return _tidy([(start, y1), (lane, y1), (lane, track), (other, track), (other, y2), (end, y2)])

    def _side(self, edge: Edge, leaving: bool) -> tuple[float, float, float]:
        """Middle, height and half width of the box that a state leaves or enters from the side."""
        grid, box = self.grid, edge.source if leaving else edge.target
        x, y = self.centre[box.id]
        if box.id in grid.beside:
            return x, y, grid.sizes[box.id][0] / 2
        template = grid.templates[grid.unit_of[box.id].number]
        if box.kind == "elided":
            dy = template.state_at(box.role, edge.state, leaving) if template.block.single else 0.0
            return x, y + (dy or 0.0), grid.elided[template.unit.number].width / 2
        dx, dy, w, _ = template.block.places[box.role]
        height = template.state_at(box.role, edge.state, leaving)
        return x + dx, y + (dy if height is None else height), w / 2

    def _into_initial(self, edge: Edge, way: Way) -> Route:
        """Up the initial column to a state that stands beside a cell."""
        grid = self.grid
        x, y = self.centre[edge.target.id]
        bottom = y + grid.sizes[edge.target.id][1] / 2
        out = self._out(edge.source)
        su = grid.unit_of[edge.source.id]
        row = grid.beside[edge.target.id][0].row
        low = grid.track_y.get((su.row, way.low), out[-1][1])
        lane = x - grid.sizes[edge.target.id][0] / 2 - 10
        if row == su.row + 1 or abs(x - out[-1][0]) < 1:
            return _tidy([*out, (out[-1][0], low), (x, low), (x, bottom)])
        gap = grid.gap_top[row - 1] + 7
        return _tidy([*out, (out[-1][0], low), (lane, low), (lane, gap), (x, gap), (x, bottom)])

    def _from_below(self, edge: Edge) -> Route:
        """From the foot of the initial column: straight up to the lowest state, around it to the others."""
        grid = self.grid
        (x1, y1), (x2, y2) = self.centre[edge.source.id], self.centre[edge.target.id]
        start, end = y1 - grid.sizes[edge.source.id][1] / 2, y2 + grid.sizes[edge.target.id][1] / 2
        between = [
            x - max(grid.sizes[i][0], grid.sizes[edge.target.id][0]) / 2 - 16
            for i, (x, y) in self.centre.items()
            if i in grid.beside and abs(x - x1) < 1 and y2 < y < y1
        ]
        if not between:
            return _tidy([(x1, start), (x2, end)]) if abs(x1 - x2) < 1 else [(x1, start), (x2, end)]
        lane = min(between)
        side = x2 - grid.sizes[edge.target.id][0] / 2
        return [(x1, start), (x1, start - 12), (lane, start - 12), (lane, y2), (side, y2)]

    def _from_initial(self, edge: Edge, way: Way, tu: Unit) -> Route:
        grid = self.grid
        x, y = self.centre[edge.source.id]
        top = y - grid.sizes[edge.source.id][1] / 2
        row = grid.beside[edge.source.id][0].row
        into = self._into(grid.block(edge.target), tu, edge.source.role, edge.target)
        lane = self.lane_x(grid.beside[edge.source.id][1], way.lane)
        low, high = grid.track_y.get((row, way.low)), grid.track_y.get((tu.row - 1, way.high))
        return _tidy([(x, top), *self._between(x, into[0][0], lane, low, high, row, tu.row, way), *into])

    def _column(self, box: Box) -> int:
        if box.id in self.grid.beside:
            return self.grid.beside[box.id][1]
        assert box.column is not None
        return box.column

    def lane_x(self, column: int | None, lane: int) -> float:
        """Where a lane right of a column is; lanes of islands are right of everything."""
        grid = self.grid
        if column is None:
            return grid.right_of[-1] + 14 + 9 * max(0, lane)
        return grid.right_of[column + 1] + 16 + 9 * max(0, lane)


def _tidy(points: Route) -> Route:
    """Points without repetitions and without those that lie between their neighbours on a line."""
    kept: Route = []
    for point in points:
        if kept and abs(kept[-1][0] - point[0]) < 0.01 and abs(kept[-1][1] - point[1]) < 0.01:
            continue
        while len(kept) > 1 and (
            (kept[-2][0] == kept[-1][0] == point[0] and kept[-2][1] >= kept[-1][1] >= point[1])
            or (kept[-2][1] == kept[-1][1] == point[1])
        ):
            kept.pop()
        kept.append(point)
    return kept
