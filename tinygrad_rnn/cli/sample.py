"""`sample`: let a trained model write."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any

from .arguments import Commands, at_least, command
from .console import OK, Console, RefusedError, counted, visible
from .paths import load_model

__all__ = ["add"]

_EXAMPLES = """
sample                                          go on from nothing
sample run --prompt "The " --temperature 0.6    bolder choices made rarer
sample run --temperature 0 --length 80          always the likeliest
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "sample", run, "let a trained model write", _EXAMPLES)
    parser.add_argument("path", nargs="?", default="run", help="folder or file that `train` wrote (default: run)")
    parser.add_argument("--prompt", default="", help="text to go on from")
    parser.add_argument("--length", type=at_least(0), default=300, help="tokens to write (default: 300)")
    parser.add_argument("--temperature", type=_temperature, default=0.7, help="0: the likeliest (default: 0.7)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the draws (default: 0)")


def run(options: argparse.Namespace) -> int:
    """Write; returns the exit code."""
    import numpy as np

    from ..language import sample

    console = Console(options)
    model = load_model(options.path)
    _check_prompt(options, model.vocabulary)
    rng = np.random.default_rng(options.seed)
    pieces = sample(model, options.prompt, length=options.length, temperature=options.temperature, generator=rng)
    if options.json:
        console.result("", prompt=options.prompt, text="".join(pieces), seed=options.seed)
        return OK
    shown = visible if sys.stdout.isatty() else str
    print(shown(options.prompt), end="")
    for piece in pieces:
        print(shown(piece), end="", flush=True)
    print()
    return OK


def _check_prompt(options: argparse.Namespace, vocabulary: Any) -> None:
    if vocabulary.unknown is None:
        foreign = [token for token in vocabulary.split(options.prompt) if token not in vocabulary]
        if foreign:
            known = counted(len(vocabulary), "character")
            raise RefusedError(
                f"--prompt: expected the {known} that {options.path} was trained on, got {foreign[0]!r}. "
                "Leave it out, or train on a text that has it."
            )


def _temperature(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text!r}")
    return value
