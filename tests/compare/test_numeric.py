"""gradcheck itself: it passes what is right, names what is wrong, and says when a point has no derivative."""

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.compare import (
    GradcheckError,
    NotDifferentiableError,
    central_difference,
    gradcheck,
    gradgradcheck,
)  # fmt: skip
from tinygrad_rnn.errors import DTypeError
from tinygrad_rnn.primitive import PRIMITIVES


def leaf(*shape: int, seed: int = 0) -> tg.Tensor:
    return tg.Tensor(np.random.default_rng(seed).uniform(0.3, 1.3, shape), requires_grad=True)


def network(x: tg.Tensor, w: tg.Tensor) -> tg.Tensor:
    return np.tanh(x @ w) ** 2


@pytest.fixture
def wrong_tanh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PRIMITIVES["tanh"], "vjps", (lambda g, y, x: g * (1 - y),))


@pytest.mark.parametrize("fast", [False, True])
def test_passes_what_is_right_at_three_orders(fast: bool):
    x, w = leaf(2, 3), leaf(3, 2, seed=1)
    before = x.array.copy()
    assert gradcheck(network, (x, w), order=3, fast_mode=fast)
    assert gradgradcheck(network, (x, w), fast_mode=fast)
    assert x.grad is None
    np.testing.assert_array_equal(x.array, before)


@pytest.mark.usefixtures("wrong_tanh")
@pytest.mark.parametrize("fast", [False, True])
def test_names_input_entry_and_both_values(fast: bool):
    x, w = leaf(2, 3), leaf(3, 2, seed=1)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(network, (x, w), fast_mode=fast)
    head, columns, worst = str(caught.value).splitlines()[:3]
    assert head.startswith(
        "gradcheck of network: the gradient of output 0, shape [2, 2], with respect to input 0, float64[2, 3]"
    )
    assert "is wrong in 12 of 24 entries (eps=1e-06, atol=1e-05, rtol=0.001)" in head
    assert columns.split() == ["input", "entry", "output", "entry", "analytic", "numeric", "relative", "error"]
    a, n, relative = (float(word) for word in worst.split()[-3:])
    assert relative == pytest.approx(abs(a - n) / max(abs(a), abs(n)), rel=1e-2)
    assert gradcheck(network, (x, w), raise_exception=False) is False
    assert gradgradcheck(network, (x, w), raise_exception=False) is False


def test_an_error_of_order_two_only_is_found_there(monkeypatch: pytest.MonkeyPatch):
    # right at order 1; but the cosine in the rule is a constant to the sweep, so the second derivative is 0
    rule = (
        lambda g, y, x: (
            g * tg.Tensor(np.cos(x.detach().numpy() if isinstance(x, tg.Tensor) else x))
            if isinstance(g, tg.Tensor)
            else g * np.cos(x)
        ),
    )
    monkeypatch.setattr(PRIMITIVES["sin"], "vjps", rule)
    x = leaf(3)
    assert gradcheck(np.sin, x)
    with pytest.raises(GradcheckError, match=r"gradcheck of sin \(order 2\): the gradient of output 0"):
        gradcheck(np.sin, x, order=2)
    with pytest.raises(GradcheckError, match="gradgradcheck of sin"):
        gradgradcheck(np.sin, x)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(
    ("function", "point"),
    [
        (np.absolute, [0.0, 1.0]),
        (lambda x: np.maximum(x, 0.0), [1.0, 0.0]),
        (lambda x: np.max(x), [2.0, 2.0]),
        (lambda x: np.floor(x), [1.0]),
        (lambda x: x.norm(), [0.0, 0.0]),
        (lambda x: np.where(x > 1.0, x, 0.0), [1.0]),
    ],
)  # fmt: skip
def test_a_kink_or_a_jump_is_told_apart_from_a_wrong_rule(function: Any, point: list[float], fast: bool):
    x = tg.Tensor(np.array(point), requires_grad=True)
    with pytest.raises(
        NotDifferentiableError, match=r"slope is .* from the left and .* from the right\. Move the input"
    ):
        gradcheck(function, x, fast_mode=fast, projections=8)


def test_steep_and_curved_functions_are_not_called_kinks():
    x = tg.Tensor(np.array([0.01, 0.002, 30.0]), requires_grad=True)
    assert gradcheck(lambda x: np.log(x) * 100, x, eps=1e-8)
    assert gradcheck(lambda x: 1 / x, x, eps=1e-7)
    assert gradcheck(lambda x: np.exp(x / 3) * x**3, x)


def test_several_outputs_constants_and_outputs_without_gradient():
    x, c = leaf(3), tg.Tensor(np.arange(3.0))

    def function(x: tg.Tensor, scale: float, c: tg.Tensor) -> tuple[Any, ...]:
        return x * scale, (x * c).sum(), c * 2, x > 1, x.detach()

    # the last output depends on x and hides it
    with pytest.raises(GradcheckError, match="output 3"):
        gradcheck(function, (x, 2.0, c))
    assert gradcheck(lambda x, s, c: function(x, s, c)[:4], (x, 2.0, c), order=2)
    assert gradcheck(lambda x: (x[:0], x.sum()), x)


def test_parameters_read_from_elsewhere_are_varied_too():
    class Model:
        def __init__(self) -> None:
            self.w = leaf(2, 2)

        def __call__(self, *_: Any) -> Any:
            return np.tanh(self.w @ self.w)

    model = Model()
    model.w.array.flags.writeable = False
    assert gradcheck(model, [model.w], order=2)
    model.w.array.flags.writeable = True


def test_inputs_are_restored_when_the_function_fails():
    x = leaf(2)
    before, calls = x.array, []

    def fails_later(x: tg.Tensor) -> tg.Tensor:
        calls.append(1)
        if len(calls) == 4:
            raise KeyError("in the middle")
        return x * 2

    with pytest.raises(KeyError):
        gradcheck(fails_later, x)
    assert x.array is before


def test_bad_input_is_refused():
    with pytest.raises(DTypeError, match="gradcheck: expected float64 for input 0, got float32"):
        gradcheck(np.tanh, tg.ones(2, requires_grad=True))
    with pytest.raises(ValueError, match=r"expected (an|at least one) input that requires grad"):
        gradcheck(np.tanh, tg.ones(2))


def test_a_sweep_that_is_not_repeatable_is_noticed(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(PRIMITIVES["tanh"], "vjps", (lambda g, y, x: g * (1 - y * y) * (1 + 1e-9 * rng.random()),))
    x = leaf(3)
    with pytest.raises(GradcheckError, match="two sweeps through the same graph differ"):
        gradcheck(np.tanh, x)
    assert gradcheck(np.tanh, x, nondet_tol=1e-6)


def test_central_differences_of_a_loss_that_reads_an_array():
    array = np.array([[1.0, -2.0], [0.5, 3.0]])
    before = array.copy()
    np.testing.assert_allclose(central_difference(lambda: np.sum(array**3), array), 3 * array**2, rtol=1e-8)
    np.testing.assert_array_equal(array, before)


@pytest.mark.peers
def test_the_signature_takes_pytorchs_arguments():
    torch = pytest.importorskip("torch")
    x = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    options = {
        "eps": 1e-6,
        "atol": 1e-5,
        "rtol": 1e-3,
        "raise_exception": True,
        "nondet_tol": 0.0,
        "check_grad_dtypes": True,
        "fast_mode": True,
    }
    assert torch.autograd.gradcheck(torch.tanh, (x,), **options)
    assert tg.autograd.gradcheck(np.tanh, (leaf(2),), **options)
