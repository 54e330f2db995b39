"""PyTorch's names do here what they do there: values, dtypes and gradients of the same expressions."""

import numpy as np
import pytest

import tinygrad_rnn as tg

from .expressions import FLOAT, PLAIN

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


def inputs(module, dtype):
    rng = np.random.default_rng(7)
    arrays = [rng.uniform(0.3, 1.5, s) * rng.choice([-1, 1], s) for s in ((3, 4), (3, 4), (4, 2))]
    return [module.tensor(a.astype(dtype), requires_grad=True) for a in arrays]


@pytest.mark.parametrize("name", FLOAT)
@pytest.mark.parametrize("seed", [0, 1])
def test_values_and_gradients_are_pytorchs(name, seed):
    expression = FLOAT[name]
    results = []
    for module in (torch, tg):
        leaves = inputs(module, np.float64)
        with np.errstate(all="ignore"):
            out = expression(module, *leaves)
            weight = np.random.default_rng(seed).standard_normal(tuple(out.shape))
            (out * module.tensor(weight)).sum().backward()
        results.append((out.detach().numpy(), [None if x.grad is None else x.grad.numpy() for x in leaves]))
    (value, grads), (our_value, our_grads) = results
    assert our_value.dtype == value.dtype
    np.testing.assert_allclose(our_value, value, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(our_grads, grads, strict=True):
        np.testing.assert_allclose(0 if ours is None else ours, 0 if theirs is None else theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", FLOAT)
def test_float32_stays_float32(name):
    if name in ("casts", "0-d", "add to part"):
        pytest.skip("mixes dtypes on purpose")
    out = FLOAT[name](tg, *inputs(tg, np.float32))
    assert out.dtype == np.float32


def plain(value):
    return value.detach().numpy() if hasattr(value, "detach") else value


@pytest.mark.parametrize("name", PLAIN)
def test_values_and_dtypes_are_pytorchs(name):
    rng = np.random.default_rng(3)
    i, b, x = rng.integers(1, 6, (3, 4)), rng.random((3, 4)) < 0.5, rng.standard_normal((3, 4))
    sides = [PLAIN[name](m, m.tensor(i), m.tensor(b), m.tensor(x)) for m in (torch, tg)]
    for k, (theirs, ours) in enumerate(zip(*sides, strict=True)):
        theirs, ours = plain(theirs), plain(ours)
        if isinstance(theirs, np.ndarray):
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), f"{name}[{k}]"
            np.testing.assert_allclose(
                ours, theirs, rtol=1e-6 if theirs.dtype == np.float32 else 1e-12, err_msg=f"{name}[{k}]"
            )
        else:
            assert ours == (tuple(theirs) if isinstance(theirs, tuple) else theirs), f"{name}[{k}]"


@pytest.mark.parametrize(
    "value",
    [
        [1.0, 2.0],
        [[1.5, 2.0], [3.0, 4.0]],
        3.0,
        2.5,
        [1, 2],
        True,
        [True, False],
        [0.001, 2000.0],
        [1e9, 1.0],
        [1e-5],
        [],
        [float("nan"), 1.0],
        [float("inf"), -1.5],
        [[1.0, -2.0, 300.25]],
        [[[1, 2], [3, 4]]],
        -7,
        [1.0, 10000.0],
        [0.0, 0.0],
    ],
)
def test_tensors_print_as_in_pytorch(value):
    assert repr(tg.tensor(value)) == repr(torch.tensor(value))


def test_history_prints_as_in_pytorch():
    for module in (tg, torch):
        x = module.tensor([1.0, 2.0], requires_grad=True)
        shown = [repr(x), repr(x * 2), repr((x + 1).sum()), repr(x.tanh()), repr(x.exp()), repr(x.detach())]
        if module is tg:
            ours = shown
    assert ours == shown
