"""What a training step costs on several machines, from what it costs on one: to know the answer before buying them.

Imports nothing of the package. The exchange is taken to be what MPI does with buffers of this size, a scatter of
partial sums and a gathering of sums: each rank sends and receives 2 (n - 1) / n of the buffer in 2 log2(n) rounds.
Source: Thakur, Rabenseifner and Gropp 2005, "Optimization of Collective Communication Operations in MPICH", sec. 4.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["GIGABIT", "TEN_GIGABIT", "Cost", "Network"]


class Network(NamedTuple):
    """bandwidth: bytes per second and direction of one machine. latency: seconds until a small message arrives."""

    bandwidth: float
    latency: float

    def exchange(self, ranks: int, nbytes: int) -> float:
        """Seconds for an Allreduce of so many bytes."""
        if ranks == 1:
            return 0.0
        return 2 * (ranks - 1) / ranks * nbytes / self.bandwidth + 2 * math.ceil(math.log2(ranks)) * self.latency


# Ethernet over TCP as it is found: 94 % of the bits carry data.
GIGABIT = Network(bandwidth=0.94 * 1e9 / 8, latency=50e-6)
TEN_GIGABIT = Network(bandwidth=0.94 * 1e10 / 8, latency=20e-6)


class Cost(NamedTuple):
    """One training step: fixed seconds, seconds per row of the batch, and the bytes of the gradients."""

    fixed: float
    row: float
    nbytes: int

    @classmethod
    def fitted(cls, rows: Sequence[float], seconds: Sequence[float], nbytes: int) -> Cost:
        """From the times of a step at several sizes of the batch, on one process; relative errors are kept small.

        Raises ValueError for fewer than two different sizes.
        """
        if len(set(rows)) < 2:
            raise ValueError(f"Cost.fitted: expected at least two different sizes of the batch, got {list(rows)}.")
        n, t = np.asarray(rows, float), np.asarray(seconds, float)
        fixed, row = np.linalg.lstsq(np.stack([1 / t, n / t], axis=1), np.ones_like(t), rcond=None)[0]
        if fixed < 0:  # noise: no step costs less than nothing
            fixed, row = 0.0, float(np.sum(n / t) / np.sum((n / t) ** 2))
        return cls(float(fixed), float(row), nbytes)

    def step(self, ranks: int, batch: float, network: Network) -> float:
        """Seconds for a global batch of so many rows; the rank with most of them is waited for."""
        return self.fixed + self.row * math.ceil(batch / ranks) + network.exchange(ranks, self.nbytes)

    def speedup(self, ranks: int, batch: float, network: Network) -> float:
        """How many times faster the same global batch is than on one process."""
        return self.step(1, batch, network) / self.step(ranks, batch, network)

    def efficiency(self, ranks: int, batch: float, network: Network) -> float:
        """What is left of one process's rows per second on each rank, if every rank has so many rows."""
        return self.step(1, batch, network) / self.step(ranks, batch * ranks, network)
