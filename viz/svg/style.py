"""The style sheet inside an SVG, in the colours of a theme. All rules hold for the one picture only."""

from __future__ import annotations

from ..layout.measure import SMALL, TEXT
from .theme import DARK, LIGHT

FONT = "'Helvetica Neue',Helvetica,Arial,'Liberation Sans',sans-serif"

PAGE = "net"
"""The class of pictures inside a page."""

_FIXED = f"""
@ text{{font-family:{FONT};font-size:{TEXT}px;text-anchor:middle;stroke:none}}
@ text.s{{font-size:{SMALL}px}}
@ text.l{{text-anchor:start}}
@ text.r{{text-anchor:end}}
@ text.time{{font-weight:600;font-size:13px}}
@ text.module{{text-anchor:start;font-size:11px;font-weight:600}}
@ text.state{{font-style:italic;font-family:Georgia,'Times New Roman','Liberation Serif',serif;font-size:14px}}
@ text.axis{{text-anchor:start;font-size:11px}}
@ text.times,@ text.tick{{font-size:10px}}
@ text.strip,@ text.name{{text-anchor:start;font-size:11px}}
@ text.strip.mark{{font-weight:600}}
@ text.name{{font-size:10px}}
@ text.name.r{{text-anchor:end}}
@ .markline{{stroke-width:1.4;stroke-dasharray:3 3}}
@ .backward{{stroke-dasharray:6 3}}
@ .n.accused>rect{{stroke-width:3.4}}
@ text.callout{{text-anchor:start;font-weight:600;font-size:12px}}
@ text.heading{{text-anchor:start;font-weight:600;font-size:16px}}
@ text.badge{{font-weight:700;font-size:11px}}
@ path{{fill:none;stroke-width:1.4}}
@ path.cap{{stroke-width:1}}
@ .e.recurrent{{stroke-width:2.2}}
@ .e.cut{{stroke-width:2.2;stroke-dasharray:1 5;stroke-linecap:round}}
@ .e.part{{stroke-dasharray:5 4}}
@ .e.weight,@ .bus path{{stroke-width:1.1}}
@ .e{{marker-end:url(#IDENTd)}}
@ .e.recurrent,@ .e.cut{{marker-end:url(#IDENTr)}}
@ .e.weight,@ .bus .t{{marker-end:url(#IDENTw)}}
@ .backward{{marker-end:url(#IDENTb)}}
@ .n rect{{stroke-width:1.2}}
@ .n.root>rect{{stroke-width:2.6}}
@ .n.constant>rect,@ .n.elided>rect,@ .n.shape>rect,@ .n.index>rect{{stroke-dasharray:4 3}}
@ .n.module text{{font-weight:600}}
@ .n.module text.s{{font-weight:400}}
@ .n.still text{{font-style:italic}}
@ .frame{{fill:none;stroke-width:1}}
@ .band.hidden{{stroke-dasharray:3 4}}
@ .n:focus{{outline:none}}
@ .n:focus>rect{{stroke-width:3}}
"""

_COLOURED = """
@ .ground{fill:<ground>}
@ text{fill:<text>}
@ text.s,@ text.axis,@ text.module,@ text.times,@ text.name{fill:<muted>}
@ text.tick{fill:<muted>}
@ text.state{fill:<state>}
@ text.mark,@ text.callout{fill:<mark>}
@ .markline{stroke:<mark>}
@ .backward{stroke:<backward>}
@ path.cutmark{stroke:<mark>;stroke-width:2}
@ text.cutmark{fill:<mark>;font-size:10.5px}
@ .band{fill:<band>;stroke:none}
@ .band.hidden{fill:none;stroke:<faint>}
@ .frame{stroke:<faint>}
@ .e,@ path.axis,@ path.cap{stroke:<line>}
@ .e.recurrent,@ .e.cut{stroke:<state>}
@ .e.weight,@ .bus path{stroke:<bus>}
@ .n rect{fill:<op>;stroke:<op line>}
@ .n.contract>rect{fill:<gate>;stroke:<gate line>}
@ .n.batched>rect{fill:<module>;stroke:<module line>;stroke-width:2}
@ .n.module>rect{fill:<module>;stroke:<module line>}
@ .n.parameter>rect{fill:<parameter>;stroke:<parameter line>}
@ .n.parameter>.spine{fill:<parameter line>}
@ .n.input>rect{fill:<input>;stroke:<input line>}
@ .n.constant>rect,@ .n.elided>rect{fill:<constant>;stroke:<op line>}
@ .n.back>rect{stroke:<backward>}
@ .n.accused>rect{stroke:<mark>}
@ circle.badge{fill:<mark>}
@ text.badge{fill:<ground>}
@ .saved{fill:<text>}
@ .head-d{fill:<line>}@ .head-r{fill:<state>}@ .head-w{fill:<bus>}@ .head-b{fill:<backward>}
"""


def _in_colours(rules: str, colours: dict[str, str]) -> str:
    for name, value in colours.items():
        rules = rules.replace(f"<{name}>", value)
    return rules


def sheet(ident: str, theme: str, extra: str = "") -> str:
    """The rules for the picture with class `ident`; "auto" carries both themes and lets the reader's system choose."""
    fixed, coloured = _FIXED, _COLOURED + extra
    if theme == "auto":
        text = (
            fixed
            + _in_colours(coloured, LIGHT)
            + "@media(prefers-color-scheme:dark){"
            + _in_colours(coloured, DARK)
            + "}"
        )
    else:
        text = fixed + _in_colours(coloured, DARK if theme == "dark" else LIGHT)
    return text.replace("@ ", f".{ident} ").replace("IDENT", ident).strip()


def page_sheet() -> str:
    """The rules for all pictures of a page: light, or dark where the page's root says `data-theme="dark"`."""
    light = (_FIXED + _in_colours(_COLOURED, LIGHT)).replace("@ ", f".{PAGE} ")
    dark = _in_colours(_COLOURED, DARK).replace("@ ", f':root[data-theme="dark"] .{PAGE} ')
    return light.strip().replace("IDENT", PAGE) + dark


def markers(ident: str) -> str:
    """Arrow heads: for data, recurrent, weight and backward edges."""
    return "".join(
        f'<marker id="{ident}{kind}" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="{size}" markerHeight="{size}" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="head-{kind}" d="M0 .6 8 4 0 7.4z"/></marker>'
        for kind, size in (("d", 8), ("r", 10), ("w", 6), ("b", 9))
    )
