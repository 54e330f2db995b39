"""The handwritten step: what an expert does for speed in NumPy, by `tinygrad_rnn.manual.vectorized`."""

from tests.benchmarks.sides.torchlike import Work
from tests.benchmarks.workloads import LEARNING_RATE, MAX_NORM, WORKLOADS
from tinygrad_rnn.manual.vectorized import GRU, LSTM, Network, TanhRNN

CELLS = {"RNN": TanhRNN, "LSTM": LSTM, "GRU": GRU}


def step(_: str, name: str) -> Work:
    """One training step of a workload: forward, loss, backward, clip, SGD."""
    load = WORKLOADS[name]
    inputs, targets = load.batch()
    network = Network(CELLS[load.cell], load.parameters(), load.T, load.B)
    return lambda: network.step(inputs, targets, LEARNING_RATE, MAX_NORM), 1
