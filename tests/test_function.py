"""autograd.Function: ops of the user's own, with a handwritten backward, at first and second order."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.graph import replay


class Cube(tg.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x * x * g


class ExpOfOutput(tg.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


class ScaledPair(tg.Function):
    @staticmethod
    def forward(ctx, x, scale, y):
        ctx.scale = scale
        ctx.save_for_backward(x, y)
        return x * scale * y, (x + y).sum(), x > 0

    @staticmethod
    def backward(ctx, g, h, _):
        x, y = ctx.saved_tensors
        return g * ctx.scale * y + h, None, g * ctx.scale * x + h


def leaf(*values):
    return tg.tensor(values, dtype=float, requires_grad=True)


def test_its_backward_is_used():
    x = leaf(1.0, -2.0)
    Cube.apply(x).sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]


@pytest.mark.parametrize(("op", "second"), [(Cube, lambda x: 6 * x), (ExpOfOutput, np.exp)])
def test_second_derivatives_see_saved_inputs_and_outputs(op, second):
    x = leaf(0.5, -1.5)
    (g,) = tg.autograd.grad(op.apply(x).sum(), x, create_graph=True)
    g.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), second(x.detach().numpy()), rtol=1e-14)


def test_many_outputs_some_without_gradient_and_arguments_that_are_no_tensors():
    x, y = leaf(1.0, 2.0), leaf(3.0, -4.0)
    product, total, mask = ScaledPair.apply(x, 10.0, y)
    assert not mask.requires_grad
    (product.sum() + 5 * total).backward()
    assert x.grad.tolist() == [35.0, -35.0]
    assert y.grad.tolist() == [15.0, 25.0]


def test_needs_input_grad_tells_which():
    seen = []

    class Watch(tg.Function):
        @staticmethod
        def forward(ctx, a, b, c):
            seen.append(ctx.needs_input_grad)
            return a + b

        @staticmethod
        def backward(ctx, g):
            return g, g, None

    Watch.apply(leaf(1.0), tg.tensor([1.0]), 3)
    assert seen == [(True, False, False)]


def test_without_gradients_nothing_is_recorded():
    assert Cube.apply(tg.tensor([2.0])).node is None
    with tg.no_grad():
        assert Cube.apply(leaf(2.0)).node is None


def test_it_stands_in_the_graph_under_its_name_and_replays():
    y = Cube.apply(leaf(2.0))
    assert y.node.op == "Cube"
    assert replay([y.node])[y.node].tolist() == [8.0]


def test_a_wrong_number_of_gradients_is_refused():
    class TooMany(Cube):
        @staticmethod
        def backward(ctx, g):
            return g, g

    with pytest.raises(
        RuntimeError, match=r"TooMany.backward: expected 1 gradients, one for each argument of forward .* got 2"
    ):
        TooMany.apply(leaf(1.0)).sum().backward()


def test_a_gradient_of_another_shape_is_refused():
    class Short(Cube):
        @staticmethod
        def backward(ctx, g):
            return g[:1].expand(3)

    with pytest.raises(RuntimeError, match=r"backward through Short: expected a gradient of shape \[2\] .* got \[3\]"):
        Short.apply(leaf(1.0, 2.0)).sum().backward()
