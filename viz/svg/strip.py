"""Below the time axis: the gradient norm of every step, shown or not, and the scale it is measured on."""

from __future__ import annotations

from ..layout import Picture
from ..model.scale import Flow, Heat, Scale
from ..model.words import number, width
from .path import num
from .theme import heat as colour
from .xml import escape

HEIGHT, ROOM = 46.0, 82.0
LEGEND = 46.0


def strips(picture: Picture, heat: Heat, top: float) -> tuple[str, float, float]:
    """The bars of all recurrent layers, one strip under the other, where they end at the right, and how high they are
    together.
    """
    out, end = [], 0.0
    for k, flow in enumerate(heat.flows):
        strip, right = _strip(picture, flow, heat.scale, top + k * ROOM)
        out.append(strip)
        end = max(end, right)
    return "".join(out), end, ROOM * len(heat.flows)


def _strip(picture: Picture, flow: Flow, scale: Scale, top: float) -> tuple[str, float]:
    bands = picture.bands
    x0, x1 = bands[0].x, bands[-1].x + bands[-1].width
    floor = top + 20 + HEIGHT
    if any(band.column.hidden for band in bands):
        step = (x1 - x0) / len(flow.norms)
        at = {t: x0 + (k + 0.5) * step for k, (t, _) in enumerate(flow.norms)}
        wide = max(0.4, min(step * 0.8, 40.0))
    else:
        at = {band.column.first: band.x + band.width / 2 for band in bands}
        wide = min(40.0, bands[0].width * 0.5)
    paths: dict[str, list[str]] = {}  # by colour
    caps = []  # a line on top of each bar, to be seen on any ground
    for t, norm in flow.norms:
        share = scale.share(norm)
        high = 1 + share * (HEIGHT - 1)
        paths.setdefault(colour(share), []).append(f"M{num(at[t])} {num(floor)}v{num(-high)}")
        caps.append(f"M{num(at[t] - wide / 2)} {num(floor - high)}h{num(wide)}")
    bars = "".join(
        f'<path class="bar" style="stroke:{fill};stroke-width:{num(wide)}" d="{"".join(lines)}"/>'
        for fill, lines in paths.items()
    )
    bars += f'<path class="cap" d="{"".join(caps)}"/>'
    states = sorted({e.label for e in picture.diagram.edges if e.label and e.source.group == flow.group}) or ["h"]
    state = states[0] if len(states) == 1 else f"({', '.join(states)})"
    name = f"‖∂L/∂{state}‖ {flow.name}"
    said = _verdict(flow)
    kind = " mark" if flow.verdict else ""
    begins = x0 + width(name, 11) + 18
    title = (
        f'<text class="strip" x="{num(x0)}" y="{num(top + 12)}">{escape(name)}</text>'
        f'<text class="strip{kind}" x="{num(begins)}" y="{num(top + 12)}">{escape(said)}</text>'
    )
    ends = flow.norms[0][0], flow.norms[-1][0]
    ticks = "".join(
        f'<text class="tick" x="{num(at[t])}" y="{num(floor + 13)}">{t}</text>'
        for t in (ends if len(at) > len(bands) else at)
        if t in at
    )
    arrow = ""
    if flow.beyond is not None and flow.beyond in at:
        x = at[flow.beyond]
        arrow = f'<path class="markline" d="M{num(x)} {num(floor + 2)}V{num(floor - HEIGHT)}"/>'
    line = f'<path class="axis" d="M{num(x0)} {num(floor)}H{num(x1)}"/>'
    shown = f'<g class="stripe"><title>{escape(name + ": " + said)}</title>{bars}{line}{arrow}{title}{ticks}</g>\n'
    return shown, begins + width(said, 12 if flow.verdict else 11)


def _verdict(flow: Flow) -> str:
    first, last = flow.ends
    said = f"ratio {number(flow.ratio)}, the norm at t = {last} over that at t = {first}"
    if not flow.verdict:
        return said
    where = f"; beyond {'1/1000' if flow.verdict == 'vanishing' else '1000 times'} from t = {flow.beyond}"
    return f"{flow.verdict}: {said}{where}"


def scale_bar(heat: Heat, x: float, top: float) -> tuple[str, float]:
    """The printed scale, colours with their decades and what is measured; and where it ends at the right."""
    wide, cells = 216.0, 36
    low, high = heat.scale
    out = [f'<text class="strip" x="{num(x)}" y="{num(top + 12)}">{escape(heat.title)}, log scale</text>']
    for k in range(cells):
        fill = colour((k + 0.5) / cells)
        out.append(
            f'<rect style="fill:{fill}" x="{num(x + k * wide / cells)}" y="{num(top + 18)}" '
            f'width="{num(wide / cells + 0.4)}" height="10"/>'
        )
    step = max(1, -(-(high - low) // 6))
    for decade in range(low, high + 1, step):
        at = x + (decade - low) / (high - low) * wide
        out.append(f'<text class="tick" x="{num(at)}" y="{num(top + 41)}">{number(10.0**decade)}</text>')
    end = x + wide
    if heat.remark:
        out.append(f'<text class="strip" x="{num(end + 24)}" y="{num(top + 27)}">{escape(heat.remark)}</text>')
        end += 24 + width(heat.remark, 11)
    return f'<g class="scale">{"".join(out)}</g>\n', end
