"""Kinds of arguments, and the flags that all commands share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

__all__ = ["Commands", "at_least", "command", "fraction", "positive"]

Commands = Any  # what ArgumentParser.add_subparsers returns; argparse keeps its class to itself


def command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], summary: str, examples: str
) -> argparse.ArgumentParser:
    """Add a sub-command with --json and --quiet. examples: lines for the end of its help."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  tinygrad-rnn {line}" for line in examples.strip().splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--quiet", "-q", action="store_true", help="print results without remarks")
    parser.set_defaults(run=run)
    return parser


def at_least(low: int) -> Callable[[str], int]:
    """A whole number, no smaller than `low`."""

    def whole_number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {low}, got {text!r}")
        return value

    return whole_number


def positive(text: str) -> float:
    """A finite number above 0."""
    return _number(text, lambda value: value > 0, "a number above 0")


def fraction(text: str) -> float:
    """A number from 0 to below 1."""
    return _number(text, lambda value: 0 <= value < 1, "a number from 0 to below 1")


def _number(text: str, fits: Callable[[float], bool], expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and fits(value)):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return value
