"""The whole layout: from a diagram to a picture with places."""

from __future__ import annotations

from ..model import Diagram
from .block import Frame
from .grid import Grid
from .gutter import add_gutter
from .picture import Band, Picture, Placed, Wire
from .route import Router

MARGIN = 28.0


def place(diagram: Diagram) -> Picture:
    """Give every box and edge of `diagram` its place. Linear in boxes and edges."""
    grid = Grid(diagram)
    picture = Picture(diagram)
    centre: dict[int, tuple[float, float]] = {}
    _stamp(grid, picture, centre)
    _stand_beside(grid, picture, centre)
    _stand_below(grid, picture, centre)
    router = Router(grid, centre)
    for edge, way in zip(diagram.edges, grid.ways, strict=True):
        if edge.source.id in grid.gutter:
            continue
        picture.wires.append(Wire(edge, router.route(edge, way)))
    add_gutter(grid, picture, centre)
    for c, column in enumerate(diagram.columns):
        picture.bands.append(Band(column, grid.left_of[c + 1], grid.right_of[c + 1] - grid.left_of[c + 1]))
    _around(grid, picture)
    _fit(picture)
    return picture


def _stamp(grid: Grid, picture: Picture, centre: dict[int, tuple[float, float]]) -> None:
    framed: set[tuple[int, int | None]] = set()
    for unit in grid.units:
        y = grid.y[unit.row]
        template = grid.templates[unit.number]
        for box in unit.boxes:
            c = box.column
            hidden = box.kind == "elided"
            if c is None:
                x = grid.island_x[unit.number]
            else:
                x = grid.x[c + 1] + (0.0 if hidden and not unit.slot else grid.offset[unit.number])
            centre[box.id] = (x, y)
            if hidden:
                block = grid.elided[unit.number]
                picture.placed.append(Placed(box, x, y, block.width, block.height))
                continue
            dx, dy, w, h = template.block.places[box.role]
            picture.placed.append(Placed(box, x + dx, y + dy, w, h))
            if template.block.frames and (unit.number, c) not in framed:
                framed.add((unit.number, c))
                for f in template.block.frames:
                    picture.frames.append(Frame(f.title, x + f.x, y + f.y, f.width, f.height))


def _stand_beside(grid: Grid, picture: Picture, centre: dict[int, tuple[float, float]]) -> None:
    """Initial states, level with where they come in."""
    taken: dict[tuple[int, int], list[float]] = {}
    for box_id, (unit, column, entries) in grid.beside.items():
        box = grid.diagram.boxes[box_id]
        template = grid.templates[unit.number]
        heights = [template.state_at(key, state, False) for key, state in entries]
        dy = next((h for h in heights if h is not None), 0.0)
        w, h = grid.sizes[box_id]
        used = taken.setdefault((unit.number, column), [])
        while any(abs(dy - other) < h + 2 for other in used):
            dy += h + 4
        used.append(dy)
        x, y = grid.x[column + 1], grid.y[unit.row] + dy
        centre[box_id] = (x, y)
        picture.placed.append(Placed(box, x, y, w, h))


def _stand_below(grid: Grid, picture: Picture, centre: dict[int, tuple[float, float]]) -> None:
    """What initial states are cut from stands at the foot of their column, level with the inputs."""
    depth: dict[float, float] = {}
    for edge in grid.diagram.edges:
        if edge.source.id in grid.below and edge.source.id not in centre:
            x, y = centre[edge.target.id]
            w, h = grid.sizes[edge.source.id]
            y = depth[x] = max(depth.get(x, grid.y[0] - h), y + h) + h + 10 if x in depth else max(grid.y[0], y + 2 * h)
            centre[edge.source.id] = (x, y)
            picture.placed.append(Placed(grid.diagram.boxes[edge.source.id], x, y, w, h))


def _around(grid: Grid, picture: Picture) -> None:
    """Frames around the rows of a module that has modules inside."""
    rows: dict[str, list[int]] = {}
    for unit in grid.units:
        if not unit.timed or grid.diagram.groups[unit.boxes[0].group][1] in ("slice", "leaf"):
            continue
        path = grid.diagram.groups[unit.boxes[0].group][0]
        while "." in path:
            path = path.rpartition(".")[0]
            rows.setdefault(path, []).append(unit.row)
    others = {unit.row: grid.diagram.groups[unit.boxes[0].group][0] for unit in grid.units}
    for path, members in rows.items():
        low, high = min(members), max(members)
        if any(not others.get(r, "").startswith(path + ".") for r in range(low, high + 1)):
            continue
        top = grid.y[high] - grid.height[high] / 2 - 20
        bottom = grid.y[low] + grid.height[low] / 2 + 10
        depth = 4.0 * max(other.count(".") - path.count(".") for other in rows)
        x0, x1 = grid.span[0] - 14 - depth, grid.span[1] + 14 + depth
        picture.frames.insert(0, Frame(path, x0, top - depth, x1 - x0, bottom - top + 2 * depth))


def _fit(picture: Picture) -> None:
    """Move everything so that the picture begins at the origin, and measure it."""
    xs = [p.x - p.width / 2 for p in picture.placed] + [f.x for f in picture.frames]
    xe = [p.x + p.width / 2 for p in picture.placed] + [f.x + f.width for f in picture.frames]
    ys = [p.y - p.height / 2 for p in picture.placed] + [f.y for f in picture.frames]
    ye = [p.y + p.height / 2 for p in picture.placed] + [f.y + f.height for f in picture.frames]
    for wire in picture.wires:
        xs += [x for x, _ in wire.points]
        xe += [x for x, _ in wire.points]
        ys += [y for _, y in wire.points]
        ye += [y for _, y in wire.points]
    left, right, top, bottom = min(xs, default=0), max(xe, default=0), min(ys, default=0), max(ye, default=0)
    head, foot = (34, 22) if picture.bands else (0, 0)
    picture.top, picture.bottom = top - 14, bottom + 14
    picture.move(MARGIN - left, MARGIN + head - top)
    right += 40 if picture.bands and right < picture.bands[-1].x + picture.bands[-1].width + 50 else 0
    picture.width, picture.height = right - left + 2 * MARGIN, bottom - top + 2 * MARGIN + head + foot
