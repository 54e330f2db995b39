"""What the eye sees, computed: overlaps, crossings, texts that leave their boxes."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

from viz.layout.measure import SMALL, TEXT
from viz.model import words

SVG = "{http://www.w3.org/2000/svg}"


def rectangle(placed):
    """(left, top, right, bottom) of a box."""
    w, h = placed.width / 2, placed.height / 2
    return placed.x - w, placed.y - h, placed.x + w, placed.y + h


def overlap(a, b, slack=0.5):
    return a[0] + slack < b[2] and b[0] + slack < a[2] and a[1] + slack < b[3] and b[1] + slack < a[3]


def overlapping_boxes(picture):
    """Pairs of boxes that cover each other."""
    boxes = sorted(((rectangle(p), p.box) for p in picture.placed), key=lambda item: item[0])
    found = []
    for k, (a, one) in enumerate(boxes):
        for b, other in boxes[k + 1 :]:
            if b[0] >= a[2]:
                break
            if overlap(a, b):
                found.append((one.title, other.title))
    return found


def pieces(points, steps=8):
    """The line through `points` as short straight pieces; smooth steps are followed."""
    out = []
    for (x0, y0), (x1, y1) in pairwise(points):
        if abs(x0 - x1) < 0.05 or abs(y0 - y1) < 0.05:
            out.append(((x0, y0), (x1, y1)))
            continue
        middle, before = (y0 + y1) / 2, (x0, y0)
        for k in range(1, steps + 1):
            u = k / steps
            a, b, c, d = (1 - u) ** 3, 3 * u * (1 - u) ** 2, 3 * u * u * (1 - u), u**3
            here = (a * x0 + b * x0 + c * x1 + d * x1, a * y0 + (b + c) * middle + d * y1)
            out.append((before, here))
            before = here
    return out


def crosses(p, q):
    """Whether two pieces cross at a point inside both."""

    def side(a, b, c):
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    d1, d2, d3, d4 = side(*p, q[0]), side(*p, q[1]), side(*q, p[0]), side(*q, p[1])
    return d1 * d2 < -1e-6 and d3 * d4 < -1e-6


def lines(picture, buses=True):
    """Every line of a picture with what it joins: (source, target, pieces)."""
    found = [(w.edge.source.id, w.edge.target.id, pieces(w.points)) for w in picture.wires]
    if buses:
        for bus in picture.buses:
            found += [(bus.box.id, -1, pieces(route)) for route in bus.points + bus.taps]
    return found


def crossings(picture, buses=True):
    """Number of crossings between lines that do not come from, or lead to, the same box."""
    all_lines = lines(picture, buses)
    count = 0
    for k, (s, t, one) in enumerate(all_lines):
        for s2, t2, other in all_lines[k + 1 :]:
            if s == s2 or t == t2:
                continue
            count += any(crosses(p, q) for p in one for q in other)
    return count


def lines_through_boxes(picture, buses=True):
    """Lines that run through a box they do not join. The shared line of weights runs behind the cells it feeds."""
    found = []
    boxes = [(rectangle(p), p.box) for p in picture.placed]
    for s, t, parts in lines(picture, buses):
        for (left, top, right, bottom), box in boxes:
            if box.id in (s, t) or (t == -1 and box.column is not None and box.kind in ("module", "elided")):
                continue
            for (x0, y0), (x1, y1) in parts:
                if (
                    min(x0, x1) < right - 1
                    and max(x0, x1) > left + 1
                    and min(y0, y1) < bottom - 1
                    and max(y0, y1) > top + 1
                ):
                    found.append((s, t, box.title))
                    break
    return found


def placed_texts(root):
    """Every text element and how far down the groups around it move it."""
    waiting = [(root, 0.0)]
    for element, shift in waiting:  # grows while we walk it
        moved = re.fullmatch(r"translate\(0 ([\d.]+)\)", element.get("transform", ""))
        shift += float(moved.group(1)) if moved else 0.0
        waiting += [(child, shift) for child in element]
        if element.tag == f"{SVG}text":
            yield element, shift


def texts(svg):
    """Every text of an SVG with the rectangle it covers, by the same widths the layout uses: (text, rectangle)."""
    found = []
    for element, shift in placed_texts(ET.fromstring(svg)):
        kind = element.get("class", "")
        size = {
            "time": 13,
            "state": 14,
            "strip": 11,
            "tick": 10,
            "module": 11,
            "times": 10,
            "axis": 11,
            "callout": 12,
            "heading": 16,
            "badge": 11,
        }.get(kind.split(" ")[0], SMALL if "s" in kind.split() else TEXT)
        text = element.text or ""
        w = words.width(text, size)
        x, y = float(element.get("x")), float(element.get("y")) + shift
        names = set(kind.split())
        start = names & {"l", "strip", "module", "axis", "callout", "heading"}
        left = x if start else x - w if "r" in names else x - w / 2
        found.append((text, (left, y - size * 0.75, left + w, y + size * 0.2)))
    return found


def shown_texts_outside(svg):
    """Texts of boxes that are wider or higher than their box."""
    found = []
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        if "n" not in group.get("class", "").split():
            continue
        rect = group.find(f"{SVG}rect")
        if rect is None:
            continue  # a sign in the key
        left, top = float(rect.get("x")), float(rect.get("y"))
        right, bottom = left + float(rect.get("width")), top + float(rect.get("height"))
        inner = "".join(f"{t.text}|" for t in group.findall(f"{SVG}text"))
        for text, (x0, y0, x1, y1) in texts(f'<svg xmlns="{SVG[1:-1]}">{ET.tostring(group, encoding="unicode")}</svg>'):
            if x0 < left - 0.5 or x1 > right + 0.5 or y0 < top - 0.5 or y1 > bottom + 0.5:
                found.append((inner, text))
    return found


def text_on_text(svg):
    """Pairs of texts that cover each other."""
    items = sorted(texts(svg), key=lambda item: item[1])
    found = []
    for k, (one, a) in enumerate(items):
        for other, b in items[k + 1 :]:
            if b[0] >= a[2]:
                break
            if overlap(a, b):
                found.append((one, other))
    return found


def numbers(svg):
    """All numbers in path data and coordinates."""
    return [float(x) for x in re.findall(r"-?\d+\.?\d*", " ".join(re.findall(r'd="([^"]*)"', svg)))]
