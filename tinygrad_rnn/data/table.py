"""Columns of CSV files: read with every doubtful cell refused by line and column, written so that no cell is a formula.

Floor 0: imports `errors`, `files` and `text` of this folder, and the csv module of the standard library.
"""

import csv
import io
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tinygrad_rnn.data.text import stream_text
from tinygrad_rnn.errors import DataError, explain
from tinygrad_rnn.files import Path, advice, replace

__all__ = ["column_names", "read_column", "write_columns"]

# float() would also take "1_000", "nan", digits of other scripts; a table that has those is not what it seems.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity|n/?a|null|none|#n/a|-+)?", re.IGNORECASE)
_WITH_COMMA = re.compile(r"[+-]?[\d. ]*\d,\d+")


def read_column(
    path: Path, column: str | int | None = None, *, delimiter: str = ",", decimal: str = ".", encoding: str = "utf-8"
) -> np.ndarray:
    """One column of numbers.

    path: a text file of rows; the first row may name the columns (it does if its cell in the column is no number).
    column: a name from the first row, or a number from 0; may be left out if there is only one.
    delimiter, decimal: what stands between cells, and before a fraction ("," in much of Europe).
    Returns (N,) float64, finite. Blank lines are skipped; between the rows of a single column they are empty cells.
    Raises DataError, naming line and column, for rows of unequal length, an empty cell, text, NaN, infinity, a number
    too large for float64, a decimal comma; for an unknown column (listing those there are); and what `stream_text`
    raises.
    """
    where = os.fspath(path)
    rows = _rows(stream_text(path, encoding=encoding), where, delimiter)
    line, first = next(rows, (0, []))
    if not first:
        raise DataError(explain(where, expected="rows of numbers", got="blank lines only"))
    place = _position(where, first, column, delimiter)
    named = isinstance(column, str) or not _is_value(first[place], decimal)
    label = f"column {first[place]!r}" if named else f"column {place}"
    values = [] if named else [_value(first[place], f"{where}, line {line}, {label}", decimal)]
    for line, row in rows:
        if len(row) != len(first):
            do = "Quote cells that contain the delimiter, or pass another delimiter."
            got = f"{len(row)}"
            raise DataError(explain(f"{where}, line {line}", expected=f"{len(first)} cells", got=got, do=do))
        values.append(_value(row[place], f"{where}, line {line}, {label}", decimal))
    if not values:
        raise DataError(explain(f"{where}, {label}", expected="numbers below the names", got="none"))
    return np.array(values, np.float64)


def column_names(path: Path, *, delimiter: str = ",", encoding: str = "utf-8") -> list[str]:
    """The cells of the first row that is not blank, stripped.

    Raises DataError if there is none, and what `stream_text` raises.
    """
    where = os.fspath(path)
    _, first = next(_rows(stream_text(path, encoding=encoding), where, delimiter), (0, []))
    if not first:
        raise DataError(explain(where, expected="a row of names", got="blank lines only"))
    return first


def write_columns(path: Path, columns: Mapping[str, np.ndarray | Sequence[float]]) -> None:
    """Write columns of numbers, equal in length, under their names, whole or not at all.

    columns: name -> (N,) real numbers, written so that float64 reads back bit for bit.
    A name that a spreadsheet would run as a formula (it begins with = + - @ or a tab) is written behind an apostrophe.
    Raises DataError for unequal lengths or other shapes, or if the file cannot be written.
    """
    arrays = [np.asarray(values) for values in columns.values()]
    shapes = [array.shape for array in arrays]
    if not arrays or any(len(shape) != 1 or shape != shapes[0] for shape in shapes):
        raise DataError(explain(os.fspath(path), expected="columns of one length, (N,) each", got=str(shapes)))
    if any(array.dtype.kind not in "fiu" for array in arrays):
        got = ", ".join(str(array.dtype) for array in arrays)
        raise DataError(explain(os.fspath(path), expected="columns of real numbers", got=got))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name for name in columns)
    writer.writerows(zip(*(array.tolist() for array in arrays), strict=True))
    try:
        replace(path, buffer.getvalue().encode())
    except OSError as error:
        got, do = advice(error)
        raise DataError(explain(os.fspath(path), expected="a place to write a table", got=got, do=do)) from error


def _rows(pieces: Iterator[str], where: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line number, from 1, and stripped cells of every row that is not blank.

    A blank line between rows of one cell is given as an empty cell: to skip it would shift all that follows in time.
    """
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise DataError(explain("delimiter", expected="one character", got=repr(delimiter), do="Such as ',' or ';'."))
    reader = csv.reader(_lines(pieces, where), delimiter=delimiter, strict=True)
    width = gap = 0  # cells of the last row; the first of the blank lines since then
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            do = "Close every quote; double one that belongs to the text."
            place = f"{where}, line {reader.line_num}"
            raise DataError(explain(place, expected="CSV", got=str(error), do=do)) from error
        if row is None:
            return
        cells = [cell.strip() for cell in row]
        if not row or (cells == [""] and row != [""]):  # white space alone; "" in quotes is a cell
            gap = gap or reader.line_num
            continue
        if gap and width == 1:
            yield gap, [""]
        width, gap = len(cells), 0
        yield reader.line_num, cells


def _lines(pieces: Iterator[str], where: str, longest: int = 1 << 20) -> Iterator[str]:
    """Lines with their ends. Raises DataError for one of over a million characters: no row of a table is so long."""
    rest, number = "", 1
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            yield line + "\n"
        number += len(whole)
        if len(rest) > longest:
            got = f"a line of over {longest:,} characters"
            raise DataError(explain(f"{where}, line {number}", expected="rows of a table", got=got))
    if rest:
        yield rest


def _position(where: str, first: list[str], column: str | int | None, delimiter: str) -> int:
    listed = ", ".join(repr(cell[:40]) for cell in first[:12]) + (", ..." if len(first) > 12 else "")
    if column is None:
        if len(first) > 1:
            got = f"{len(first)}: {listed}"
            do = "Choose one by name or by number from 0."
            raise DataError(explain(where, expected="one column", got=got, do=do))
        return 0
    if isinstance(column, str):
        if first.count(column) == 1:
            return first.index(column)
        got = f"{first.count(column)} of that name among {listed}"
        other = next((sign for sign in ";\t|" if len(first) == 1 and sign in first[0]), None)
        do = f"Is the delimiter {other!r}? Pass delimiter={other!r}." if other else "Choose by number, from 0."
        raise DataError(explain(where, expected=f"a column {column!r}", got=got, do=do))
    if not 0 <= column < len(first):
        raise DataError(explain(where, expected=f"a column from 0 to {len(first) - 1}", got=str(column)))
    return column


def _is_value(cell: str, decimal: str) -> bool:
    """Whether the first row's cell is meant as a value, sound or not, rather than as a name."""
    return bool(_NUMBER.fullmatch(cell.replace(decimal, ".")) or _WITH_COMMA.fullmatch(cell) or not cell) or (
        _NOT_FINITE.fullmatch(cell) is not None
    )


def _value(cell: str, where: str, decimal: str) -> float:
    plain = cell if decimal == "." else cell.replace(".", "x").replace(decimal, ".")
    if _NUMBER.fullmatch(plain):
        value = float(plain)
        if math.isfinite(value):
            return value
        raise DataError(explain(where, expected="a number that float64 can hold", got=repr(cell[:40])))
    if _WITH_COMMA.fullmatch(cell) and decimal == ".":
        do = "If that is a decimal comma, pass decimal=','; thousands are written without separators."
    elif _NOT_FINITE.fullmatch(cell):
        do = "Fill or cut such gaps before loading."
    else:
        do = "Correct the cell or choose another column."
    raise DataError(explain(where, expected="a finite number", got=repr(cell[:40]) if cell else "an empty cell", do=do))
