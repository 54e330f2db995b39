"""An op of your own is one statement: a NumPy function, and a rule for its gradient.

    python examples/06_an_op_of_your_own.py

Prints:
    softsign(2) = 0.666667, slope 0.111111, curvature -0.074074
    first and second derivatives agree with differences: True
"""

import argparse

import tinygrad_rnn as tg
from tinygrad_rnn.compare import gradcheck, gradgradcheck
from tinygrad_rnn.primitive import primitive


def forward(x):
    return x / (1 + abs(x))


# The rule is written in operators that are primitives themselves: so it runs on arrays, and on Tensors for order two.
softsign = primitive(forward, kind="elementwise", saves="0", vjp=lambda g, y, x: g / (1 + abs(x)) ** 2)


def main(argv=None):
    argparse.ArgumentParser(description=__doc__.partition("\n\n")[0]).parse_args(argv)
    x = tg.tensor(2.0, requires_grad=True)
    y = softsign(x)
    (slope,) = tg.autograd.grad(y, x, create_graph=True)
    (curvature,) = tg.autograd.grad(slope, x)
    print(f"softsign(2) = {y.item():.6f}, slope {slope.item():.6f}, curvature {curvature.item():.6f}")
    points = tg.tensor([-2.0, -0.5, 0.7, 3.0], dtype=tg.float64, requires_grad=True)
    agree = gradcheck(softsign, points) and gradgradcheck(softsign, points)
    print("first and second derivatives agree with differences:", agree)


if __name__ == "__main__":
    main()
