"""A character model learns "hello world" by heart, by hand and by autograd, and both write it down again.

    python examples/03_characters.py [--epochs 300]

Prints:
    parameter  shape     verdict  max abs  max rel  cosine    differences
    Waa        [32, 32]  exact    4.3e-19  2.9e-16  1.000000  2.8e-08
    Wax        [32, 8]   exact    1.0e-17  2.8e-16  1.000000  3.6e-10
    Wya        [8, 32]   exact    6.9e-18  2.3e-16  1.000000  1.6e-09
    ba         [32, 1]   exact    2.8e-17  4.9e-16  1.000000  1.0e-09
    by         [8, 1]    exact    2.2e-16  1.3e-16  1.000000  3.4e-11
    All sides agree to 4e-10.
    epoch 0: loss 20.7976, largest difference of the two sides 1.4e-17
    epoch 100: loss 0.5029, largest difference of the two sides 2.1e-11
    epoch 200: loss 0.0858, largest difference of the two sides 3.5e-11
    epoch 299: loss 0.0456, largest difference of the two sides 4.2e-11
    by hand  writes 'hello world'
    the twin writes 'hello world'
"""

import argparse

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import models
from tinygrad_rnn.compare import compare_gradients
from tinygrad_rnn.manual import charmodel


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--epochs", type=int, default=300)
    options = parser.parse_args(argv)
    if options.epochs < 1:
        parser.error(f"--epochs: expected at least 1, got {options.epochs}")

    chars, char_to_ix, ix_to_char = charmodel.build_vocab("hello world")
    x, y = charmodel.one_hot_encode("hello world", char_to_ix, len(chars))
    params = charmodel.initialize_parameters(n_a=32, n_x=len(chars), n_y=len(chars))
    twin = models.CharModel.from_manual(params)
    print(compare_gradients(twin.loss_fn(x, y), params, lambda p: charmodel.loss_and_gradients(p, x, y)))

    sgd = tg.optim.SGD([p for p in twin.parameters() if p.requires_grad], lr=0.05)
    for epoch in range(options.epochs):
        _, gradients = charmodel.loss_and_gradients(params, x, y)
        params = charmodel.update_parameters(params, gradients, lr=0.05)
        sgd.zero_grad()
        loss = twin.loss(x, y)
        loss.backward()
        sgd.step()
        if epoch % 100 == 0 or epoch == options.epochs - 1:
            own = twin.manual_parameters()
            apart = max(np.abs(own[name] - params[name]).max() for name in own)
            print(f"epoch {epoch}: loss {loss.item():.4f}, largest difference of the two sides {apart:.1e}")
    for side, parameters in (("by hand", params), ("the twin", twin.manual_parameters())):
        text = charmodel.sample(parameters, char_to_ix, ix_to_char, "h", length=10, greedy=True)
        print(f"{side:8} writes {text!r}")


if __name__ == "__main__":
    main()
