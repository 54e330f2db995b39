"""Tables of medians and ratios, as text for the terminal or as Markdown for the docs."""

import math
import os
import platform
from collections.abc import Sequence
from importlib import metadata

from tests.benchmarks.names import SIDES
from tests.benchmarks.race import Result

# Two sides that compute the same step in float32 differ by rounding only.
SAME = 2e-3


class Table:
    """Rows of text under a heading. The first column is aligned left, the others right."""

    def __init__(self, title: str, header: Sequence[str]) -> None:
        self.title = title
        self.rows = [list(header)]
        self.notes: list[str] = []

    def add(self, *cells: str) -> None:
        """Append a row; it must have as many cells as the header."""
        assert len(cells) == len(self.rows[0]), f"{len(cells)} cells under {len(self.rows[0])} headings"
        self.rows.append(list(cells))

    def render(self, markdown: bool) -> str:
        """The whole table with title and notes."""
        widths = [max(len(row[column]) for row in self.rows) for column in range(len(self.rows[0]))]
        lines = [self._line(row, widths, markdown) for row in self.rows]
        ruler = ["-" * width if column == 0 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
        lines.insert(1, self._line(ruler if markdown else ["-" * width for width in widths], widths, markdown))
        title = f"### {self.title}\n" if markdown else self.title
        notes = [f"- {note}" if markdown else f"  {note}" for note in self.notes]
        return "\n".join([title, *lines, *([""] if notes and markdown else []), *notes, ""])

    @staticmethod
    def _line(cells: Sequence[str], widths: Sequence[int], markdown: bool) -> str:
        sized = list(zip(cells, widths, strict=True))
        padded = [cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(sized)]
        return f"| {' | '.join(padded)} |" if markdown else "  ".join(padded)


def duration(seconds: float) -> str:
    """Seconds with a unit that keeps three figures: 12.3 µs, 4.56 ms, 1.23 s."""
    if math.isnan(seconds):
        return "missing"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def ratio(value: float) -> str:
    """A ratio with two decimals; empty if it is NaN."""
    return "" if math.isnan(value) else f"{value:.2f}"


def race_table(title: str, results: dict[str, Result], references: Sequence[str]) -> Table:
    """One row a side: median, spread, first call, threads in use, and its time as a multiple of each reference's."""
    present = [side for side in references if side in results]
    against = [f"/ {SIDES[side].title}" for side in present]
    table = Table(title, ["side", "median", "quartiles", "first call", "threads", *against])
    for side, result in results.items():
        ratios = [ratio(result.over(results[other])) for other in present]
        if result.missing:
            table.add(SIDES[side].title, "missing", "", "", "", *ratios)
            table.notes.append(f"{SIDES[side].title}: {result.missing}")
            continue
        ordered = sorted(result.seconds)
        spread = f"{duration(ordered[len(ordered) // 4])} - {duration(ordered[-1 - len(ordered) // 4])}"
        table.add(
            SIDES[side].title, duration(result.median), spread, duration(result.first), f"{result.threads:.2f}", *ratios
        )
    table.notes += disagreements(results)
    return table


def disagreements(results: dict[str, Result]) -> list[str]:
    """A sentence for each side whose first three outputs are not those of the first side that has some."""
    known = {side: result.outputs for side, result in results.items() if result.outputs and None not in result.outputs}
    if not known:
        return []
    reference, expected = next(iter(known.items()))
    return [
        f"WRONG: {SIDES[side].title} computes {outputs}, {SIDES[reference].title} {expected}"
        for side, outputs in known.items()
        if any(not math.isclose(a, b, rel_tol=SAME, abs_tol=SAME) for a, b in zip(outputs, expected, strict=True))
    ]


def machine() -> str:
    """One line on what the figures were measured with."""
    versions = []
    for package in ("numpy", "torch", "jax", "autograd", "mygrad", "dezero"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} missing")
    return f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, {', '.join(versions)}"
