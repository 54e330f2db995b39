"""The nine training workloads, as arrays: the same numbers go into every side. Imports NumPy only."""

from dataclasses import dataclass

import numpy as np

from tests.benchmarks.names import GATES

LEARNING_RATE, MAX_NORM = 0.1, 5.0


@dataclass(frozen=True)
class Workload:
    """One network and batch. B batch, T time, D input, H hidden, V vocabulary (1: regression with MSE), L layers.

    words: inputs are ids of V words, embedded in D dimensions; otherwise they are dense (T, B, D).
    """

    cell: str
    B: int
    T: int
    D: int
    H: int
    V: int
    L: int = 1
    words: bool = False

    def __str__(self) -> str:
        layers = f" L={self.L}" if self.L > 1 else ""
        return f"{self.cell} B={self.B} T={self.T} D={self.D} H={self.H} V={self.V}{layers}"

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """inputs: (T, B, D) float32, one-hot or noise; or (T, B) int64 words. targets: int64, or (T, B, 1) float32."""
        rng = np.random.default_rng(1)
        if self.V == 1:
            inputs, targets = (rng.normal(size=(self.T, self.B, size)) for size in (self.D, 1))
            return inputs.astype(np.float32), targets.astype(np.float32)
        ids = rng.integers(self.V, size=(self.T + 1, self.B))
        inputs = ids[:-1] if self.words else np.eye(self.V, dtype=np.float32)[ids[:-1]]
        return np.ascontiguousarray(inputs), np.ascontiguousarray(ids[1:])

    def parameters(self) -> dict[str, np.ndarray]:
        """float32 arrays by PyTorch's names: rnn.weight_ih_l0 (gates * H, D), ..., head.weight (V, H), head.bias."""
        rng = np.random.default_rng(2)
        shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (self.V, self.D)} if self.words else {}
        rows = GATES[self.cell] * self.H
        for layer in range(self.L):
            shapes[f"rnn.weight_ih_l{layer}"] = (rows, self.H if layer else self.D)
            shapes[f"rnn.weight_hh_l{layer}"] = (rows, self.H)
            shapes[f"rnn.bias_ih_l{layer}"] = (rows,)
            shapes[f"rnn.bias_hh_l{layer}"] = (rows,)
        shapes |= {"head.weight": (self.V, self.H), "head.bias": (self.V,)}
        bound = self.H**-0.5
        return {name: rng.uniform(-bound, bound, shape).astype(np.float32) for name, shape in shapes.items()}


WORKLOADS = {
    "W1": Workload("RNN", B=1, T=25, D=65, H=100, V=65),
    "W2": Workload("RNN", B=16, T=32, D=65, H=64, V=65),
    "W3": Workload("RNN", B=32, T=64, D=65, H=128, V=65),
    "W4": Workload("RNN", B=64, T=128, D=65, H=512, V=65),
    "W5": Workload("LSTM", B=32, T=64, D=65, H=128, V=65),
    "W6": Workload("GRU", B=32, T=64, D=65, H=128, V=65),
    "W7": Workload("RNN", B=16, T=1000, D=65, H=64, V=65),
    "W8": Workload("LSTM", B=20, T=35, D=200, H=200, V=2000, L=2, words=True),
    "W9": Workload("RNN", B=1, T=200, D=1, H=50, V=1),
}
