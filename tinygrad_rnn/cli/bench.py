"""`bench`: one training step by the loop, compiled, and as an expert writes it by hand, on this machine."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from .arguments import Commands, at_least, command
from .console import OK, Console

__all__ = ["add"]

_EXAMPLES = """
bench                                          an LSTM of 64 units over 50 steps
bench gru --hidden 128 --time 100 --rounds 20
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "bench", run, "time a training step: loop, compiled, by hand", _EXAMPLES)
    parser.add_argument("model", nargs="?", choices=("rnn", "lstm", "gru"), default="lstm", help="default: lstm")
    for name, default, text in (
        ("hidden", 64, "units"), ("input", 32, "features"), ("batch", 16, "sequences"), ("time", 50, "steps"),
        ("classes", 10, "outputs"), ("rounds", 9, "turns, of which the median is shown"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=at_least(1), default=default, help=f"{text} (default: {default})")


def run(options: argparse.Namespace) -> int:
    """Time; returns the exit code."""
    console = Console(options)
    console.say(
        f"{options.model}, T={options.time}, B={options.batch}, D={options.input}, H={options.hidden}: loss and all "
        f"gradients, float32, median of {options.rounds}"
    )
    sides = _sides(options)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side()  # compiles, and warms the caches
    for _ in range(options.rounds):
        for name, side in sides.items():  # in turns, so that whatever else the machine does hits all alike
            began = time.perf_counter()
            side()
            times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, seconds in medians.items():
        console.say(f"  {name:28} {1000 * seconds:9.3f} ms   {medians['loop'] / seconds:5.1f} x")
    console.say("With PyTorch and JAX beside it, in a checkout: make bench")
    if options.json:
        console.result("", seconds=medians, rounds=options.rounds)
    elif options.quiet:
        console.result("\n".join(f"{name}\t{seconds:.6f}" for name, seconds in medians.items()))
    return OK


def _sides(options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    import numpy as np

    from .. import compile, models
    from ..manual import gated, rnn

    rng = np.random.default_rng(0)
    T, B, D, C = options.time, options.batch, options.input, options.classes
    twin, by_hand, gates = {
        "rnn": (models.TanhModel, rnn.loss_and_gradients, 1),
        "lstm": (models.LSTMModel, gated.lstm_loss_and_gradients, 4),
        "gru": (models.GRUModel, gated.gru_loss_and_gradients, 3),
    }[options.model]
    params = rnn.initialize_parameters(D, options.hidden, C, rng, gates=gates)
    params = {name: value.astype(np.float32) for name, value in params.items()}
    x, y = rng.standard_normal((T, B, D)).astype(np.float32), rng.integers(0, C, (T, B))
    model = twin.from_manual(params)
    compiled = compile(model.loss)
    return {
        "loop": lambda: model.loss(x, y).backward(),
        "compiled": lambda: compiled(x, y).backward(),
        "by hand, step by step": lambda: by_hand(params, x, y),
        **_expert(options.model, params, x, y),
    }


def _expert(name: str, params: Any, x: Any, y: Any) -> dict[str, Callable[[], Any]]:
    from ..manual import vectorized

    cell = {"rnn": vectorized.TanhRNN, "lstm": vectorized.LSTM, "gru": vectorized.GRU}[name]
    network = vectorized.Network(cell, params, x.shape[0], x.shape[1])
    return {"by hand, as an expert": lambda: network.loss_and_gradients(x, y)}
