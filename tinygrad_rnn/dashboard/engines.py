"""The same training by two engines: gradients written by hand, or by the recorded graph. The curves are the same."""

from collections.abc import Callable, Iterator

import numpy as np

from tinygrad_rnn.manual.regression import PARAMETERS, RNN_model, SGD_Optimizer, Tanh, training
from tinygrad_rnn.models import Regression

__all__ = ["ENGINES", "copied", "fresh"]

Engine = Callable[[RNN_model, SGD_Optimizer, np.ndarray, np.ndarray, int], Iterator[tuple[int, float]]]


def fresh(neurons: int, seed: int = 0) -> RNN_model:
    """A model with weights 0.1 N(0, 1), a function of the seed alone: two sessions draw nothing from each other."""
    rng = np.random.default_rng(seed)
    shapes = {"Wh": (neurons, neurons), "Wi": (neurons, 1), "Wo": (1, neurons), "bias": (neurons, 1)}
    return RNN_model.from_parameters({k: 0.1 * rng.standard_normal(shape) for k, shape in shapes.items()}, Tanh)


def copied(model: RNN_model) -> RNN_model:
    """A model with the same weights. To look at a model take a copy: after a click on Stop the run that trains it goes
    on for a moment, beside the one that shows it.
    """
    return RNN_model.from_parameters({name: getattr(model, name) for name in PARAMETERS}, Tanh)


def by_graph(
    model: RNN_model, optimizer: SGD_Optimizer, x: np.ndarray, y: np.ndarray, epochs: int
) -> Iterator[tuple[int, float]]:
    """As `manual.regression.training`, with the gradients of `backward()` on the recorded graph."""
    twin = Regression.from_manual({name: getattr(model, name) for name in PARAMETERS})
    for epoch in range(epochs):
        twin.load_manual({name: getattr(model, name) for name in PARAMETERS})
        twin.zero_grad()
        loss = twin.loss(x, y)
        loss.backward()
        for name, gradient in twin.manual_gradients().items():
            setattr(model, f"d_{name}", gradient)
        optimizer.pre_update_params()
        optimizer.update_params(model)
        optimizer.post_update_params()
        yield epoch, float(loss.item()) / len(y)


ENGINES: dict[str, Engine] = {"by hand": training, "autograd": by_graph}
"""What the page calls them -> generators of (epoch, loss) that train the model in place."""
