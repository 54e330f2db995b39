"""Gradients of gradients: the curvature of an RNN's loss along its gradient, without a Hessian.

    python examples/08_curvature.py

Prints:
    slope along the gradient:     2.6385
    curvature along it:           11.0989
    by differences of gradients:  11.0989
"""

import argparse

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import models

NAMES = ("Wh", "Wi", "Wo", "bias")


def main(argv=None):
    argparse.ArgumentParser(description=__doc__.partition("\n\n")[0]).parse_args(argv)
    rng = np.random.default_rng(0)
    shapes = {"Wh": (4, 4), "Wi": (4, 1), "Wo": (1, 4), "bias": (4, 1)}
    params = {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}
    x = rng.standard_normal((6, 1))
    loss_fn = models.Regression.from_manual(params).loss_fn(x, np.zeros((6, 1)))

    def gradient(arrays, create_graph=False):
        leaves = [tg.tensor(arrays[name], requires_grad=True) for name in NAMES]
        loss = loss_fn(dict(zip(NAMES, leaves, strict=True)))
        return leaves, tg.autograd.grad(loss, leaves, create_graph=create_graph)

    leaves, slopes = gradient(params, create_graph=True)
    norm = sum((g * g).sum() for g in slopes).item() ** 0.5
    along = [g.detach() / norm for g in slopes]
    curved = tg.autograd.grad(sum((g * v).sum() for g, v in zip(slopes, along, strict=True)), leaves)
    curvature = sum((c * v).sum() for c, v in zip(curved, along, strict=True)).item()
    print(f"slope along the gradient:     {norm:.4f}")
    print(f"curvature along it:           {curvature:.4f}")

    ahead, behind = (
        gradient({name: params[name] + h * v.numpy() for name, v in zip(NAMES, along, strict=True)})[1]
        for h in (1e-5, -1e-5)
    )
    numeric = sum(((a - b) / 2e-5 * v).sum() for a, b, v in zip(ahead, behind, along, strict=True)).item()
    print(f"by differences of gradients:  {numeric:.4f}")


if __name__ == "__main__":
    main()
