"""What a comparison of gradients found: as data, as a table in text and HTML, and as a heat map over parameters and
time.
"""

from __future__ import annotations

import html
import io
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..plots import literal

__all__ = ["Report", "Row", "Steps", "Verdict"]

_HEADINGS = ("parameter", "shape", "verdict", "max abs", "max rel", "cosine", "worst entry", "differences", "torch")


class Verdict(NamedTuple):
    """kind: exact, scaled, transposed, transposed and scaled, other, wrong shape, missing or not given. factor: of
    scaled ones.
    """

    kind: str
    factor: float | None = None
    note: str = ""

    def __str__(self) -> str:
        text = self.kind if self.factor is None else f"{self.kind} by {self.factor:.6g}"
        return f"{text} ({self.note})" if self.note else text


class Row(NamedTuple):
    """One parameter: the handwritten gradient against autograd's, which also stands against differences and PyTorch.

    absolute: largest difference. relative: that, by the largest entry of either. cosine: of the angle between them,
    None if one is zero. worst: index of the entry with the largest difference, and both values there. numeric: error of
    autograd against central differences. peer: error of autograd against PyTorch. got: the manual's shape if it is
    another.
    """

    name: str
    shape: tuple[int, ...]
    verdict: Verdict
    absolute: float | None = None
    relative: float | None = None
    cosine: float | None = None
    worst: tuple[int, ...] | None = None
    worst_manual: float | None = None
    worst_autograd: float | None = None
    numeric: float | None = None
    peer: float | None = None
    got: tuple[int, ...] | None = None

    @property
    def whole_error(self) -> float:
        """`relative`, or 1 where there is nothing of the right shape to compare."""
        if self.relative is not None:
            return self.relative
        return 0.0 if self.verdict.kind == "not given" else 1.0

    def cells(self) -> list[str]:
        """The row as text, in the order of the headings."""
        worst = "-"
        if self.worst is not None and self.verdict.kind != "exact":
            worst = f"{list(self.worst)}: {self.worst_manual:.4g}, not {self.worst_autograd:.4g}"
        shape = str(list(self.shape)) + (f", got {list(self.got)}" if self.got is not None else "")
        numbers = [
            _number(self.absolute, ".1e"), _number(self.relative, ".1e"), _number(self.cosine, ".6f"), worst,
            _number(self.numeric, ".1e"), _number(self.peer, ".1e"),
        ]  # fmt: skip
        return [self.name, shape, str(self.verdict), *numbers]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


class Steps(Protocol):
    """Where a report has its per-step figures from; see the methods of the same names of `Report`."""

    def contributions(self, name: str) -> dict[int, np.ndarray]: ...

    def errors(self, name: str) -> tuple[dict[int, float], bool]: ...


class Report:
    """The result of `compare_gradients`.

    ok: whether all sides agree, for all parameters. rows: one per parameter, in the order of `params`. rtol: what
    counted as equal. `report["weight_hh"]` is the row of that name.
    """

    def __init__(self, ok: bool, rows: tuple[Row, ...], rtol: float, steps: Steps) -> None:
        self.ok = ok
        self.rows = rows
        self.rtol = rtol
        self._steps = steps

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"report: expected one of {', '.join(row.name for row in self.rows)}, got {name!r}.")

    def __bool__(self) -> bool:
        return self.ok

    def contributions(self, name: str) -> dict[int, np.ndarray]:
        """Time step -> what it adds to the gradient of a parameter (autograd's side), an array of its shape.

        Empty where the graph has no time steps. The sum over the steps is the gradient.
        """
        return self._steps.contributions(name)

    def step_errors(self, name: str) -> tuple[dict[int, float], bool]:
        """Time step -> relative error of the cotangents that must lie behind the handwritten gradient, last step first.

        The second value says whether the gradients determine them; otherwise it is the smallest change that explains
        the numbers. Empty where the graph has no time, and where no cotangents at all lead to these numbers (a
        transposed gradient, say).
        """
        return self._steps.errors(name)

    def __str__(self) -> str:
        text = _rich_table(self.rows) or _plain_table(self.rows)
        return f"{text}\n{self._summary()}"

    def _summary(self) -> str:
        wrong = [row.name for row in self.rows if row.verdict.kind not in ("exact", "not given")]
        if self.ok:
            numeric = any(row.numeric is not None for row in self.rows)
            differences = f", finite differences to {numeric_rtol(self.rtol):.0e}" if numeric else ""
            return f"All sides agree to {self.rtol:.0e}{differences}."
        return (
            f"Wrong: {', '.join(wrong)}."
            if wrong
            else "Autograd, differences and PyTorch do not agree among themselves."
        )

    def _repr_html_(self) -> str:
        """The table for notebooks."""
        head = "".join(f"<th>{html.escape(text)}</th>" for text in _HEADINGS)
        body = "".join(
            f'<tr style="background:{"none" if row.verdict.kind in ("exact", "not given") else "#fdd"}">'
            + "".join(f"<td>{html.escape(text)}</td>" for text in row.cells())
            + "</tr>"
            for row in self.rows
        )
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{html.escape(self._summary())}</p>"
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw a heat map: log10 of the error by parameter (rows) and time step (columns); returns the matplotlib axes.

        ax: axes to draw on; new ones unless given. What counts as equal is grey, and the error of the whole gradient
        stands at the right. A parameter without time, or whose numbers no cotangents explain, shows its whole error at
        every step. Raises ModuleNotFoundError without matplotlib (extra `plot`).
        """
        errors = {row.name: self.step_errors(row.name)[0] for row in self.rows}
        times = sorted({t for found in errors.values() for t in found}) or [0]
        table = np.array(
            [[errors[row.name].get(t, row.whole_error) for t in times] for row in self.rows], dtype=np.float64
        )
        try:
            import matplotlib as mpl
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("Report.plot needs matplotlib: pip install 'tinygrad_rnn[plot]'.") from error
        if ax is None:
            import matplotlib.pyplot as plt

            size = 3 + 0.6 * min(len(times), 20), 2 + 0.4 * len(self.rows)
            ax = plt.subplots(figsize=size, layout="constrained")[1]
        low = min(np.log10(self.rtol), -1.0) if self.rtol > 0 else -16.0
        # beyond 100 it was next to nothing that is wrong
        high = min(np.ceil(np.log10(max(table.max(initial=0), 1.0))), 2.0)
        colours = mpl.colormaps["YlOrRd"].with_extremes(under=_EQUAL)
        image = ax.imshow(np.log10(np.clip(table, 1e-16, None)), cmap=colours, vmin=low, vmax=high, aspect="auto")
        every = -(-len(times) // 20)  # more labels than that would run into each other
        ax.set_xticks(range(0, len(times), every), [str(t) for t in times[::every]])
        ax.set_yticks(range(len(self.rows)), [literal(row.name) for row in self.rows])
        ax.set_xlabel("time step")
        ax.set_title("error of the handwritten gradient")
        whole = ax.secondary_yaxis("right")
        whole.set_yticks(range(len(self.rows)), [_short(row.whole_error) for row in self.rows])
        whole.set_ylabel("all steps")
        if len(times) <= _MOST_NUMBERS:
            for (i, j), error in np.ndenumerate(table):
                dark = image.norm(np.log10(max(error, 1e-16))) > 0.6
                ax.text(j, i, _short(error), ha="center", va="center", size=8, color="white" if dark else "black")
        bar = ax.figure.colorbar(
            image,
            ax=ax,
            location="bottom",
            extend="min" if table.max(initial=0) <= 10**high else "both",
            aspect=40,
            shrink=0.7,
        )
        bar.set_label(f"log10 of the relative error (grey: at most {self.rtol:.0e}, counts as equal)")
        return ax


def numeric_rtol(rtol: float) -> float:
    """How closely finite differences have to agree, where the other sides have to agree to `rtol`."""
    return max(rtol, 1e-6)


_EQUAL, _MOST_NUMBERS = "#eceff3", 14
"""In the heat map: the colour of errors that count as equal, and how many numbers fit side by side."""


def _short(error: float) -> str:
    """An error in few signs: 0.47, 6e-16."""
    return f"{error:.2g}" if error >= 1e-3 or error == 0 else f"{error:.0e}"


def _plain_table(rows: tuple[Row, ...]) -> str:
    """Columns lined up with spaces; those that say nothing are left out."""
    table = [list(_HEADINGS), *(row.cells() for row in rows)]
    kept = [j for j in range(len(_HEADINGS)) if j < 3 or any(line[j] != "-" for line in table[1:])]
    widths = [max(len(line[j]) for line in table) for j in kept]
    return "\n".join("  ".join(line[j].ljust(w) for j, w in zip(kept, widths, strict=True)).rstrip() for line in table)


def _rich_table(rows: tuple[Row, ...]) -> str:
    """The same with rules, by rich; empty if that is not installed."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ModuleNotFoundError:
        return ""
    cells = [row.cells() for row in rows]
    kept = [j for j in range(len(_HEADINGS)) if j < 3 or any(line[j] != "-" for line in cells)]
    table = Table(box=None, pad_edge=False)
    for j in kept:
        table.add_column(_HEADINGS[j], no_wrap=True)
    for line in cells:
        table.add_row(*(line[j] for j in kept))
    out = io.StringIO()
    # In a notebook rich would show the table itself, whatever the file.
    console = Console(file=out, width=200, color_system=None, highlight=False, markup=False, force_jupyter=False)
    console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip("\n").split("\n"))
