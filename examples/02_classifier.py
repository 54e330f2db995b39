"""Sequences to numbers: the published assignment's little trainer and its twin, step by step beside each other.

The numbers are those of the assignment: losses 0.068712, 0.024700, 0.021294, 0.020934, 0.020771 after 10, 20, ... 50
epochs.

    python examples/02_classifier.py

Prints:
    parameter  shape   verdict  max abs  max rel  cosine    differences
    Wx         [2, 4]  exact    0.0e+00  0.0e+00  1.000000  3.9e-12
    Wh         [4, 4]  exact    0.0e+00  0.0e+00  1.000000  4.7e-11
    Wy         [4, 1]  exact    0.0e+00  0.0e+00  1.000000  3.7e-12
    Bh         [4]     exact    0.0e+00  0.0e+00  1.000000  2.8e-12
    By         [1]     exact    0.0e+00  0.0e+00  1.000000  3.3e-13
    All sides agree to 4e-10.
    Epoch 10, Loss: 0.068712
    Epoch 20, Loss: 0.024700
    Epoch 30, Loss: 0.021294
    Epoch 40, Loss: 0.020934
    Epoch 50, Loss: 0.020771
    the twin: 0.068712, 0.024700, 0.021294, 0.020934, 0.020771
    after 50 epochs the losses differ by at most 0.0e+00, the parameters by 0.0e+00
"""

import argparse

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import models
from tinygrad_rnn.compare import compare_gradients
from tinygrad_rnn.manual import classifier


def main(argv=None):
    argparse.ArgumentParser(description=__doc__.partition("\n\n")[0]).parse_args(argv)
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
