"""Three handwritten gradients as widely read tutorials publish them, what the doctor says of each, and what the cure is
worth.

The loss falls with a wrong gradient too, only not as far: that is why nobody noticed.

    python examples/doctor.py [--steps 300] [--plot cure.png]
"""

import argparse

import numpy as np

from tinygrad_rnn import models
from tinygrad_rnn.compare import diagnose
from tinygrad_rnn.manual import nextword, regression, sentiment
from tinygrad_rnn.plots import save


def series_as_published(params, x, y):
    """A course's chapter on BPTT: four mistakes in five lines."""
    Wh, Wi, Wo, bias = (params[name] for name in ("Wh", "Wi", "Wo", "bias"))
    H = [np.zeros((len(Wh), 1))]
    for x_t in x:
        H.append(np.tanh(Wh @ H[-1] + Wi @ x_t[:, None] + bias))
    dy = np.array([(Wo @ h)[0, 0] for h in H[1:]]) - y[:, 0]
    d = {name: np.zeros_like(value) for name, value in params.items()}
    dh = Wo.T * dy[-1]
    for t in reversed(range(len(x))):
        da = dh * (1 - H[-1] ** 2)
        d["Wh"] += H[t] @ da.T
        d["Wi"] += da @ x[t][None]
        d["bias"] += da
        d["Wo"] += dy[t] * H[t + 1].T
        dh = Wh @ da + Wo.T * dy[t]
    return d


def sentence_as_published(params, inputs, label):
    """An introduction to RNNs: the recurrent weight where its transpose belongs."""
    Whh = params["Whh"]
    y, states = sentiment.forward(params, inputs)
    dy = np.exp(y - y.max())
    dy /= dy.sum()
    dy[label] -= 1
    d = {name: np.zeros_like(value) for name, value in params.items()}
    d["Why"], d["by"] = np.outer(dy, states[-1]), dy[:, None]
    dh = params["Why"].T @ dy
    for t in reversed(range(len(inputs))):
        da = (1 - states[t + 1] ** 2) * dh
        d["bh"] += da[:, None]
        d["Whh"] += np.outer(da, states[t])
        d["Wxh"] += np.outer(da, inputs[t])
        dh = Whh @ da
    return d


def next_word_as_published(params, words, targets):
    """A description in formulas: no term from the next step."""
    lists = {name: value.tolist() for name, value in params.items()}
    gradients = nextword.loss_and_gradients(lists, words, targets, truncate=1)[1]
    return {name: np.array(g) for name, g in gradients.items()}


def next_word_cured(params, words, targets):
    lists = {name: value.tolist() for name, value in params.items()}
    loss, gradients = nextword.loss_and_gradients(lists, words, targets)
    return loss, {name: np.array(g) for name, g in gradients.items()}


def cases(rng):
    """(title, twin, data, wrong gradient, right loss and gradient, learning rate, parameters) of each patient."""
    H, T = 12, 60
    t = np.linspace(0, 4 * np.pi, T)[:, None]
    draw = lambda scale, **shapes: {name: scale * rng.standard_normal(shape) for name, shape in shapes.items()}
    series = draw(0.3, Wh=(H, H), Wi=(H, 1), Wo=(1, H), bias=(H, 1))
    yield (
        "time series", models.Regression, (np.sin(t), np.sin(t + 0.8)), series_as_published,
        regression.loss_and_gradients, 2e-3, series,
    )  # fmt: skip
    words = sentiment.build_vocabulary(sentiment.train_data)
    inputs = sentiment.encode("it was not very good", words)
    V = len(words)
    mood = draw(0.3, Wxh=(H, V), Whh=(H, H), Why=(2, H), bh=(H, 1), by=(2, 1))
    yield "sentiment", models.Sentiment, (inputs, 0), sentence_as_published, sentiment.loss_and_gradients, 0.02, mood
    heard = rng.integers(0, 2, 40).tolist()
    echo = heard, [0, 0, *heard[:-2]]  # say what was heard two steps ago: nothing learns that without looking back
    word = draw(0.3, Wx=(6, 2), Wh=(6, 6), Wy=(2, 6), bh=(6,), by=(2,))
    yield "next word", models.NextWord, echo, next_word_as_published, next_word_cured, 0.03, word


def train(params, gradient, loss_and_gradients, data, lr, steps):
    """The true loss along the way, while `gradient` is descended."""
    losses = []
    for _ in range(steps):
        losses.append(loss_and_gradients(params, *data)[0])
        g = gradient(params, *data)
        params = {name: value - lr * g[name] for name, value in params.items()}
    return losses


def curve(losses, width=48):
    """A loss curve in one line of text."""
    picked = np.array(losses)[np.linspace(0, len(losses) - 1, width).astype(int)]
    low, high = min(losses), max(losses)
    return "".join("▁▂▃▄▅▆▇█"[int(7.99 * (v - low) / max(high - low, 1e-12))] for v in picked)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--plot", help="where to save the loss curves; needs matplotlib")
    options = parser.parse_args(argv)
    if options.steps < 1:
        parser.error(f"--steps: expected at least 1, got {options.steps}")
    curves = {}
    for title, twin, data, published, cured, lr, params in cases(np.random.default_rng(0)):
        loss_fn = twin.from_manual(params).loss_fn(*data)
        print(f"== {title}\n{diagnose(loss_fn, params, published(params, *data))}")
        print(f"cured: {diagnose(loss_fn, params, lambda p, d=data, c=cured: c(p, *d))}")
        before = train(params, published, cured, data, lr, options.steps)
        after = train(params, lambda p, *d, c=cured: c(p, *d)[1], cured, data, lr, options.steps)
        print(f"loss as published  {before[0]:7.3f} -> {before[-1]:8.5f}  {curve(before)}")
        print(f"loss when cured    {after[0]:7.3f} -> {after[-1]:8.5f}  {curve(after)}\n")
        curves[title] = before, after
    if options.plot:
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, len(curves), figsize=(4 * len(curves), 3), layout="constrained")
        for ax, (title, (before, after)) in zip(axes, curves.items(), strict=True):
            ax.semilogy(before, "r", label="as published")
            ax.semilogy(after, "g", label="cured")
            ax.set(title=title, xlabel="step", ylabel="loss")
            ax.legend()
        save(figure, options.plot)


if __name__ == "__main__":
    main()
