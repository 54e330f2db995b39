"""What a command says, and how it fails: text for people, one JSON object for machines, exit codes for scripts.

Exit codes: 0 done; 1 a check did not pass; 2 the request cannot be met as it stands; 3 something must be installed
first; 130 interrupted; 141 the reader of the output went away.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import unicodedata
from typing import Any

from ..errors import TinygradError
from ..train.reports import Bar, Lines, Quiet, Report

__all__ = [
    "FAILED",
    "MISSING",
    "OK",
    "REFUSED",
    "Console",
    "MissingExtraError",
    "RefusedError",
    "counted",
    "report_for",
    "visible",
]

OK, FAILED, REFUSED, MISSING, INTERRUPTED, NO_READER = 0, 1, 2, 3, 130, 141


class RefusedError(TinygradError):
    """The user asked for something that cannot be done as asked; the text says what to do instead."""


class MissingExtraError(TinygradError):
    """Something is not installed; the text says how to install it.

    what, extra: who needs it, and the extra that brings it. text: the whole sentence, in place of them.
    """

    def __init__(self, what: str = "", extra: str = "", *, text: str = "") -> None:
        how = f"pip install 'tinygrad_rnn[{extra}]'"
        super().__init__(text or f"{what} needs what is not installed here. Install it with: {how}")


class Console:
    """Where a command speaks. json: one object at the end and nothing else. quiet: results without remarks."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.json: bool = options.json
        self.quiet: bool = options.quiet

    def say(self, text: str = "") -> None:
        """A remark: left out when quiet or in JSON."""
        if not (self.quiet or self.json):
            print(visible(text), flush=True)

    def result(self, text: str, /, **data: Any) -> None:
        """What was asked for, as text or as one line of JSON, in which NaN and infinity become null."""
        if self.json:
            print(json.dumps(_plain(data), ensure_ascii=False), flush=True)
        elif text:
            print(visible(text), flush=True)


def report_for(console: Console) -> Report:
    """What a trainer shows: nothing for machines, a bar on a terminal, lines elsewhere."""
    if console.json or console.quiet:
        return Quiet()
    if sys.stdout.isatty():
        try:
            return Bar()
        except ImportError:
            pass
    return Lines()


def counted(count: int, what: str) -> str:
    """`1 epoch`, `1,200 epochs`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def visible(text: str) -> str:
    """A text whose control signs are shown and not obeyed: names out of a file must not write to the terminal's title,
    colours or clipboard. Line ends and tabs stay."""
    if text.isprintable():
        return text
    obeyed = ("Cc", "Cf", "Cs")
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in obeyed and c not in "\n\t" else c for c in text)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
