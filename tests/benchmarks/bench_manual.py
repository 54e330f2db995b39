"""How much faster is the expert form than the textbook form? python -m tests.benchmarks.bench_manual

One training step (forward, loss, backward, clip to norm 5, gradient descent) of both, on the same numbers, in turns;
medians. The bar is a factor of 5 for the tanh RNN at B=1, T=25, H=100. Says also by how much the two gradients differ
in float64.
"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinygrad_rnn.manual import gated, rnn, vectorized

B, T, D, H, C = 1, 25, 65, 100, 65
LEARNING_RATE, MAX_NORM = 0.1, 5.0
ROUNDS, REPEATS = 31, 20


class Case(NamedTuple):
    """A cell: its name, the textbook's function, the expert's class, and how many gates it has."""

    name: str
    textbook: Callable[..., tuple[float, rnn.Gradients]]
    expert: type[vectorized.Layer]
    gates: int


CASES = [
    Case("tanh RNN", rnn.loss_and_gradients, vectorized.TanhRNN, 1),
    Case("LSTM", gated.lstm_loss_and_gradients, vectorized.LSTM, 4),
    Case("GRU", gated.gru_loss_and_gradients, vectorized.GRU, 3),
]


def textbook_step(case: Case, parameters: rnn.Gradients, x: np.ndarray, targets: np.ndarray) -> float:
    """One step of the per-step form, updating the parameters in place."""
    loss, gradients = case.textbook(parameters, x, targets)
    norm = sum(float(np.sum(gradient**2)) for gradient in gradients.values()) ** 0.5
    rate = LEARNING_RATE * min(1.0, MAX_NORM / (norm + 1e-6))
    for name, gradient in gradients.items():
        parameters[name] -= rate * gradient
    return loss


def deviation(case: Case, x: np.ndarray, targets: np.ndarray) -> float:
    """Largest relative difference (by norm) between the two forms' gradients in float64."""
    parameters = rnn.initialize_parameters(D, H, C, np.random.default_rng(0), gates=case.gates)
    _, expected = case.textbook(parameters, x, targets)
    _, got = vectorized.Network(case.expert, parameters, T, B).loss_and_gradients(x, targets)
    return max(float(np.linalg.norm(got[name] - expected[name]) / np.linalg.norm(expected[name])) for name in expected)


def seconds(work: Callable[[], float]) -> float:
    """Seconds of one call, as the mean of a turn."""
    start = time.perf_counter()
    for _ in range(REPEATS):
        work()
    return (time.perf_counter() - start) / REPEATS


def race(case: Case) -> tuple[float, float]:
    """Median seconds per step of the textbook and of the expert form, float32, in alternating turns."""
    rng = np.random.default_rng(0)
    parameters = rnn.initialize_parameters(D, H, C, rng, gates=case.gates, dtype=np.float32)
    ids = rng.integers(C, size=(T + 1, B))
    x, targets = np.eye(D, dtype=np.float32)[ids[:-1]], ids[1:]
    network = vectorized.Network(case.expert, parameters, T, B)
    slow, fast = [], []
    for _ in range(ROUNDS):
        slow.append(seconds(lambda: textbook_step(case, parameters, x, targets)))
        fast.append(seconds(lambda: network.step(x, targets, LEARNING_RATE, MAX_NORM)))
    return statistics.median(slow), statistics.median(fast)


def main() -> None:
    """Print one line per cell."""
    rng = np.random.default_rng(1)
    x, targets = rng.standard_normal((T, B, D)), rng.integers(C, size=(T, B))
    print(f"one training step, B={B} T={T} D={D} H={H} C={C}, float32, medians of {ROUNDS} turns")
    print(f"{'cell':10}{'textbook':>12}{'vectorized':>12}{'factor':>8}   gradients differ (float64) by")
    for case in CASES:
        slow, fast = race(case)
        far = deviation(case, x, targets)
        print(f"{case.name:10}{slow * 1e6:9.0f} us{fast * 1e6:9.0f} us{slow / fast:8.1f}   {far:.1e}")


if __name__ == "__main__":
    main()
