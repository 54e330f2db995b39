"""The parts of a picture as SVG elements."""

from __future__ import annotations

from ..layout import Bus, Picture, Placed, Wire
from ..layout.layered import Point
from ..layout.measure import SMALL, TEXT, WIDEST
from ..model import Box, words
from ..model.tips import tip
from .path import data, num
from .theme import heat, ink
from .xml import escape


def bands(picture: Picture, live: bool) -> str:
    """The columns of the time steps, and what stands over them."""
    out = []
    for c, band in enumerate(picture.bands):
        x, middle = num(band.x - 8), num(band.x + band.width / 2)
        kind = "band hidden" if band.column.hidden else "band"
        column = f' data-c="{c}"' if live else ""
        out.append(
            f'<rect class="{kind}"{column} x="{x}" y="{num(picture.top)}" width="{num(band.width + 16)}" '
            f'height="{num(picture.bottom - picture.top)}" rx="10"/>'
            f'<text class="time" x="{middle}" y="{num(picture.top - 9)}">{band.column.title}</text>\n'
        )
    return "".join(out)


def frames(picture: Picture) -> str:
    """Frames around modules."""
    return "".join(
        f'<rect class="frame" x="{num(f.x)}" y="{num(f.y)}" width="{num(f.width)}" height="{num(f.height)}" rx="9"/>'
        f'<text class="module" x="{num(f.x + 9)}" y="{num(f.y + 14)}">{escape(words.clean(f.title))}</text>\n'
        for f in picture.frames
    )


def buses(picture: Picture, live: bool) -> str:
    """Shared parameters on their way along the steps."""
    out = []
    for bus in picture.buses:
        lines = "".join(f'<path d="{data(route)}"/>' for route in bus.points)
        taps = "".join(f'<path class="t" d="{data(route)}"/>' for route in bus.taps)
        source = f' data-s="{bus.box.id}" data-t="{" ".join(map(str, bus.targets))}"' if live else ""
        times = ""
        if bus.box.uses > 1:
            x, y = bus.points[0][0]
            times = f'<text class="times" x="{num(x + 16)}" y="{num(y - 3)}">×{bus.box.uses}</text>'
        out.append(f'<g class="bus"{source}>{lines}{taps}{times}</g>\n')
        if picture.diagram.backward:
            out.append(_back_along(picture, bus))
    return "".join(out)


def _back_along(picture: Picture, bus: Bus) -> str:
    """The way of the gradient from all readers to the parameter, where the contributions of the steps add up."""
    width = _backward_width(picture, bus.box.main)
    if width is None:
        return ""
    taps = [[(x + 4, y) for x, y in reversed(tap)] for tap in bus.taps if tap[0][1] != tap[-1][1]]
    lines = [[*((x + 4, y + 4) for x, y in line[:0:-1]), (line[0][0], line[0][1] + 4)] for line in bus.points]
    way = "".join(map(data, taps + lines))  # the only arrow is at the end of the last
    return f'<path class="backward"{width} d="{way}"/>\n'


def wires(picture: Picture, live: bool) -> str:
    """The edges, with the names of states, cuts, and the way of the gradient."""
    out = []
    named: set[tuple[int, int]] = set()
    for wire in picture.wires:
        edge = wire.edge
        kind = edge.kind
        if edge.source.kind == "elided" or edge.target.kind == "elided":
            kind += " part"
        ends = f' data-s="{edge.source.id}" data-t="{edge.target.id}"' if live else ""
        out.append(f'<path class="e {kind}"{ends} d="{data(wire.points)}"/>\n')
        if edge.label and edge.kind != "cut" and (edge.source.id, edge.state) not in named:
            named.add((edge.source.id, edge.state))
            x, y = _label_place(wire, picture.diagram.level == "ops")
            out.append(f'<text class="state" x="{num(x)}" y="{num(y)}">{escape(edge.label)}</text>\n')
        if edge.kind == "cut" and len(wire.points) == 2:
            out.append(_cut(*wire.points))
        if picture.diagram.backward or (picture.diagram.gradients is not None and edge.kind == "recurrent"):
            out.append(_backward(picture, wire, live))
    return "".join(out)


def _label_place(wire: Wire, inside: bool) -> Point:
    """Where the name of a state stands: over the middle of a straight edge, else beside the box that it leaves."""
    (x1, y1), (x2, _) = wire.points[:2]
    if len(wire.points) == 2 and not inside:
        return (x1 + x2) / 2, y1 - 6
    return x1 + (9 if x2 > x1 else -9), y1 - 5


def _cut(start: Point, end: Point) -> str:
    """Two strokes across an edge: the value goes on, the gradient does not."""
    x, y = (start[0] + end[0]) / 2, start[1]
    strokes = "".join(f"M{num(x + dx - 3)} {num(y + 9)}l6 -18" for dx in (-3, 3))
    return f'<path class="cutmark" d="{strokes}"/><text class="cutmark" x="{num(x)}" y="{num(y - 12)}">cut</text>\n'


def _backward(picture: Picture, wire: Wire, live: bool) -> str:
    """The way of the gradient, beside an edge and against it; the wider the larger, if it was measured."""
    edge = wire.edge
    width = None if edge.kind == "cut" else _backward_width(picture, edge.node)
    if width is None:
        return ""
    flat = all(abs(y - wire.points[0][1]) < 0.1 for _, y in wire.points)
    dx, dy = (0.0, 10.0) if flat else (9.0, 0.0)
    points = [(x + dx, y + dy) for x, y in reversed(wire.points)]
    ends = f' data-s="{edge.target.id}" data-t="{edge.source.id}"' if live else ""
    return f'<path class="backward"{ends}{width} d="{data(points)}"/>\n'


def _backward_width(picture: Picture, node: int) -> str | None:
    """How wide the way of the gradient of a node is, as an attribute; None if there is none."""
    diagram = picture.diagram
    if not diagram.graph.nodes[node].needs_grad:
        return None
    wide = 1.5
    if diagram.gradients is not None and diagram.heat is not None:
        found = diagram.gradients[node]
        if found is None:
            return None
        wide = 1.0 + 3.0 * diagram.heat.scale.share(found.norm)
    return f' style="stroke-width:{num(wide)}"'


def boxes(picture: Picture, live: bool) -> str:
    """The boxes, each with a tooltip."""
    out = []
    laid = picture.diagram.heat
    number = {box: k + 1 for k, box in enumerate(picture.diagram.marks)}
    for placed in picture.placed:
        box = placed.box
        kind = classes(picture, box)
        note = "\n".join(tip(picture.diagram, box))
        share = None if laid is None else laid.share(box.id)
        colour = "" if share is None else ink(heat(share))
        out.append(
            f'<g class="n {kind}"{_live(picture, box) if live else ""} tabindex="0"><title>{escape(note)}</title>'
            f"{_shape(placed, share)}{_text(placed, colour)}{_badge(placed, number.get(box.id))}</g>\n"
        )
    return "".join(out)


def _live(picture: Picture, box: Box) -> str:
    path = picture.diagram.groups[box.group][0] if box.kind in ("op", "module") else ""
    column = "" if box.column is None else f' data-c="{box.column}"'
    return f' data-n="{box.id}"{column}' + (f' data-m="{escape(path)}"' if path else "")


def classes(picture: Picture, box: Box) -> str:
    """The CSS classes of a box: what kind it is, and its special marks."""
    node = picture.diagram.graph.nodes[box.main]
    names = [box.kind]
    if box.kind == "op" and node.primitive is not None:
        names.append(node.primitive.kind)
    if not node.needs_grad and box.kind != "elided":
        names.append("still")
    if box.root:
        names.append("root")
    if box.backward:
        names.append("back")
    if box.id in picture.diagram.marks:
        names.append("accused")
    return " ".join(names)


def _shape(placed: Placed, share: float | None = None) -> str:
    fill = ""
    x, y, w, h = placed.x - placed.width / 2, placed.y - placed.height / 2, placed.width, placed.height
    box = placed.box
    radius = {"module": 9, "input": min(h / 2, 19), "constant": h / 2, "parameter": 3, "elided": 9}.get(box.kind, 4)
    if share is not None:
        fill = f' style="fill:{heat(share)}"'
    shape = f'<rect{fill} x="{num(x)}" y="{num(y)}" width="{num(w)}" height="{num(h)}" rx="{num(radius)}"/>'
    if box.kind == "parameter":
        shape += f'<rect class="spine" x="{num(x)}" y="{num(y)}" width="4" height="{num(h)}"/>'
    if box.saved and box.kind == "op":
        shape += f'<circle class="saved" cx="{num(x + w - 5)}" cy="{num(y + 5)}" r="2.5"/>'
    return shape


def _badge(placed: Placed, number: int | None) -> str:
    """The number of what is said of a box below the picture."""
    if number is None:
        return ""
    x, y = num(placed.x - placed.width / 2 + 2), placed.y - placed.height / 2 + 1
    circle = f'<circle class="badge" cx="{x}" cy="{num(y)}" r="8.5"/>'
    return f'{circle}<text class="badge" x="{x}" y="{num(y + 4)}">{number}</text>'


def _text(placed: Placed, colour: str = "") -> str:
    box, x, y = placed.box, placed.x, placed.y
    title = escape(words.shorten(box.title, TEXT, WIDEST))
    detail = escape(words.shorten(box.detail, SMALL, WIDEST))
    if detail and placed.height < 30:
        left, right = x - placed.width / 2 + 11, x + placed.width / 2 - 9
        detail = f"{detail} {escape(box.note)}" if box.note else detail
        return _line(left, y + 4.5, title, "l", colour) + _line(right, y + 4, detail, "s r", colour)
    if not detail and not box.note:
        return _line(x, y + 4.5, title, "", colour)
    lines = [(title, ""), (detail, "s"), (escape(words.shorten(box.note, SMALL, WIDEST)), "s")]
    lines = [line for line in lines if line[0]]
    start = y - 2 - 6.5 * (len(lines) - 2)
    return "".join(
        _line(x, start + 14 * k + (0.5 if k else 0), text, kind, colour) for k, (text, kind) in enumerate(lines)
    )


def _line(x: float, y: float, text: str, kind: str = "", colour: str = "") -> str:
    mark = (f' class="{kind}"' if kind else "") + (f' style="fill:{colour}"' if colour else "")
    return f'<text{mark} x="{num(x)}" y="{num(y)}">{text}</text>'


def axis(picture: Picture) -> str:
    """The time axis under the columns."""
    if not picture.bands:
        return ""
    first, last = picture.bands[0], picture.bands[-1]
    y = picture.bottom + 12
    x1, x2 = first.x - 8, last.x + last.width + 8
    ticks = "".join(f"M{num(b.x + b.width / 2)} {num(y - 4)}v8" for b in picture.bands)
    return (
        f'<path class="axis" d="M{num(x1)} {num(y)}H{num(x2)}{ticks}"/>'
        f'<text class="axis" x="{num(x2 + 6)}" y="{num(y + 4)}">time</text>\n'
    )
