"""The series of the dashboard: the curves of the course that the model comes from, or a CSV file of the user's."""

import csv
import io
import math
import re
from typing import NamedTuple

import numpy as np

from tinygrad_rnn.data import decoded
from tinygrad_rnn.errors import DataError, explain

__all__ = ["Series", "built_in", "uploaded"]

LARGEST, LONGEST = 2_000_000, 2000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Series(NamedTuple):
    """Inputs and targets, each (T, 1) float64, to train on, and others that training never sees."""

    x: np.ndarray
    y: np.ndarray
    x_unseen: np.ndarray
    y_unseen: np.ndarray
    name: str


def built_in(seed: int = 0) -> Series:
    """sin(x/20) + noise + 0.2 exp(x/100) from -100 to 100; unseen: the same from -20 to 50 with noise drawn anew."""
    rng = np.random.default_rng(seed)

    def curve(x: np.ndarray) -> np.ndarray:
        return np.sin(0.05 * x) + 0.1 * rng.standard_normal(len(x)) + 0.2 * np.exp(0.01 * x)

    x, unseen = np.arange(-100, 100, 0.5), np.arange(-20, 50, 0.5)
    return Series(x[:, None], curve(x)[:, None], unseen[:, None], curve(unseen)[:, None], "sine with a rising tail")


def uploaded(data: bytes, name: str) -> Series:
    """A CSV file of one column (y) or two (x, y), a row of names or not; the last fifth is left unseen.

    x is brought to -100 ... 100, y to mean 0 and deviation 1, which is what the default learning rate is made for.
    Raises DataError, naming line and cell, for anything that is no such table.
    """
    if len(data) > LARGEST:
        raise DataError(explain(name, expected=f"at most {LARGEST:,} bytes", got=f"{len(data):,}"))
    text = "".join(decoded([data], name, "utf-8"))
    try:
        rows = [(line, [cell.strip() for cell in row]) for line, row in enumerate(csv.reader(io.StringIO(text)), 1)]
    except csv.Error as error:
        raise DataError(explain(name, expected="CSV", got=str(error))) from error
    filled = [row for row in rows if row[1] not in ([], [""])]
    if filled and len(filled[0][1]) == 1:  # in a single column a blank line between two others is a gap in time
        filled = rows[rows.index(filled[0]) : rows.index(filled[-1]) + 1]
    rows = filled if not filled or all(map(_is_number, filled[0][1])) else filled[1:]
    if not 30 <= len(rows) <= LONGEST:
        raise DataError(explain(name, expected=f"30 to {LONGEST:,} rows of numbers", got=f"{len(rows):,}"))
    columns = len(rows[0][1])
    if columns not in (1, 2):
        raise DataError(explain(name, expected="one column (y) or two (x, y)", got=str(columns)))
    values = np.empty((len(rows), columns))
    for i, (line, row) in enumerate(rows):
        for j, cell in enumerate(row if len(row) == columns else [""]):
            if not _is_number(cell):
                expected, got = f"{columns} finite number{'s' * (columns > 1)}", repr(",".join(row)[:40])
                raise DataError(explain(f"{name}, line {line}", expected=expected, got=got))
            values[i, j] = float(cell)
    x = values[:, 0] if columns == 2 else np.arange(len(values), dtype=np.float64)
    y = values[:, -1]
    if np.ptp(y) < 1e-12 or np.ptp(x) < 1e-12:
        raise DataError(explain(name, expected="values that change", got="a constant column"))
    x, y = 200 * (x - x.min()) / np.ptp(x) - 100, (y - y.mean()) / y.std()
    cut = len(x) * 4 // 5
    return Series(x[:cut, None], y[:cut, None], x[cut:, None], y[cut:, None], name)


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None and math.isfinite(float(cell))
