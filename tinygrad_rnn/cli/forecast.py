"""`forecast`: a column of a CSV file, continued."""

from __future__ import annotations

import argparse
import os
from typing import Any

from .arguments import Commands, at_least, command, positive
from .console import OK, Console, RefusedError, counted, report_for
from .paths import check_folder, check_plot, refuse_replacing, same_file

__all__ = ["add"]

_EXAMPLES = """
forecast sales.csv --column revenue --lag 12 --horizon 24
forecast temps.csv --column 2 --out next.csv --plot next.png
forecast werte.csv --column Umsatz --delimiter ';' --decimal ,
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "forecast", run, "forecast a column of a CSV file", _EXAMPLES)
    parser.add_argument("path", metavar="CSV", help="file with one row per step")
    parser.add_argument("--column", help="name, or number from 0; may be left out if there is only one")
    parser.add_argument("--lag", type=at_least(1), default=20, help="steps ahead that it learns to see (default: 20)")
    parser.add_argument("--horizon", type=at_least(1), help="steps to forecast (default: as the lag)")
    parser.add_argument("--model", choices=("rnn", "lstm", "gru"), default="gru", help="default: gru")
    parser.add_argument("--hidden", type=at_least(1), default=32, help="units (default: 32)")
    parser.add_argument("--epochs", type=at_least(1), default=200, help="default: 200")
    parser.add_argument("--lr", type=positive, default=0.01, help="learning rate of Adam (default: 0.01)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the weights (default: 0)")
    parser.add_argument("--encoding", default="utf-8", help="of the file (default: utf-8)")
    parser.add_argument("--delimiter", type=_sign, default=",", help="between cells (default: a comma)")
    parser.add_argument("--decimal", default=".", choices=(".", ","), help="decimal sign (default: a point)")
    parser.add_argument("--out", default="forecast.csv", help="CSV to write (default: forecast.csv)")
    parser.add_argument("--plot", metavar="FILE", help="figure to write, .png or .svg")


def run(options: argparse.Namespace) -> int:
    """Forecast; returns the exit code."""
    import numpy as np

    from ..data import column_names, read_column, write_columns
    from ..forecasting import forecast, shortest
    from ..plots import figure, save
    from ..plots import forecast as draw
    from ..train import Ended

    console = Console(options)
    check_plot(options.plot)
    check_folder(options.out)
    for flag, target in (("--out", options.out), ("--plot", options.plot)):
        refuse_replacing(flag, target, options.path)
    if options.plot and same_file(options.plot, options.out):
        raise RefusedError(f"--plot {options.plot}: expected another file than --out. Choose another name.")
    layout = {"delimiter": options.delimiter, "encoding": options.encoding}
    column: Any = options.column
    if column is not None and column.isdecimal() and column not in column_names(options.path, **layout):
        column = int(column)
    series = read_column(options.path, column, decimal=options.decimal, **layout)
    if len(series) < shortest(options.lag):
        raise RefusedError(
            f"{options.path}: expected at least {shortest(options.lag)} rows of numbers for --lag {options.lag}, got "
            f"{len(series)}. Choose a smaller --lag, or give more rows."
        )
    horizon = options.horizon or options.lag
    console.say(f"{len(series):,} steps of {options.path}; {options.model}, lag {options.lag}, horizon {horizon}")
    found = forecast(
        series, lag=options.lag, horizon=horizon, cell=options.model, hidden=options.hidden, epochs=options.epochs,
        lr=options.lr, seed=options.seed, report=report_for(console),
    )  # fmt: skip
    steps = np.arange(len(series), len(series) + horizon)
    write_columns(options.out, {"step": steps, "forecast": found.beyond})
    if options.plot:
        made, (axes,) = figure(9)
        draw(axes, series, found.fitted, found.beyond, title=f"{os.path.basename(options.path)}, lag {options.lag}")
        save(made, options.plot)
    interrupted = found.ended is Ended.INTERRUPTED
    if interrupted:
        learnt = counted(found.epochs, "epoch")
        console.say(f"Interrupted: this is the forecast after {learnt}; run it again for all of them.")
    better = f"{found.error:.4g} on the held-out end; repeating the last value seen: {found.naive:.4g}"
    console.say(f"Root mean square error {better}")
    console.say(f"Forecast: {options.out}{f', figure: {options.plot}' if options.plot else ''}")
    if options.json:
        console.result(
            "", error=found.error, naive=found.naive, epochs=found.epochs, ended=found.ended.value, out=options.out,
            plot=options.plot, forecast=found.beyond,
        )  # fmt: skip
    return 130 if interrupted else OK


def _sign(text: str) -> str:
    """A delimiter; a tab may be written as in programs, for shells have it hard to pass one."""
    return text.replace("\\t", "\t")
