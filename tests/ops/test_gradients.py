"""Every rule on every sample: against central differences, PyTorch, and itself in its other uses."""

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.samples import TABLE, Sample, rng_of
from tinygrad_rnn.compare import gradcheck, gradgradcheck
from tinygrad_rnn.primitive import PRIMITIVES

from .running import CASES, IDS, gradients, run, seed_for, sources, with_gradient

SMOOTH = [i for i, case in enumerate(CASES) if with_gradient(*case)]
smooth_samples = pytest.mark.parametrize(("name", "sample"), [CASES[i] for i in SMOOTH], ids=[IDS[i] for i in SMOOTH])
# stop_gradient is a lie on purpose, and a cast to float32 cannot be differenced with a step of 1e-6
DIFFERENCED = [i for i in SMOOTH if CASES[i][0] != "stop_gradient" and CASES[i][1].params.get("dtype") != np.float32]


@pytest.mark.parametrize(("name", "sample"), [CASES[i] for i in DIFFERENCED], ids=[IDS[i] for i in DIFFERENCED])
def test_rule_equals_central_differences(name: str, sample: Sample):
    args, _ = run(name, sample)
    ours = sources(name, sample, args)

    def function(*_: Any) -> Any:
        return PRIMITIVES[name](*args, **sample.params)

    assert gradcheck(function, ours, atol=1e-7, rtol=1e-6)
    assert gradgradcheck(function, ours, atol=1e-7, rtol=1e-5, fast_mode=True)


COLLECTED = [CASES[i] for i in DIFFERENCED if PRIMITIVES[CASES[i][0]].factors is not None]


@pytest.mark.parametrize(("name", "sample"), COLLECTED, ids=[f"{name}({sample})" for name, sample in COLLECTED])
def test_collected_factors_equal_central_differences(name: str, sample: Sample):
    """From the second time on that an array is used, the sweep takes the factors and not the rule."""
    args, _ = run(name, sample)

    def function(*_: Any) -> Any:
        return sum(PRIMITIVES[name](*args, **sample.params) * k for k in (1, 2, 3))

    assert gradcheck(function, sources(name, sample, args), atol=1e-7, rtol=1e-6)


@smooth_samples
def test_recorded_rule_equals_plain_rule(name: str, sample: Sample):
    for plain, recorded in zip(gradients(name, sample), gradients(name, sample, create_graph=True), strict=True):
        np.testing.assert_allclose(recorded, plain, rtol=1e-13, atol=1e-15)


def torch_arguments(torch: Any, sample: Sample, ours: list[Any]) -> list[Any]:
    result = []
    for a, t in zip(sample.args, ours, strict=True):
        if isinstance(a, np.ndarray):
            a = torch.from_numpy(a.copy())
            a.requires_grad = t.requires_grad
        result.append(a)
    return result


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:.*degrees of freedom")  # PyTorch's own, on empty samples
@pytest.mark.parametrize(("name", "sample"), CASES, ids=IDS)
def test_value_and_gradient_equal_pytorch(name: str, sample: Sample):
    torch = pytest.importorskip("torch")
    args, y = run(name, sample)
    theirs = torch_arguments(torch, sample, args)
    expected = TABLE[name].torch(torch, *theirs, **sample.params)
    assert tuple(expected.shape) == y.shape
    if name not in INTEGER_RESULTS:
        assert str(expected.dtype).removeprefix("torch.") == str(y.dtype)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-15)
    wanted = [t for t in theirs if isinstance(t, torch.Tensor) and t.requires_grad]
    if not with_gradient(name, sample) or not expected.requires_grad:
        return
    seed = seed_for(name, sample, y.shape, y.dtype)
    grads = torch.autograd.grad(expected, wanted, torch.from_numpy(seed), allow_unused=True, create_graph=True)
    ours = sources(name, sample, args)
    own = tg.autograd.grad(y, ours, tg.Tensor(seed), create_graph=True, allow_unused=True)
    for g, h in zip(own, grads, strict=True):
        close(g, h, 1e-10)
    weights = [rng_of(name, i).standard_normal(x.shape) for i, x in enumerate(ours)]
    first = sum((g * w).sum() for g, w in zip(own, weights, strict=True) if g is not None)
    other = sum((h * torch.from_numpy(w)).sum() for h, w in zip(grads, weights, strict=True) if h is not None)
    if getattr(first, "requires_grad", False) and getattr(other, "requires_grad", False):
        again = tg.autograd.grad(first, ours, allow_unused=True)
        for g, h in zip(again, torch.autograd.grad(other, wanted, allow_unused=True), strict=True):
            close(g, h, 1e-9, scale=1e-11)


# NumPy counts in the platform's integer and takes the power of integers as such; PyTorch agrees on the values
INTEGER_RESULTS = ("where",)


def close(g: Any, h: Any, rtol: float, scale: float = 0.0) -> None:
    """Equal to `rtol`, entry by entry, but for `scale` times the largest of them."""
    if g is None or h is None:
        known = g.detach().numpy() if g is not None else h.detach().numpy(force=True) if h is not None else np.zeros(())
        assert not np.any(known), "a gradient on one side only"
    else:
        expected = h.detach().numpy(force=True)
        atol = 1e-13 + scale * float(np.max(np.abs(expected), initial=0))
        np.testing.assert_allclose(g.detach().numpy(), expected, rtol=rtol, atol=atol)
