"""Derivatives of functions, against closed forms, finite differences and each other, at any depth."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.transforms import grad, hvp, jacobian, jvp, value_and_grad, vjp

RNG = np.random.default_rng(5)
W = RNG.standard_normal((4, 4))
X = RNG.standard_normal((3, 4))


def loss(w):
    h = tg.from_numpy(X)
    for _ in range(3):
        h = (h @ w).tanh()
    return (h * h).sum()


def numeric(function, x, eps=1e-6):
    result = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = eps
        result[i] = (function(x + step) - function(x - step)) / (2 * eps)
    return result


def value(w):
    return loss(tg.from_numpy(w)).item()


def test_grad_is_the_slope():
    np.testing.assert_allclose(grad(loss)(W).numpy(), numeric(value, W), rtol=1e-7, atol=1e-8)


def test_value_and_grad_gives_both_and_neither_has_history():
    v, g = value_and_grad(loss)(W)
    assert v.item() == value(W)
    assert not v.requires_grad
    assert not g.requires_grad


def test_several_arguments_and_structures():
    params = {"w": W, "pair": (X, [np.float64(2.0)])}
    g = grad(lambda p, scale: (p["pair"][0] @ p["w"]).sum() * p["pair"][1][0] * scale, argnums=(0, 1))(params, 3.0)
    np.testing.assert_allclose(g[0]["w"].numpy(), np.tile(6 * X.sum(0)[:, None], 4))
    assert isinstance(g[0]["pair"], tuple)
    assert isinstance(g[0]["pair"][1], list)
    np.testing.assert_allclose(g[1].item(), 2 * (X @ W).sum(), rtol=1e-6)


def test_an_unused_argument_has_gradient_zero():
    assert grad(lambda a, b: (a * a).sum(), argnums=1)(X, W).numpy().tolist() == np.zeros_like(W).tolist()


def test_has_aux_passes_more_results_through():
    (v, extra), g = value_and_grad(lambda x: ((x * x).sum(), "more"), has_aux=True)(X)
    assert extra == "more"
    np.testing.assert_allclose(v.item(), (X * X).sum())
    np.testing.assert_allclose(g.numpy(), 2 * X)


def test_derivatives_of_derivatives_to_order_four():
    f = lambda x: (x**5).sum()
    for order, expected in enumerate([5 * X**4, 20 * X**3, 60 * X**2, 120 * X], start=1):
        derivative = f
        for _ in range(order):
            derivative = (lambda inner: lambda x: grad(inner)(x).sum())(derivative)
        np.testing.assert_allclose(derivative(tg.from_numpy(X)).item(), expected.sum(), rtol=1e-10)


def test_hvp_is_the_derivative_of_the_gradient():
    v = RNG.standard_normal(W.shape)
    eps = 1e-5
    expected = (grad(loss)(W + eps * v).numpy() - grad(loss)(W - eps * v).numpy()) / (2 * eps)
    out, product = hvp(loss, W, v)
    np.testing.assert_allclose(product.numpy(), expected, rtol=1e-6, atol=1e-7)
    assert out.item() == value(W)


def test_jvp_and_vjp_are_transposes_and_jvp_is_the_directional_slope():
    f = lambda w: (tg.from_numpy(X) @ w).tanh()
    v, u = RNG.standard_normal(W.shape), RNG.standard_normal(X.shape)
    out, forward = jvp(f, (W,), (v,))
    _, pull = vjp(f, W)
    np.testing.assert_allclose((forward.numpy() * u).sum(), (pull(u)[0].detach().numpy() * v).sum(), rtol=1e-12)
    np.testing.assert_allclose(
        forward.numpy(), (np.tanh(X @ (W + 1e-6 * v)) - np.tanh(X @ (W - 1e-6 * v))) / 2e-6, rtol=1e-6
    )
    np.testing.assert_allclose(out.numpy(), np.tanh(X @ W))


def test_vjp_can_be_pulled_twice():
    _, pull = vjp(lambda x: x * x, X)
    np.testing.assert_allclose(pull(np.ones_like(X))[0].detach().numpy(), 2 * X)
    np.testing.assert_allclose(pull(2 * np.ones_like(X))[0].detach().numpy(), 4 * X)


def test_jacobian_has_output_then_input_axes():
    f = lambda x: (x @ tg.from_numpy(W)).tanh()
    full = jacobian(f)(X).numpy()
    assert full.shape == (3, 4, 3, 4)
    slope = 1 - np.tanh(X @ W) ** 2
    expected = np.einsum("bo,io,bc->boci", slope, W, np.eye(3))
    np.testing.assert_allclose(full, expected, atol=1e-12)
    assert jacobian(lambda x: x[:0])(X).shape == (0, 4, 3, 4)


def test_closures_are_differentiated_through():
    w = tg.tensor(W, requires_grad=True)
    inner = grad(lambda x: (x @ w).tanh().sum())(X)
    inner.sum().backward()
    expected = numeric(lambda m: (1 - np.tanh(X @ m) ** 2).dot(m.T).sum(), W)
    np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-6, atol=1e-7)


def test_no_grad_outside_does_not_switch_derivatives_off():
    with tg.no_grad():
        np.testing.assert_allclose(grad(lambda x: (x * x).sum())(X).numpy(), 2 * X)


@pytest.mark.parametrize("transform", [grad, value_and_grad])
def test_a_value_with_many_entries_is_refused(transform):
    with pytest.raises(
        RuntimeError, match=r"grad: expected the function to return a tensor with one entry, got \[3, 4\]"
    ):
        transform(lambda x: x * 2)(X)
