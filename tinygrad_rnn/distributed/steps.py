"""Compiled training steps on several ranks: `DataParallel.compile_step`.

Imports the compiler. The program of a compiled step leaves all gradients in one vector; here that vector is exchanged
before it is clipped and applied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..compiler.step import Prepared, Step
from ..errors import DistributedError, explain
from .world import World

__all__ = ["ParallelStep"]


class ParallelStep(Step):
    """A compiled step whose first argument is how many examples the loss of this rank is the mean over.

    A rank without examples passes 0, and any arguments; it must have taken part in a step before, for only then does
    it know which parameters have a gradient.
    """

    def __init__(self, loss_fn: Callable[..., Any], optimizer: Any, clip: float | None, world: World) -> None:
        super().__init__(loss_fn, optimizer, clip)
        self.world = world
        self._examples = 0.0
        self._latest: Prepared | None = None
        self._buffer = np.empty(0)

    def __call__(self, examples: float, *args: Any, **kwargs: Any) -> Any:
        """One step: the loss of this rank's examples, or None without any."""
        self._examples = examples
        if examples:
            return super().__call__(*args, **kwargs)
        if self._latest is None:
            do = "Begin with a batch of at least one example for every rank."
            raise DistributedError(
                explain(
                    f"rank {self.world.rank}, compiled step", expected="examples in the first step", got="none", do=do
                )
            )
        prepared = self._ready(self._latest.entry)
        self._update(prepared, np.zeros(prepared.size, prepared.dtype))
        return None

    def _update(self, prepared: Prepared, gradient: np.ndarray) -> None:
        self._latest = prepared
        if self._buffer.size != gradient.size + 1 or self._buffer.dtype != gradient.dtype:
            self._buffer = np.empty(gradient.size + 1, gradient.dtype)
        flat = self._buffer
        np.multiply(gradient, self._examples, out=flat[:-1])
        flat[-1] = self._examples
        self.world.exchanges += 1
        self.world.total(flat, f"exchange {self.world.exchanges}")
        if not flat[-1] > 0:
            do = "At least one rank must have examples."
            raise self.world.known_to_all(
                DistributedError(explain("compiled step", expected="examples", got="none", do=do))
            )
        np.divide(flat[:-1], flat[-1], out=gradient)
        super()._update(prepared, gradient)
