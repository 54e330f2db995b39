"""When the sweep looks at what was written: nodes younger than every write are passed by, and nothing is missed."""

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import GraphError


def test_a_write_during_the_sweep_is_seen_by_what_comes_after_it():
    """Nodes recorded after the last write are not looked at; a hook may write when all of them have been recorded."""
    w = tg.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    w.detach().mul_(1)  # an old write, as that of an optimiser
    y = w * w
    z = y * 3

    def write(_: Any) -> None:
        w.detach().mul_(2)

    z.register_hook(write)
    with pytest.raises(GraphError, match=r"multiply: argument \d, float64\[2\], has been modified"):
        z.sum().backward()


def test_a_write_that_harmed_nobody_is_not_the_reason_of_a_later_error():
    class Fails(tg.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            raise ZeroDivisionError("of the rule")

    array = np.array([1.0, 2.0])
    w, view = tg.Tensor(array, requires_grad=True), array[:]
    x = tg.Tensor(np.array([3.0, 4.0]))
    y = Fails.apply(tg.Tensor(np.array([3.0, 4.0]), requires_grad=True))
    with tg.autograd.protect_residuals():
        z = w * x  # read only for the gradient of x, which nobody wants
    view *= 2
    with pytest.raises(ZeroDivisionError, match="of the rule"):
        (z + y).sum().backward()
