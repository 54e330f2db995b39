"""Shared parameters: each one box at the left, with one light line along the steps that read it.

What is prepared from parameters before the loop (a transposed weight, a sum of biases) stands right of them.
"""

from __future__ import annotations

from ..model import Box, Edge
from .block import Route
from .grid import GUTTER_STEP, Grid
from .measure import gutter_size
from .picture import Bus, Picture, Placed, Wire

LANE, STUB, APART = 6.0, 30.0, 22.0
"""Distance of the vertical lines, room for "× T" beside a parameter, and distance of two columns of the gutter."""


def add_gutter(grid: Grid, picture: Picture, centre: dict[int, tuple[float, float]]) -> None:
    """Place what is in the gutter, its edges and its buses."""
    readers, inside = _readers(grid)
    if not readers and not inside:
        return
    depth = _depths(inside)
    home = _homes(grid, readers, inside)
    boxes = grid.diagram.boxes
    sizes = {number: gutter_size(boxes[number]) for number in home}
    deepest = max((depth.get(number, 0) for number in home), default=0)
    wide = [max((sizes[n][0] for n in home if depth.get(n, 0) == d), default=0.0) for d in range(deepest + 1)]
    start = grid.left_of[0] if grid.left_of[0] != grid.right_of[0] else grid.left_of[1]
    right = start - 26 - LANE * len(readers) - STUB
    edge_of = [0.0] * (deepest + 1)  # the right side of each column of the gutter
    for d in range(deepest, -1, -1):
        edge_of[d] = right
        right -= wide[d] + APART
    places: dict[int, tuple[float, float]] = {}
    for number, y in _heights(grid, home, inside, depth).items():
        d = depth.get(number, 0)
        places[number] = (edge_of[d], y)
        picture.placed.append(Placed(boxes[number], edge_of[d] - wide[d] / 2, y, wide[d], sizes[number][1]))
    for edge in inside:
        (x1, y1), (x2, y2) = places[edge.source.id], places[edge.target.id]
        end = x2 - wide[depth[edge.target.id]]
        middle = end - APART / 2
        route = [(x1, y1), (end, y2)] if y1 == y2 else [(x1, y1), (middle, y1), (middle, y2), (end, y2)]
        picture.wires.append(Wire(edge, route))
    base = edge_of[deepest] + STUB
    for lane, number in enumerate(sorted(readers, key=lambda n: -places[n][1])):
        routes: list[Route] = []
        taps: list[Route] = []
        for row, targets in sorted(readers[number].items()):
            x = base + LANE * (len(readers) if grid.threads(row) else lane)
            _bus(grid, centre, number, row, targets, (*places[number], x), routes, taps)
        reading = [t.id for targets in readers[number].values() for t in targets]
        picture.buses.append(Bus(boxes[number], routes, taps, reading))


def _readers(grid: Grid) -> tuple[dict[int, dict[int, list[Box]]], list[Edge]]:
    """For each box of the gutter the boxes of each row that read it, and the edges within the gutter."""
    readers: dict[int, dict[int, list[Box]]] = {}
    inside: list[Edge] = []
    for edge in grid.diagram.edges:
        if edge.source.id not in grid.gutter:
            continue
        if edge.target.id in grid.gutter:
            inside.append(edge)
        elif edge.target.id in grid.unit_of:
            row = grid.unit_of[edge.target.id].row
            readers.setdefault(edge.source.id, {}).setdefault(row, []).append(edge.target)
    return readers, inside


def _depths(inside: list[Edge]) -> dict[int, int]:
    """How many steps of preparation lie behind each box; edges come in order of recording."""
    depth: dict[int, int] = {}
    for edge in inside:
        depth[edge.target.id] = max(depth.get(edge.target.id, 0), depth.get(edge.source.id, 0) + 1)
    return depth


def _homes(grid: Grid, readers: dict[int, dict[int, list[Box]]], inside: list[Edge]) -> dict[int, int]:
    """The row beside which each box of the gutter stands: the lowest that reads it."""
    home = {number: min(rows) for number, rows in readers.items()}
    for edge in reversed(inside):
        if edge.target.id in home:
            row = home[edge.target.id]
            home[edge.source.id] = min(home.get(edge.source.id, row), row)
    return home


def _heights(grid: Grid, home: dict[int, int], inside: list[Edge], depth: dict[int, int]) -> dict[int, float]:
    """Parameters in a pile beside their row, in the order in which they were made; the prepared level with their
    sources.
    """
    piles: dict[int, list[int]] = {}
    for number in sorted(home):
        if not depth.get(number):
            piles.setdefault(home[number], []).append(number)
    y: dict[int, float] = {}
    top = None
    for row in sorted(piles):
        pile = piles[row]
        level = grid.y[row] - (len(pile) - 1) * GUTTER_STEP / 2
        if top is not None:
            level = min(level, top - len(pile) * GUTTER_STEP)
        top = level
        for k, number in enumerate(pile):
            y[number] = level + k * GUTTER_STEP
    sources: dict[int, list[int]] = {}
    for edge in inside:
        sources.setdefault(edge.target.id, []).append(edge.source.id)
    taken: dict[int, list[float]] = {}
    for number in sorted(sources, key=lambda n: (depth[n], n)):
        wish = sum(y[s] for s in sources[number]) / len(sources[number])
        used = taken.setdefault(depth[number], [])
        while any(abs(wish - other) < GUTTER_STEP for other in used):
            wish += 4.0
        used.append(wish)
        y[number] = wish
    return y


def _bus(
    grid: Grid,
    centre: dict[int, tuple[float, float]],
    number: int,
    row: int,
    targets: list[Box],
    start: tuple[float, float, float],
    routes: list[Route],
    taps: list[Route],
) -> None:
    """The line of one parameter to one row. start: right side and height of its box, and where it turns."""
    right, y, x = start
    if grid.threads(row):
        block = grid.templates[grid.wires.in_row[row][0].number].block
        line = grid.y[row] + block.height / 2 - 10
        far = max(centre[t.id][0] for t in targets) - block.width / 2
        routes.append([(right, y), (x, y), (x, line), (far, line)])
        for t in targets:
            at = centre[t.id][0] - grid.block(t).width / 2
            taps.append([(at - 9, line), (at, line)])
        return
    track = grid.bus_y[row - 1, number]
    points = []
    for t in targets:
        block = grid.block(t)
        cx, cy = centre[t.id]
        route = block.entering.get((grid.diagram.boxes[number].role, t.role)) or [
            (-block.width / 2 + 10, block.height / 2)
        ]
        path = [(cx + px, cy + py) for px, py in route]
        points.append(path[0][0])
        taps.append([(path[0][0], track), *path])
    routes.append([(right, y), (x, y), (x, track), (max(points), track)])
