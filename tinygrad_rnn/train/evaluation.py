"""The objective, tried on held-out data.

Imports the engine's recording switch and Tensor.
"""

import math
from collections.abc import Iterable
from typing import Any, Protocol

from tinygrad_rnn.state import no_grad
from tinygrad_rnn.tensor import Tensor

__all__ = ["Objective", "apply_objective", "detached", "mean_loss", "summed_loss"]


class Objective(Protocol):
    """A function that says how wrong a model is about a batch."""

    def __call__(self, model: Any, batch: Any, state: Any, /) -> Any:
        """The loss, a scalar Tensor, or (loss, state).

        The state is None in the first batch of an epoch and afterwards what the last call returned, detached: for
        truncated backpropagation through time.
        """


def apply_objective(objective: Objective, model: Any, batch: Any, state: Any) -> tuple[Tensor, Any]:
    """The loss and the state to carry on, None if the objective carries none."""
    result = objective(model, batch, state)
    loss, carried = result if isinstance(result, tuple) else (result, None)
    return loss, carried


def detached(state: Any) -> Any:
    """The same values with no history: Tensors, and lists, tuples and dicts of them."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*map(detached, state))
    if isinstance(state, list | tuple):
        return type(state)(map(detached, state))
    if isinstance(state, dict):
        return {key: detached(value) for key, value in state.items()}
    return state


def mean_loss(model: Any, objective: Objective, batches: Iterable[Any]) -> float:
    """The mean of the objective over batches, in evaluation mode, without recording, the state carried as in training.

    A batch counts by the size of its last array if it is a tuple or list, such as (inputs, targets); otherwise by one.
    Returns NaN for no batches. The model is left in the mode it was found in.
    """
    total, weight = summed_loss(model, objective, batches)
    return total / weight if weight else float("nan")


def summed_loss(model: Any, objective: Objective, batches: Iterable[Any]) -> tuple[float, float]:
    """What `mean_loss` is the quotient of: the sum of size times loss, and that of the sizes.

    Empty batches are skipped.
    """
    mode = model.training
    model.eval()
    total = weight = 0.0
    state = None
    try:
        with no_grad():
            for batch in batches:
                size = _size(batch[-1]) if isinstance(batch, tuple | list) and batch else 1
                if not size:
                    continue
                loss, state = apply_objective(objective, model, batch, state)
                total += size * float(loss.item())
                weight += size
    finally:
        model.train(mode)
    return total, weight


def _size(last: Any) -> int:
    """Entries of an array or Tensor, items of a list, one of anything else."""
    if hasattr(last, "shape"):
        return math.prod(last.shape)
    return len(last) if isinstance(last, list | tuple) else 1
