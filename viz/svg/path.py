"""Points to SVG path data: straight lines, rounded corners, smooth steps."""

from __future__ import annotations

from ..layout.layered import Point

RADIUS = 7.0


def num(value: float) -> str:
    """A coordinate with at most one decimal, without "-0" and ".0"."""
    text = f"{value:.1f}"
    if text.endswith(".0"):
        text = text[:-2]
    return "0" if text == "-0" else text


def data(points: list[Point]) -> str:
    """Path data through `points`: neighbours on a line are joined straight, others by a step with vertical ends."""
    points = [p for k, p in enumerate(points) if not k or p != points[k - 1]]
    if len(points) == 2:
        return _whole(points)
    x, y = points[0]
    out = [f"M{num(x)} {num(y)}"]
    last = len(points) - 1
    for k in range(1, last + 1):
        (px, py), (x, y) = points[k - 1], points[k]
        straight = _straight(points[k - 1], (x, y))
        if not straight:
            middle = (py + y) / 2
            out.append(f"C{num(px)} {num(middle)} {num(x)} {num(middle)} {num(x)} {num(y)}")
            continue
        if k < last and _straight((x, y), points[k + 1]) and _turns(points[k - 1], (x, y), points[k + 1]):
            nx, ny = points[k + 1]
            before = abs(x - px) + abs(y - py)
            after = abs(nx - x) + abs(ny - y)
            r = min(RADIUS, before / 2, after / 2)
            ax, ay = _towards(x, y, px, py, r)
            bx, by = _towards(x, y, nx, ny, r)
            out.append(f"L{num(ax)} {num(ay)}Q{num(x)} {num(y)} {num(bx)} {num(by)}")
        else:
            out.append(f"L{num(x)} {num(y)}")
    return "".join(out)


def _whole(points: list[Point]) -> str:
    (ax, ay), (bx, by) = points
    if abs(ay - by) < 0.05:
        return f"M{num(ax)} {num(ay)}H{num(bx)}"
    if abs(ax - bx) < 0.05:
        return f"M{num(ax)} {num(ay)}V{num(by)}"
    middle = (ay + by) / 2
    return f"M{num(ax)} {num(ay)}C{num(ax)} {num(middle)} {num(bx)} {num(middle)} {num(bx)} {num(by)}"


def _straight(a: Point, b: Point) -> bool:
    return abs(a[0] - b[0]) < 0.05 or abs(a[1] - b[1]) < 0.05


def _turns(a: Point, b: Point, c: Point) -> bool:
    return abs((b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])) > 0.01


def _towards(x: float, y: float, to_x: float, to_y: float, r: float) -> Point:
    if abs(to_x - x) < 0.05:
        return x, y + (r if to_y > y else -r)
    return x + (r if to_x > x else -r), y
