"""Sequences to numbers: the published assignment's little trainer and its twin, step by step beside each other.

The numbers are those of the assignment: losses 0.068712, 0.024700, 0.021294, 0.020934, 0.020771 after 10, 20, ... 50
epochs.

    python examples/02_classifier.py
"""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import models
from tinygrad_rnn.compare import compare_gradients
from tinygrad_rnn.manual import classifier


def main():
    np.random.seed(0)  # noqa: NPY002 - the published losses belong to this seed
    x = np.random.rand(2, 3, 2)  # noqa: NPY002
    y = np.array([[0.5], [0.8]])
    by_hand = classifier.ScratchSimpleRNNClassifier(n_features=2, n_nodes=4, n_output=1, learning_rate=0.1)
    start = {name: value.copy() for name, value in by_hand.parameters.items()}
    twin = models.SequenceClassifier.from_manual(start)
    print(compare_gradients(twin.loss_fn(x, y), start, lambda p: classifier.loss_and_gradients(p, x, y)))

    by_hand.train(x, y, epochs=50)
    # the documented rate belongs to half of the printed loss, so the twin steps half as far
    sgd = tg.optim.SGD([p for p in twin.parameters() if p.requires_grad], lr=0.05)
    losses = []
    for _ in range(50):
        sgd.zero_grad()
        loss = twin.loss(x, y)
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    apart = max(np.abs(value - by_hand.parameters[name]).max() for name, value in twin.manual_parameters().items())
    print("the twin:", ", ".join(f"{loss:.6f}" for loss in losses[9::10]))
    worst = np.abs(np.subtract(losses, by_hand.loss_history)).max()
    print(f"after 50 epochs the losses differ by at most {worst:.1e}, "
          f"the parameters by {apart:.1e}")  # fmt: skip


if __name__ == "__main__":
    main()
