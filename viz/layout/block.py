"""Blocks: a box, or boxes laid out together in a frame, with ports at the border where edges come in and go out.

A block is laid out once for a role and stamped for every time step. All coordinates are relative to the middle of the
block; y grows downwards, data flow upwards. Blocks nest: a cell of ops is a block, and so is an island of modules
outside the loop.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from ..model import words
from .layered import Point, Size, layered

Key = Hashable
Route = list[Point]

PADDING, TITLE = 12.0, 18.0
"""Free room inside a frame, and the height of its title."""


@dataclass
class Frame:
    """A rectangle around the boxes of a module. title: what it is called."""

    title: str
    x: float
    y: float
    width: float
    height: float


@dataclass
class Block:
    """Boxes with places, and what an edge needs to get from the border to them.

    places: centre and size of each box, by key. leaving: for a box whose value leaves upwards, the route to the upper
    border.
    entering: for (source, box) the route from the lower border. left, right: height at which a box is reached from
    the side.
    inner: routes between boxes of the block.
    """

    width: float
    height: float
    places: dict[Key, tuple[float, float, float, float]] = field(default_factory=dict)
    leaving: dict[Key, Route] = field(default_factory=dict)
    entering: dict[tuple[Key, Key], Route] = field(default_factory=dict)
    left: dict[Key, float] = field(default_factory=dict)
    right: dict[Key, float] = field(default_factory=dict)
    inner: dict[tuple[Key, Key], Route] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    single: bool = False


def single(key: Key, size: Size, sources: Iterable[Key] = ()) -> Block:
    """A block that is one box. sources: what enters it from below, in order from left to right."""
    width, height = size
    block = Block(width, height, {key: (0.0, 0.0, width, height)}, single=True)
    block.leaving[key] = [(0.0, -height / 2)]
    entering = list(sources)
    space = min(14.0, width * 0.7 / max(1, len(entering)))
    for k, source in enumerate(entering):
        block.entering[source, key] = [((k - (len(entering) - 1) / 2) * space, height / 2)]
    block.left[key] = block.right[key] = 0.0
    return block


def compose(
    blocks: Sequence[Block],
    edges: Iterable[tuple[Key, Key]],
    *,
    entering: Iterable[tuple[Key, Key]] = (),
    leaving: Iterable[Key] = (),
    rails: Iterable[Sequence[Key]] = (),
    from_left: Collection[Key] = (),
    to_right: Collection[Key] = (),
    late: Collection[Key] = (),
    title: str | None = None,
) -> Block:
    """Lay `blocks` out in layers as one block.

    edges: (source box, target box) inside. entering: (source outside, box inside). leaving: boxes whose value leaves
    upwards.
    rails: chains of boxes to lie in one row. from_left, to_right: boxes reached from the left, or left to the right,
    by recurrent edges. late: boxes that stand close to their readers. title: draw a frame with this title.
    """
    home = {key: k for k, block in enumerate(blocks) for key in block.places}
    inside, within = [], []
    for source, target in edges:
        (within if home[source] == home[target] else inside).append((source, target))
    entering, leaving = list(dict.fromkeys(entering)), list(dict.fromkeys(leaving))
    sources = list(dict.fromkeys(source for source, _ in entering))
    port_in = {source: len(blocks) + k for k, source in enumerate(sources)}
    port_out = {key: len(blocks) + len(sources) + k for k, key in enumerate(leaving)}
    joints = dict.fromkeys((home[a], home[b]) for a, b in inside)
    joints |= dict.fromkeys((port_in[a], home[b]) for a, b in entering)
    joints |= dict.fromkeys((home[a], port_out[a]) for a in leaving)
    ends: dict[tuple[int, int], Point] = {}
    for a, b in inside:
        ends.setdefault((home[a], home[b]), (_port(blocks[home[a]].leaving.get(a)), _in(blocks[home[b]], a, b)))
    for a, b in entering:
        ends.setdefault((port_in[a], home[b]), (0.0, _in(blocks[home[b]], a, b)))
    for a in leaving:
        ends.setdefault((home[a], port_out[a]), (_port(blocks[home[a]].leaving.get(a)), 0.0))
    places = layered(
        [(block.width, block.height) for block in blocks] + [(0.0, 0.0)] * (len(port_in) + len(port_out)),
        list(joints),
        rails=[[home[key] for key in rail] for rail in rails],
        first=[home[key] for key in from_left],
        last=[home[key] for key in to_right],
        bottom=list(port_in.values()),
        top=list(port_out.values()),
        late=[home[key] for key in late],
        ends=[ends[joint] for joint in joints],
    )
    route_of = dict(zip(joints, places.routes, strict=True))
    pad, head = (PADDING, TITLE) if title is not None else (0.0, 0.0)
    width, height = places.width + 2 * pad, places.height + 2 * pad + head
    if title is not None:
        width = max(width, words.width(title, 11) + 24)
    whole = Block(width, height)
    down = head / 2
    at = [(places.x[k], places.y[k] + down) for k in range(len(blocks))]
    for block, (x, y) in zip(blocks, at, strict=True):
        _absorb(whole, block, x, y)
    for source, target in inside:
        between = _shift(route_of[home[source], home[target]], 0.0, down)
        whole.inner[source, target] = _joined(blocks, home, at, source, target, between)
    for source, target in entering:
        between = _shift(route_of[port_in[source], home[target]], 0.0, down)
        path = _end(blocks[home[target]], at[home[target]], source, target, between)
        whole.entering[source, target] = [(path[0][0], height / 2), *path]
    for key in leaving:
        between = _shift(route_of[home[key], port_out[key]], 0.0, down)
        path = _start(blocks[home[key]], at[home[key]], key, between)
        whole.leaving[key] = [*path, (path[-1][0], -height / 2)]
    _sides(whole, {*from_left, *to_right})
    if title is not None:
        whole.frames.insert(0, Frame(title, -width / 2, -height / 2, width, height))
    return whole


def _port(route: Route | None) -> float:
    return route[-1][0] if route else 0.0


def _in(block: Block, source: Key, target: Key) -> float:
    """How far from the middle of a framed block the way in from `source` begins."""
    route = None if block.single else block.entering.get((source, target))
    return route[0][0] if route else 0.0


def _absorb(whole: Block, block: Block, x: float, y: float) -> None:
    for key, (dx, dy, w, h) in block.places.items():
        whole.places[key] = (x + dx, y + dy, w, h)
    for pair, route in block.inner.items():
        whole.inner[pair] = _shift(route, x, y)
    for frame in block.frames:
        whole.frames.append(Frame(frame.title, frame.x + x, frame.y + y, frame.width, frame.height))


def _shift(route: Route, x: float, y: float) -> Route:
    return [(px + x, py + y) for px, py in route]


def _start(block: Block, at: Point, key: Key, between: Route) -> Route:
    """The way out of a block, joined to a route that starts at the middle of its upper border."""
    out = block.leaving.get(key)
    if out is None or block.single:
        return between
    out = _shift(out, *at)
    return [*out, (out[-1][0], between[1][1]), *between[2:]]


def _end(block: Block, at: Point, source: Key, target: Key, between: Route) -> Route:
    """A route that ends at the middle of the lower border of a block, joined to the way in."""
    into = block.entering.get((source, target))
    if into is None or block.single:
        return between
    into = _shift(into, *at)
    return [*between[:-2], (into[0][0], between[-2][1]), *into]


def _joined(
    blocks: Sequence[Block], home: dict[Key, int], at: list[Point], source: Key, target: Key, between: Route
) -> Route:
    a, b = home[source], home[target]
    if len(between) == 2:  # side by side on a rail
        return between
    return _end(blocks[b], at[b], source, target, _start(blocks[a], at[a], source, between))


def _sides(whole: Block, wanted: Iterable[Key]) -> None:
    """Note which of the wanted boxes see the left and the right border, with nothing in between."""
    for key in wanted:
        x, y, _, h = whole.places[key]
        beside = [ox for other, (ox, oy, _, oh) in whole.places.items() if other != key and abs(oy - y) < (oh + h) / 2]
        if all(ox > x for ox in beside):
            whole.left[key] = y
        if all(ox < x for ox in beside):
            whole.right[key] = y
