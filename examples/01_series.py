"""Time series: a tanh RNN fitted to a noisy curve, by hand and by autograd from the same weights.

Both sides take the same steps (momentum, falling rate) and stay together to rounding; then the model is applied to
unseen inputs.

    python examples/01_series.py [--epochs 150] [--plot fit.png]

Prints:
    parameter  shape     verdict  max abs  max rel  cosine    differences
    Wh         [50, 50]  exact    2.5e-14  1.2e-15  1.000000  1.4e-11
    Wi         [50, 1]   exact    6.8e-13  4.1e-16  1.000000  3.4e-11
    Wo         [1, 50]   exact    2.3e-13  1.1e-15  1.000000  1.8e-12
    bias       [50, 1]   exact    3.6e-15  3.4e-16  1.000000  3.1e-11
    All sides agree to 4e-10.
    epoch   0: loss 0.3755, largest difference of the two sides 6.4e-17
    epoch  50: loss 0.0761, largest difference of the two sides 2.6e-16
    epoch 100: loss 0.0423, largest difference of the two sides 2.3e-16
    epoch 149: loss 0.0263, largest difference of the two sides 2.6e-16
    on unseen inputs both sides predict the same to 4.4e-16; off the noiseless curve by 0.210 (rms)
"""

import argparse

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import models
from tinygrad_rnn.compare import compare_gradients
from tinygrad_rnn.manual import regression
from tinygrad_rnn.plots import save


def largest_difference(by_hand, twin):
    """The largest difference between the parameters of both sides, relative to the largest entry of each."""
    own = twin.manual_parameters()
    return max(np.abs(own[n] - getattr(by_hand, n)).max() / np.abs(own[n]).max() for n in own)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--plot", help="where to save a picture of the fit; needs matplotlib")
    options = parser.parse_args(argv)
    if options.epochs < 1:
        parser.error(f"--epochs: expected at least 1, got {options.epochs}")

    rng = np.random.default_rng(0)
    t = np.arange(-100, 100, 0.5)
    x, y = t[:, None], (np.sin(0.05 * t) + 0.1 * rng.standard_normal(len(t)) + 0.2 * np.exp(0.01 * t))[:, None]
    H = 50
    shapes = {"Wh": (H, H), "Wi": (H, 1), "Wo": (1, H), "bias": (H, 1)}
    params = {name: 0.1 * rng.standard_normal(shape) for name, shape in shapes.items()}

    by_hand = regression.RNN_model.from_parameters(params)
    twin = models.Regression.from_manual(params)
    print(compare_gradients(twin.loss_fn(x, y), params, lambda p: regression.loss_and_gradients(p, x, y)))

    steps = regression.SGD_Optimizer(lr=2e-6, momentum=0.9)
    sgd = tg.optim.SGD([p for p in twin.parameters() if p.requires_grad], lr=2e-6, momentum=0.9)
    for epoch, loss in regression.training(by_hand, steps, x, y, options.epochs):
        sgd.zero_grad()
        twin.loss(x, y).backward()
        sgd.step()
        if epoch % 50 == 0 or epoch == options.epochs - 1:
            apart = largest_difference(by_hand, twin)
            print(f"epoch {epoch:3}: loss {loss:.4f}, largest difference of the two sides {apart:.1e}")

    unseen = np.arange(-20, 50, 0.5)
    with tg.no_grad():
        prediction = twin(unseen).numpy()
    same = np.abs(prediction - regression.Apply_RNN(unseen, by_hand)).max()
    error = np.sqrt(np.mean((prediction[:, 0] - np.sin(0.05 * unseen) - 0.2 * np.exp(0.01 * unseen)) ** 2))
    print(f"on unseen inputs both sides predict the same to {same:.1e}; off the noiseless curve by {error:.3f} (rms)")
    if options.plot:
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(layout="constrained")
        axes.plot(t, y, "b.", ms=3, label="data")
        axes.plot(unseen, prediction, "g", label="unseen inputs")
        axes.legend()
        save(figure, options.plot)


if __name__ == "__main__":
    main()
