"""The figures of a run as lines of JSON, one object each, in a file that survives kills and resumption.

Imports `errors` and `files`.
"""

import errno
import json
import os
from typing import Any

from tinygrad_rnn.errors import DataError, explain
from tinygrad_rnn.files import Path, advice, open_regular, replace

__all__ = ["append", "read", "rewind"]


def append(path: Path, figures: dict[str, Any]) -> None:
    """Add a line, in one write, whole or not at all. NaN and infinity are written as null, for JSON has neither.

    Raises DataError.
    """
    line = json.dumps({key: _plain(value) for key, value in figures.items()}, allow_nan=False).encode() + b"\n"
    try:
        with open(path, "ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if file.write(line) < len(line):  # the disk is full in the midst of it
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        got, do = advice(error)
        raise DataError(explain(os.fspath(path), expected="a place to write metrics", got=got, do=do)) from error


def read(path: Path) -> list[dict[str, Any]]:
    """All lines. A last line without its end, as a kill leaves it, is dropped.

    Raises DataError for a line that is no JSON, and if the file cannot be read.
    """
    try:
        with open_regular(path) as file:
            lines = file.read().split(b"\n")
    except OSError as error:
        got, do = advice(error, reading=True)
        raise DataError(explain(os.fspath(path), expected="metrics to read", got=got, do=do)) from error
    found = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            where = f"{os.fspath(path)}, line {number}"
            raise DataError(explain(where, expected="a JSON object", got=str(error)[:80])) from error
    return found


def rewind(path: Path, step: int) -> None:
    """Drop the lines of later steps: a resumed run will write them again. Does nothing if there is no file."""
    if os.path.exists(path):
        kept = [figures for figures in read(path) if figures.get("step", 0) <= step]
        replace(path, "".join(json.dumps(figures) + "\n" for figures in kept).encode())


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value
