"""tinygrad_rnn with the loss function compiled; the lines around it are those of the eager side."""

import tinygrad_rnn as tg
from tests.benchmarks.sides.torchlike import Work, make_loss, make_model, training
from tests.benchmarks.workloads import WORKLOADS


def step(_: str, name: str) -> Work:
    """One training step of a workload: compiled forward, loss and backward, then clip and SGD."""
    load = WORKLOADS[name]
    model = make_model(tg, load, unrolled=False)
    return training(tg, load, model, tg.compile(make_loss(tg, load, model)))
