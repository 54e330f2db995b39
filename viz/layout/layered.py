"""A layered drawing of a small graph: rows from bottom to top, few crossings, no overlaps, long edges bent around
boxes.

The method is Sugiyama's: ranks by longest path, one stand-in per row for an edge that passes it, order within rows by
barycentres, places by least squares. Two things are added for recurrent cells: a *rail* is a chain of nodes kept in
one row from left to right (the line of a state through its cell), and ports are nodes without size in the lowest and
highest row. Sources: K. Sugiyama et al., "Methods for visual understanding of hierarchical system structures" (1981);
least squares in order by pooling adjacent violators, M. Ayer et al. (1955).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Sequence
from itertools import pairwise

from ..model.order import components, ranks, sizes, topological

Size = tuple[float, float]
Point = tuple[float, float]

SPACE_X, SPACE_Y, THREAD, PORTS = 18.0, 28.0, 9.0, 13.0
"""Free room between two boxes of a row, between two rows, beside a passing edge, and between two ends of edges."""


class Layered:
    """Places of nodes (centres; y grows downwards, so later ranks have smaller y) and the bends of edges.

    routes: for each edge the points from the top of its source to the bottom of its target, or from side to side
    within a rail.
    width, height: of everything. The middle of everything is the origin.
    """

    def __init__(self, x: list[float], y: list[float], routes: list[list[Point]], width: float, height: float) -> None:
        self.x, self.y, self.routes, self.width, self.height = x, y, routes, width, height


def layered(
    boxes: Sequence[Size],
    edges: Sequence[tuple[int, int]],
    *,
    rails: Sequence[Sequence[int]] = (),
    first: Collection[int] = (),
    last: Collection[int] = (),
    bottom: Collection[int] = (),
    top: Collection[int] = (),
    late: Collection[int] = (),
    ends: Sequence[Point] | None = None,
) -> Layered:
    """Place `boxes` (width, height) joined by `edges` (from, to).

    rails: chains of nodes to keep in one row. first, last: nodes wanted at the left and right end of their row.
    bottom, top: nodes
    for a row below and above all others. late: sources that move up to their readers. ends: for each edge how far
    from the middle of its source and of its target it is attached.
    """
    n = len(boxes)
    rails = _possible(n, edges, rails)
    row = _rows(n, edges, rails, set(bottom), set(top), set(late))
    chain, row, links = _stand_ins(row, edges, n)
    side = [0] * len(row)
    for i in first:
        side[i] = -1
    for i in last:
        side[i] = 1
    order = _ordered(row, links, side, rails)
    width = [boxes[i][0] if i < n else 0.0 for i in range(len(row))]
    ends = ends or [(0.0, 0.0)] * len(edges)
    x = _places(order, _springs(edges, chain, ends, links, n), width, n, set(late))
    return _drawn(boxes, edges, row, order, x, chain, ends)


def _possible(n: int, edges: Sequence[tuple[int, int]], rails: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Those rails that can lie in one row: no path leaves them and comes back."""
    kept: list[Sequence[int]] = []
    for rail in rails:
        chosen = [*kept, rail]
        rep = _representatives(n, chosen)
        after: list[set[int]] = [set() for _ in range(n)]
        for a, b in edges:
            if rep[a] != rep[b]:
                after[rep[a]].add(rep[b])
        part = components(after)
        if (
            len(set(rail)) == len(rail)
            and max(sizes(part), default=0) <= 1
            and not any(set(rail) & set(r) for r in kept)
        ):
            kept = chosen
    return kept


def _representatives(n: int, rails: Sequence[Sequence[int]]) -> list[int]:
    rep = list(range(n))
    for rail in rails:
        for i in rail:
            rep[i] = rail[0]
    return rep


def _rows(
    n: int,
    edges: Sequence[tuple[int, int]],
    rails: Sequence[Sequence[int]],
    bottom: set[int],
    top: set[int],
    late: set[int],
) -> list[int]:
    """The row of each node; rails have rows of their own."""
    rep = _representatives(n, rails)
    joined = [(rep[a], rep[b]) for a, b in edges if rep[a] != rep[b]]
    rank = ranks(n, joined)
    readers: dict[int, list[int]] = {}
    for a, b in joined:
        readers.setdefault(a, []).append(b)
    for i in reversed(topological(n, joined)):
        if i in late and i in readers:
            rank[i] = max(rank[i], min(rank[b] for b in readers[i]) - 1)
    level: list[tuple[int, int]] = []
    on_rail = {i: k + 1 for k, rail in enumerate(rails) for i in rail}
    for i in range(n):
        where = -1 if i in bottom else n + 1 if i in top else rank[rep[i]]
        level.append((where, on_rail.get(i, 0)))
    number = {key: k for k, key in enumerate(sorted(set(level)))}
    return [number[key] for key in level]


def _stand_ins(
    row: list[int], edges: Sequence[tuple[int, int]], n: int
) -> tuple[list[list[int]], list[int], list[tuple[int, int]]]:
    """Give every source one stand-in in each row that an edge of it passes. Returns each edge's chain of stand-ins."""
    row = list(row)
    chain: list[list[int]] = []
    links: list[tuple[int, int]] = []
    made: dict[tuple[int, int], int] = {}
    for a, b in edges:
        passed: list[int] = []
        before = a
        for r in range(row[a] + 1, row[b]):
            stand_in = made.get((a, r))
            if stand_in is None:
                stand_in = made[a, r] = len(row)
                row.append(r)
                links.append((before, stand_in))
            passed.append(stand_in)
            before = stand_in
        chain.append(passed)
        if row[b] > row[before]:
            links.append((before, b))
    return chain, row, links


def _ordered(
    row: list[int], links: list[tuple[int, int]], side: list[int], rails: Sequence[Sequence[int]]
) -> list[list[int]]:
    """The nodes of each row from left to right, with as few crossings as the sweeps find."""
    order: list[list[int]] = [[] for _ in range(max(row, default=-1) + 1)]
    below: list[list[int]] = [[] for _ in row]
    above: list[list[int]] = [[] for _ in row]
    for a, b in links:
        below[b].append(a)
        above[a].append(b)
    for i, r in enumerate(row):
        order[r].append(i)
    on_rail = {i: rail for rail in rails for i in rail}
    place = [0.0] * len(row)
    best, fewest = [list(r) for r in order], None
    for sweep in range(8 if len(row) < 3000 else 2):
        upwards = sweep % 2 == 0
        for nodes in order if upwards else reversed(order):
            near = below if upwards else above
            keys = {i: (side[i], sum(place[j] for j in near[i]) / len(near[i]) if near[i] else place[i]) for i in nodes}
            nodes.sort(key=keys.__getitem__)
            _keep_rails(nodes, on_rail)
            middle = (len(nodes) - 1) / 2
            for k, i in enumerate(nodes):
                place[i] = k - middle
        found = _crossings(order, above)
        if fewest is None or found < fewest:
            best, fewest = [list(r) for r in order], found
        if not found:
            break
    return best


def _keep_rails(nodes: list[int], on_rail: dict[int, Sequence[int]]) -> None:
    for rail in {id(on_rail[i]): on_rail[i] for i in nodes if i in on_rail}.values():
        slots = [k for k, i in enumerate(nodes) if on_rail.get(i) is rail]
        for k, i in zip(slots, rail, strict=True):
            nodes[k] = i


def _crossings(order: list[list[int]], above: list[list[int]]) -> int:
    count = 0
    for lower, upper in pairwise(order):
        place = {i: k for k, i in enumerate(upper)}
        seen: list[int] = []
        for i in lower:
            ends = sorted(place[j] for j in above[i])
            count += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


Spring = tuple[int, int, float]


def _springs(
    edges: Sequence[tuple[int, int]],
    chain: list[list[int]],
    ends: Sequence[Point],
    links: list[tuple[int, int]],
    n: int,
) -> list[Spring]:
    """(a, b, shift) for each link: b wants to stand at the place of a plus shift."""
    shift: dict[tuple[int, int], float] = {}
    for (a, b), passed, (out, into) in zip(edges, chain, ends, strict=True):
        way = [a, *passed, b]
        shift[way[0], way[1]] = shift.get((way[0], way[1]), 0.0) + out
        shift[way[-2], way[-1]] = shift.get((way[-2], way[-1]), 0.0) - into
    return [(a, b, shift.get((a, b), 0.0)) for a, b in links]


def _places(order: list[list[int]], springs: list[Spring], width: list[float], n: int, light: set[int]) -> list[float]:
    """Horizontal places: near the neighbours, in order, apart. light: nodes that do not pull at others."""
    x = [0.0] * len(width)
    near: list[list[tuple[int, float, float]]] = [[] for _ in width]
    for a, b, shift in springs:
        weight = 8.0 if a >= n and b >= n else 3.0 if a >= n or b >= n else 1.0
        near[a].append((b, weight, -shift))
        near[b].append((a, weight * 0.02 if a in light else weight, shift))
    row = {i: r for r, nodes in enumerate(order) for i in nodes}
    for nodes in order:
        _settle(nodes, [0.0] * len(nodes), [1.0] * len(nodes), width, x, n)
    for sweep in range(10):
        upwards, both = sweep % 2 == 1, 4 <= sweep < 8
        for nodes in order if upwards else reversed(order):
            wish, force = [], []
            for i in nodes:
                seen = [spring for spring in near[i] if both or (row[spring[0]] < row[i]) == upwards]
                total = sum(w for _, w, _ in seen)
                wish.append(sum((x[j] + shift) * w for j, w, shift in seen) / total if seen else x[i])
                force.append(total or 0.1)
            _settle(nodes, wish, force, width, x, n)
    return x


def _settle(
    nodes: list[int], wish: list[float], force: list[float], width: list[float], x: list[float], n: int
) -> None:
    """Minimise the sum of force*(x-wish)² with neighbours in order and apart, by pooling adjacent violators."""
    offset, pools = 0.0, []
    offsets = []
    for k, i in enumerate(nodes):
        if k:
            before = nodes[k - 1]
            free = SPACE_X if i < n and before < n else THREAD
            offset += (width[before] + width[i]) / 2 + free
        offsets.append(offset)
        pools.append([force[k] * (wish[k] - offset), force[k], 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
            total, weight, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += weight
            pools[-1][2] += count
    k = 0
    for total, weight, count in pools:
        for _ in range(int(count)):
            x[nodes[k]] = round(total / weight + offsets[k], 2)
            k += 1


def _drawn(
    boxes: Sequence[Size], edges: Sequence[tuple[int, int]], row: list[int], order: list[list[int]], x: list[float],
    chain: list[list[int]], ends: Sequence[Point],
) -> Layered:  # fmt: skip
    n = len(boxes)
    height = [max((boxes[i][1] for i in nodes if i < n), default=0.0) for nodes in order]
    low: list[float] = []  # the lower edge of each row
    level = 0.0
    for r, h in enumerate(height):
        low.append(level)
        level -= h + (SPACE_Y if h or (0 < r < len(height) - 1) else SPACE_Y / 2)
    highest = low[-1] - height[-1] if low else 0.0
    left = min((x[i] - (boxes[i][0] / 2 if i < n else 0) for i in range(len(row))), default=0.0)
    right = max((x[i] + (boxes[i][0] / 2 if i < n else 0) for i in range(len(row))), default=0.0)
    dx, dy = (left + right) / 2, highest / 2
    x = [v - dx for v in x]
    y = [low[row[i]] - height[row[i]] / 2 - dy for i in range(n)]
    routes = []
    arrive = _arrivals(boxes, edges, row, chain, x, ends)
    around = 0
    for k, ((a, b), passed) in enumerate(zip(edges, chain, strict=True)):
        if row[a] > row[b] or (row[a] == row[b] and abs(y[a] - y[b]) > 0.1):  # against the current: around everything
            around += 1
            lane = (right - left) / 2 + 8 + THREAD * around
            over, under = low[row[a]] - height[row[a]] - dy - 9, low[row[b]] - dy + 9
            way = [(x[a], y[a] - boxes[a][1] / 2), (x[a], over), (lane, over), (lane, under), (x[b], under)]
            routes.append([*way, (x[b], y[b] + boxes[b][1] / 2)])
            continue
        if row[a] == row[b]:
            way = 1 if x[a] <= x[b] else -1
            routes.append([(x[a] + way * boxes[a][0] / 2, y[a]), (x[b] - way * boxes[b][0] / 2, y[b])])
            continue
        start = x[a] + ends[k][0]
        points = [(start, y[a] - boxes[a][1] / 2), (start, low[row[a]] - height[row[a]] - dy)]
        for i in passed:
            points += [(x[i], low[row[i]] - dy), (x[i], low[row[i]] - height[row[i]] - dy)]
        points += [(arrive[k], low[row[b]] - dy), (arrive[k], y[b] + boxes[b][1] / 2)]
        routes.append(points)
    room = 2 * (12 + THREAD * around) if around else 0.0
    return Layered(x[:n], y, routes, right - left + room, -highest + (24 if around else 0))


def _arrivals(
    boxes: Sequence[Size],
    edges: Sequence[tuple[int, int]],
    row: list[int],
    chain: list[list[int]],
    x: list[float],
    ends: Sequence[Point],
) -> list[float]:
    """Where along its target's lower side each edge ends: side by side, in the order in which they come."""
    coming: dict[int, list[tuple[float, int]]] = {}
    for k, (a, b) in enumerate(edges):
        if row[a] < row[b]:
            coming.setdefault(b, []).append((x[chain[k][-1] if chain[k] else a], k))
    arrive = [x[b] + ends[k][1] for k, (_, b) in enumerate(edges)]
    for b, found in coming.items():
        if any(ends[k][1] for _, k in found):
            continue  # the target says where they arrive
        found.sort()
        straight = [i for i, (start, _) in enumerate(found) if abs(start - x[b]) < 0.5]
        middle = straight[0] if len(straight) == 1 else (len(found) - 1) / 2
        space = min(PORTS, boxes[b][0] * 0.8 / len(found))
        if max(middle, len(found) - 1 - middle) * space > boxes[b][0] * 0.45:
            middle = (len(found) - 1) / 2
        for i, (_, k) in enumerate(found):
            arrive[k] = x[b] + (i - middle) * space
    return arrive
