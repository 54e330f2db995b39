"""`doctor`: what is wrong with a gradient derived by hand, in words."""

from __future__ import annotations

import argparse

from .arguments import Commands, at_least, command, positive
from .console import FAILED, OK, Console, RefusedError
from .targets import NAMES, problem

__all__ = ["add"]

_EXAMPLES = """
doctor mymodel:check                                     check() returns (loss_fn, params, gradients)
doctor --list                                            mistakes to try it on
doctor regression --break 'gradient transposed'          a right model, broken on purpose
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "doctor", run, "name the mistake in a gradient derived by hand", _EXAMPLES)
    parser.add_argument("target", nargs="?", default="regression", help=f"{', '.join(NAMES)}, or module:function")
    parser.add_argument("--break", dest="mistake", metavar="MISTAKE", help="break the regression model on purpose")
    parser.add_argument("--list", action="store_true", help="list the mistakes that --break knows")
    parser.add_argument("--steps", type=at_least(1), default=8, help="time steps of built-in models (default: 8)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of weights and data (default: 0)")
    parser.add_argument("--seconds", type=positive, default=20.0, help="for the search (default: 20)")


def run(options: argparse.Namespace) -> int:
    """Diagnose; returns the exit code: 1 if there is a mistake."""
    from ..compare import diagnose
    from ..mistakes import MISTAKES, broken_gradients

    console = Console(options)
    if options.list:
        width = max(map(len, MISTAKES))
        console.result("\n".join(f"{name:{width}}  {text}" for name, text in MISTAKES.items()), mistakes=MISTAKES)
        return OK
    loss_fn, params, by_hand, data = problem(options.target, steps=options.steps, seed=options.seed)
    if options.mistake is not None:
        if options.target != "regression":
            raise RefusedError(f"--break works on regression, not on {options.target}.")
        by_hand = broken_gradients(params, data[0], data[1], options.mistake)
    if by_hand is None:
        raise RefusedError(f"{options.target}: expected (loss_fn, params, gradients), got no gradients to look at.")
    found = diagnose(loss_fn, params, by_hand, seconds=options.seconds)
    listed = [{"kind": f.kind, "where": f.where, "text": str(f)} for f in found.findings]
    console.result(str(found), ok=found.ok, findings=listed, misfit=found.misfit, right=found.right, wrong=found.wrong)
    return OK if found.ok else FAILED
