"""Shared parameters: each one box at the left, with one light line along the steps that read it."""

from __future__ import annotations

from .block import Route
from .grid import GUTTER_STEP, Grid
from .measure import size
from .picture import Bus, Picture, Placed

LANE = 6.0


def add_gutter(grid: Grid, picture: Picture, centre: dict[int, tuple[float, float]]) -> None:
    """Place the parameters of the gutter and their buses."""
    readers: dict[int, dict[int, list]] = {}
    for edge in grid.diagram.edges:
        if edge.source.id in grid.gutter and edge.target.id in grid.unit_of:
            rows = readers.setdefault(edge.source.id, {})
            rows.setdefault(grid.unit_of[edge.target.id].row, []).append(edge.target)
    if not readers:
        return
    home: dict[int, list[int]] = {}
    for number in sorted(readers):
        home.setdefault(min(readers[number]), []).append(number)
    sizes = {number: size(grid.diagram.boxes[number]) for number in readers}
    width = max(w for w, _ in sizes.values())
    lanes = LANE * len(readers) + 14
    right = (
        (min(grid.left_of[0], grid.left_of[1]) if grid.left_of[0] != grid.right_of[0] else grid.left_of[1]) - 26 - lanes
    )
    lane = 0
    last_y = None
    for row in sorted(home):
        members = home[row]
        level = grid.y[row] - (len(members) - 1) * GUTTER_STEP / 2
        if last_y is not None:
            level = min(level, last_y - len(members) * GUTTER_STEP)
        last_y = level
        for k, number in enumerate(members):
            y = level + k * GUTTER_STEP
            box = grid.diagram.boxes[number]
            picture.placed.append(Placed(box, right - width / 2, y, width, sizes[number][1]))
            routes: list[Route] = []
            taps: list[Route] = []
            for target_row, targets in sorted(readers[number].items()):
                threaded = grid.threads(target_row)
                x = right + 8 + LANE * (lane if not threaded else len(readers))
                _bus(grid, centre, number, target_row, targets, (right, y, x), routes, taps)
            picture.buses.append(Bus(box, routes, taps))
            lane += 1


def _bus(grid, centre, number, row, targets, start, routes: list[Route], taps: list[Route]) -> None:
    """The line of one parameter to one row."""
    right, y, x = start
    if grid.threads(row):
        block = grid.templates[grid.wires.in_row[row][0].number].block
        line = grid.y[row] + block.height / 2 - 10
        ends = [centre[t.id][0] for t in targets]
        far = max(ends) - block.width / 2
        routes.append([(right, y), (x, y), (x, line), (far, line)])
        for t in targets:
            half = grid.block(t).width / 2
            at = centre[t.id][0] - half
            taps.append([(at - 9, line), (at, line)])
        return
    track = grid.bus_y[row - 1, number]
    points = []
    for t in targets:
        block = grid.block(t)
        cx, cy = centre[t.id]
        route = block.entering.get((grid.diagram.boxes[number].role, t.role))
        if route is None:
            route = [(-block.width / 2 + 10, block.height / 2)]
        path = [(cx + px, cy + py) for px, py in route]
        points.append(path[0][0])
        taps.append([(path[0][0], track), *path])
    routes.append([(right, y), (x, y), (x, track), (max(points), track)])
