"""The compiler's view: what each pass leaves of a program, which instructions were batched, how long values live.

A program is anything with `instructions`, each with op, args, shape, dtype, scope, backward, nbytes: the compiler is
not imported. Instructions are small tiles, a row for each kind of work (op and module), a column for each pass; one
that does the work of several is as wide as those it replaces. Below, every value that takes memory is a bar from the
instruction that writes it to the last that reads it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from .model import words
from .saving import Shown
from .svg import Content, check_theme, document, escape
from .svg.path import num

VIEWS = frozenset({"reshape", "transpose", "broadcast_to", "getitem", "strided"})
"""Ops that only look at memory: they are counted and not drawn."""

LABEL, CELL, ROW, APART, LEFT, TOP, TILE = 220.0, 150.0, 22.0, 14.0, 28.0, 64.0, 12.0
MOST_BARS, BAR, NAME = 160, 5.0, 13.0


class Row:
    """One kind of work. key: (backward, module path, op). cells: its instructions as recorded and after each pass."""

    def __init__(self, key: tuple[bool, str, str]) -> None:
        self.key = key
        self.cells: list[list[Any]] = []


class ProgramDrawing(Shown):
    """A drawing of a program and its passes. stages: (name of the pass, program after it); the first is as recorded."""

    def __init__(self, stages: Iterable[tuple[str, Any]], theme: str, title: str) -> None:
        self.stages = [(name, [i for i in program.instructions if _works(i)]) for name, program in stages]
        self.theme = theme
        self.title = title
        self.rows = _rows(self.stages)

    @functools.cached_property
    def svg(self) -> str:
        """An SVG document: no scripts, nothing from outside."""
        return document(self._content(), self.theme, self.title, self.summary)

    def flat(self) -> str:
        """The SVG, light unless dark was asked for."""
        theme = "dark" if self.theme == "dark" else "light"
        return document(self._content(), theme, self.title, self.summary)

    @property
    def summary(self) -> str:
        """How many instructions there were and are, and how many are batched."""
        first, last = self.stages[0][1], self.stages[-1][1]
        batched = sum(_group(row, i) > 1 for row in self.rows for i in row.cells[-1])
        return (
            f"Program of {words.count(len(first), 'instruction')} as recorded and {len(last)} after "
            f"{words.count(len(self.stages) - 1, 'pass', 'passes')}; "
            f"{batched} of them {'does' if batched == 1 else 'do'} the work of several."
        )

    @property
    def text(self) -> str:
        """A table: one line for each kind of work, one column for each pass."""
        head = ["work", *(name for name, _ in self.stages)]
        table = [head] + [[_called(row), *(_counted(row, cell) for cell in row.cells)] for row in self.rows]
        widths = [max(len(line[k]) for line in table) for k in range(len(head))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in table]
        return self.summary + "\n\n" + "\n".join(lines) + "\n"

    def _content(self) -> Content:
        parts, y = [_heads(self.stages)], TOP
        behind = False
        for row in self.rows:
            if row.key[0] and not behind:
                behind = True
                parts.append(_cut(y, len(self.stages)))
                y += 20
            parts.append(_tiles(row, y))
            y += ROW
        width = LEFT + LABEL + (CELL + APART) * len(self.stages) + 14
        bars, y = _lifetimes(self.stages[-1][1], y + 34, width - 2 * LEFT)
        parts.append(bars)
        return Content("".join(parts), width, y + 20)


def draw_program(stages: Iterable[tuple[str, Any]], theme: str = "auto", title: str = "Program") -> ProgramDrawing:
    """Draw a program before and after its passes.

    stages: (name, program) pairs, as recorded first. Passes that change nothing are left out.
    Raises ValueError if there is no program.
    """
    check_theme(theme)
    kept: list[tuple[str, Any]] = []
    for name, program in stages:
        if not kept or _print(program) != _print(kept[-1][1]):
            kept.append((name, program))
    if not kept:
        raise ValueError("viz.draw: the compiled function has no program; call it once, or give draw() sample input.")
    return ProgramDrawing(kept, theme, title)


def _print(program: Any) -> list[Any]:
    return sorted((_key(i), i.shape) for i in program.instructions if _works(i))


def _works(instruction: Any) -> bool:
    return instruction.primitive is not None and instruction.op not in VIEWS


def _key(instruction: Any) -> tuple[bool, str, str]:
    return (bool(instruction.backward), words.clean(instruction.scope.path), words.clean(instruction.op))


def _rows(stages: Sequence[tuple[str, list[Any]]]) -> list[Row]:
    """Kinds of work in order of first appearance, what lies behind the cut last."""
    rows: dict[tuple[bool, str, str], Row] = {}
    for _, instructions in stages:
        for i in instructions:
            if _key(i) not in rows:
                rows[_key(i)] = Row(_key(i))
    for _, instructions in stages:
        for row in rows.values():
            row.cells.append([])
        for i in instructions:
            rows[_key(i)].cells[-1].append(i)
    return sorted(rows.values(), key=lambda row: row.key[0])


def _group(row: Row, instruction: Any) -> int:
    """How many recorded instructions one stands for: it computes them on a longer first axis."""
    recorded = {i.shape for i in row.cells[0]}
    shape = tuple(instruction.shape)
    if shape in recorded or len(row.cells[0]) < 2 or not shape:
        return 1
    for known in sorted(recorded):
        if shape[1:] == known and shape[0] > 1:
            return int(shape[0])
        if known and shape[1:] == known[1:] and known[0] and shape[0] % known[0] == 0:
            return int(shape[0] // known[0])
    return 1


def _called(row: Row) -> str:
    _, path, op = row.key
    return f"{op} · {path}" if path else op


def _counted(row: Row, cell: list[Any]) -> str:
    batched = [_group(row, i) for i in cell if _group(row, i) > 1]
    return str(len(cell)) + (
        f" ({', '.join(f'×{k}' for k in batched[:3])}{', …' if batched[3:] else ''})" if batched else ""
    )


def _heads(stages: Sequence[tuple[str, list[Any]]]) -> str:
    out = []
    for k, (name, instructions) in enumerate(stages):
        x = LEFT + LABEL + k * (CELL + APART)
        count = f"{words.count(len(instructions), 'instruction')}, {words.octets(sum(i.nbytes for i in instructions))}"
        out.append(f'<text class="strip pass" x="{num(x)}" y="30">{escape(words.clean(name))}</text>')
        out.append(f'<text class="axis" x="{num(x)}" y="46">{count}</text>\n')
    return "".join(out)


def _cut(y: float, stages: int) -> str:
    right = LEFT + LABEL + stages * (CELL + APART)
    return (
        f'<path class="markline" d="M{num(LEFT)} {num(y + 4)}H{num(right)}"/>'
        f'<text class="strip mark" x="{num(LEFT)}" y="{num(y + 17)}">backward</text>\n'
    )


def _tiles(row: Row, y: float) -> str:
    name = escape(words.shorten(_called(row), 11, LABEL - 12))
    out = [f'<text class="strip" x="{num(LEFT)}" y="{num(y + 14)}">{name}</text>']
    total = max(sum(_group(row, i) for i in cell) for cell in row.cells) or 1
    unit = min(CELL / total, TILE)
    for k, cell in enumerate(row.cells):
        x = LEFT + LABEL + k * (CELL + APART)
        for i in cell:
            wide = unit * _group(row, i)
            batched = " batched" if _group(row, i) > 1 else ""
            gap = min(2.0, unit * 0.2)
            kind, size = escape(i.primitive.kind), num(max(0.6, wide - gap))
            out.append(
                f'<g class="n op {kind}{batched}" tabindex="0"><title>{escape(_tip(row, i))}</title>'
                f'<rect x="{num(x)}" y="{num(y + 2)}" width="{size}" height="{num(ROW - 6)}" rx="2"/>'
            )
            if batched and wide > 26:
                out.append(f'<text class="tick" x="{num(x + wide / 2)}" y="{num(y + 13.5)}">×{_group(row, i)}</text>')
            out.append("</g>")
            x += wide
    return "".join(out) + "\n"


def _tip(row: Row, i: Any) -> str:
    where = i.scope.path + (f" at t = {i.scope.t}" if i.scope.t is not None and _group(row, i) == 1 else "")
    lines = [f"{i.op} {where}".strip(), f"{i.dtype} {words.shape(i.shape)}, {words.octets(i.nbytes)}"]
    if _group(row, i) > 1:
        lines.append(f"does the work of {_group(row, i)} instructions at once")
    return "\n".join(words.clean(line) for line in lines)


def _lifetimes(instructions: list[Any], top: float, width: float) -> tuple[str, float]:
    """A bar for each value, the largest if there are many: from the instruction that writes it to its last reader.

    Names stand at the left, where not all find room of the largest and longest; the axis below counts instructions.
    """
    position = {id(i): k for k, i in enumerate(instructions)}
    last = {id(i): k for k, i in enumerate(instructions)}
    for k, i in enumerate(instructions):
        for a in _read(i):
            if id(a) in last:
                last[id(a)] = k
    largest = sorted(instructions, key=lambda i: (-i.nbytes, position[id(i)]))[:MOST_BARS]
    shown = sorted(largest, key=lambda i: position[id(i)])
    alive, when = _alive(instructions, last)
    few = f" Here the {MOST_BARS} largest of {len(instructions)}." if len(shown) < len(instructions) else ""
    said = (
        f"Buffers: at most {words.octets(alive)} alive at once, at instruction {when}. "
        f"A bar for each value, from the instruction that writes it to the last that reads it.{few}"
    )
    out = [f'<text class="strip pass" x="{num(LEFT)}" y="{num(top)}">{said}</text>']
    start, unit = LEFT + LABEL, (width - LABEL) / max(1, len(instructions))
    first, end = top + 14, top + 14 + BAR * len(shown)
    out.append(_counting(instructions, start, unit, first, end))
    height = {id(i): first + BAR * k for k, i in enumerate(shown)}
    lived = {id(i): last[id(i)] - position[id(i)] for i in shown}
    for i in _named(sorted(shown, key=lambda i: (-i.nbytes, -lived[id(i)])), height):
        y, name = height[id(i)] + BAR / 2, escape(words.shorten(_title(i), 10, LABEL - 60))
        x = start + position[id(i)] * unit
        out.append(
            f'<path class="frame" d="M{num(LEFT + LABEL - 6)} {num(y)}H{num(x)}"/>'
            f'<text class="name" x="{num(LEFT)}" y="{num(y + 3.5)}">{name}</text>'
            f'<text class="name r" x="{num(start - 10)}" y="{num(y + 3.5)}">{words.octets(i.nbytes)}</text>\n'
        )
    for i in shown:
        x = start + position[id(i)] * unit
        wide = max(1.5, (last[id(i)] - position[id(i)] + 1) * unit)
        until = f"instructions {position[id(i)]} to {last[id(i)]}"
        note = f"{_title(i)}\n{i.dtype} {words.shape(i.shape)}, {words.octets(i.nbytes)}\n{until}"
        out.append(
            f'<g class="n op {escape(i.primitive.kind)}"><title>{escape(note)}</title>'
            f'<rect x="{num(x)}" y="{num(height[id(i)])}" width="{num(wide)}" height="{num(BAR - 1)}"/></g>'
        )
    return "".join(out) + "\n", end + 34


def _title(instruction: Any) -> str:
    path = instruction.scope.path
    return words.clean(f"{instruction.op} · {path}" if path else instruction.op)


def _named(instructions: list[Any], height: dict[int, float]) -> list[Any]:
    """Those whose names find room at the left, in order of preference."""
    taken: list[float] = []
    found = []
    for i in instructions:
        y = height[id(i)]
        if all(abs(y - other) >= NAME for other in taken):
            taken.append(y)
            found.append(i)
    return found


def _counting(instructions: list[Any], start: float, unit: float, top: float, bottom: float) -> str:
    """The axis below the bars, and where the backward part begins."""
    n = len(instructions)
    step = next(s for k in range(12) for s in (10**k, 2 * 10**k, 5 * 10**k) if s * 12 >= n)
    ticks = range(0, n, step)
    marks = "".join(f"M{num(start + (k + 0.5) * unit)} {num(bottom + 4)}v6" for k in ticks)
    out = [f'<path class="axis" d="M{num(start)} {num(bottom + 4)}H{num(start + n * unit)}{marks}"/>']
    out += [f'<text class="tick" x="{num(start + (k + 0.5) * unit)}" y="{num(bottom + 21)}">{k}</text>' for k in ticks]
    out.append(f'<text class="axis" x="{num(LEFT)}" y="{num(bottom + 21)}">instruction</text>')
    behind = next((k for k, i in enumerate(instructions) if i.backward), None)
    if behind is not None:
        x = start + behind * unit
        out.append(
            f'<path class="markline" d="M{num(x)} {num(top)}V{num(bottom + 4)}"/>'
            f'<text class="strip mark" x="{num(x + 6)}" y="{num(top - 2)}">backward</text>'
        )
    return "".join(out) + "\n"


def _read(instruction: Any) -> list[Any]:
    """The instructions whose memory one reads: its operands, seen through views."""
    found = list(instruction.args)
    for a in found:  # grows while we walk it
        if a.primitive is not None and a.op in VIEWS:
            found += a.args
    return found


def _alive(instructions: list[Any], last: dict[int, int]) -> tuple[int, int]:
    """The most bytes that are needed at the same time, and at which instruction first."""
    ends: dict[int, int] = {}
    for i in instructions:
        ends[last[id(i)]] = ends.get(last[id(i)], 0) + i.nbytes
    most = now = when = 0
    for k, i in enumerate(instructions):
        now += i.nbytes
        if now > most:
            most, when = now, k
        now -= ends.get(k, 0)
    return most, when
