"""`draw`: the unrolled network as SVG, HTML, PNG, DOT, JSON or text."""

from __future__ import annotations

import argparse
import os
from typing import Any

from .arguments import Commands, at_least, command
from .console import OK, Console, MissingExtraError, RefusedError
from .paths import check_folder, load_model, refuse_replacing
from .targets import call

__all__ = ["add"]

_EXAMPLES = """
draw lstm --steps 4 --out lstm.svg          a cell of each kind, unrolled
draw run --out mine.html                    the model that `train` saved, to explore in a browser
draw mymodel:build --level ops --out -      text on standard output; build() returns a Tensor or (module, input)
"""
_FORMATS = (".svg", ".html", ".dot", ".txt", ".json", ".png", ".pdf")


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "draw", run, "draw a network unrolled over time", _EXAMPLES)
    parser.add_argument("target", nargs="?", default="rnn", help="rnn, lstm, gru, a trained run, or module:function")
    parser.add_argument(
        "--out", default="network.svg", help=f"{', '.join(_FORMATS)}, or - for text (default: network.svg)"
    )
    parser.add_argument("--steps", type=at_least(1), default=5, help="time steps (default: 5)")
    parser.add_argument("--hidden", type=at_least(1), default=16, help="units of built-in models (default: 16)")
    parser.add_argument("--level", choices=("ops", "modules", "layers"), default="modules", help="default: modules")
    parser.add_argument("--gradients", action="store_true", help="colour by the norm of the gradient")
    parser.add_argument("--backward", action="store_true", help="draw the way of the gradient, too")
    parser.add_argument("--theme", choices=("auto", "light", "dark"), default="auto", help="default: auto")
    parser.add_argument("--title", help="heading of the page")


def run(options: argparse.Namespace) -> int:
    """Draw; returns the exit code."""
    console = Console(options)
    if options.out != "-" and not options.out.lower().endswith(_FORMATS):
        raise RefusedError(f"--out {options.out}: expected a name that ends in {', '.join(_FORMATS)}, or - for text.")
    if options.out != "-":
        check_folder(options.out)
        refuse_replacing("--out", options.out, options.target)
    import viz

    if options.target in ("rnn", "lstm", "gru"):
        what = _built_in(options.target, options.hidden, options.steps)
    elif ":" in options.target:
        what = call(options.target)
    else:
        what = _trained(options.target, options.steps)
    what = what if isinstance(what, tuple) else (what,)
    try:
        drawing = viz.draw(
            *what, level=options.level, gradients=options.gradients, backward=options.backward, theme=options.theme,
            title=options.title,
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise RefusedError(f"{options.target}: {error}") from error
    if options.out == "-":
        console.result(drawing.text, summary=drawing.summary, text=drawing.text)
        return OK
    try:
        drawing.save(options.out)
    except ImportError as error:  # no library that turns SVG into .png or .pdf; the text names those there are
        raise MissingExtraError(text=f"{error} In short: pip install 'tinygrad_rnn[picture]'") from error
    console.say(drawing.summary)
    console.result(f"Drawing: {options.out}", out=options.out, summary=drawing.summary)
    return OK


def _built_in(cell: str, hidden: int, steps: int) -> tuple[Any, ...]:
    from .. import manual_seed, nn, rand

    class Network(nn.Module):
        """A recurrent layer and a head on every step."""

        def __init__(self) -> None:
            super().__init__()
            self.rnn = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell](4, hidden)
            self.head = nn.Linear(hidden, 2)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(x)[0])

    manual_seed(0)
    return Network(), rand(steps, 1, 4)


def _trained(path: str, steps: int) -> tuple[Any, ...]:
    import numpy as np

    from .. import from_numpy

    if not os.path.exists(path):
        raise RefusedError(f"{path!r}: expected rnn, lstm, gru, a folder that `train` wrote, or module:function.")
    model = load_model(path)
    return model, from_numpy(np.arange(steps)[:, None] % len(model.vocabulary))
