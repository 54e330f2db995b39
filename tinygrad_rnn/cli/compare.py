"""`compare`: gradients by the graph, by hand and by finite differences, parameter by parameter."""

from __future__ import annotations

import argparse

from .arguments import Commands, at_least, command, positive
from .console import FAILED, OK, Console
from .paths import check_plot
from .targets import NAMES, problem

__all__ = ["add"]

_EXAMPLES = """
compare lstm                        the handwritten LSTM against autograd and differences
compare mymodel:check --plot e.png  gradients of yours: check() returns (loss_fn, params, gradients)
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "compare", run, "compare gradients by graph, by hand and by differences", _EXAMPLES)
    parser.add_argument("target", nargs="?", default="rnn", help=f"{', '.join(NAMES)}, or module:function")
    parser.add_argument("--steps", type=at_least(1), default=8, help="time steps of built-in models (default: 8)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of weights and data (default: 0)")
    parser.add_argument("--rtol", type=positive, help="largest relative error that counts as equal")
    parser.add_argument("--plot", metavar="FILE", help="heat map of the errors by step, .png or .svg")


def run(options: argparse.Namespace) -> int:
    """Compare; returns the exit code: 1 if the gradients differ."""
    from ..compare import compare_gradients

    console = Console(options)
    check_plot(options.plot)
    loss_fn, params, by_hand, _ = problem(options.target, steps=options.steps, seed=options.seed)
    report = compare_gradients(loss_fn, params, by_hand, rtol=options.rtol)
    rows = [
        {
            "parameter": row.name, "shape": row.shape, "verdict": str(row.verdict), "relative": row.relative,
            "absolute": row.absolute, "cosine": row.cosine, "numeric": row.numeric,
        }
        for row in report.rows
    ]  # fmt: skip
    console.result(str(report), ok=report.ok, rtol=report.rtol, parameters=rows)
    if options.plot:
        from ..plots import figure, save

        made, (axes,) = figure(8, 2 + 0.4 * len(rows))
        axes.grid(False)
        report.plot(axes)
        save(made, options.plot)
        console.say(f"Heat map: {options.plot}")
    if not report.ok:
        console.say(f"What is wrong: tinygrad-rnn doctor {options.target}")
    return OK if report.ok else FAILED
