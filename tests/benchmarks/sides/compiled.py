"""tinygrad_rnn compiled: the loss function only, or the whole step with clipping and update."""

import tinygrad_rnn as tg
from tests.benchmarks.sides.torchlike import Work, make_loss, make_model, training
from tests.benchmarks.workloads import LEARNING_RATE, MAX_NORM, WORKLOADS
from tinygrad_rnn.compiler import compile, compile_step


def step(side: str, name: str) -> Work:
    """One training step of a workload; with side "compiled" the lines around the loss are those of the eager side."""
    load = WORKLOADS[name]
    model = make_model(tg, load, unrolled=False)
    loss = make_loss(tg, load, model)
    if side == "compiled":
        return training(tg, load, model, compile(loss))
    whole = compile_step(loss, tg.optim.SGD(model.parameters(), lr=LEARNING_RATE), clip=MAX_NORM)
    inputs, targets = (tg.from_numpy(array) for array in load.batch())
    return lambda: whole(inputs, targets), 1
