"""Losses against PyTorch's, in float64, over drawn options, and at their edges."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn.nn as nn
import tinygrad_rnn.nn.functional as F
from tinygrad_rnn.tensor import Tensor

torch = pytest.importorskip("torch")
from tests.nn.parity import assert_close  # noqa: E402  (needs torch)

pytestmark = pytest.mark.peers


def check(name, x, targets, options, tensors=()):
    """Value and gradient; `options` named in `tensors` are arrays."""
    mine, yours = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    loss = getattr(F, name)(mine, Tensor(targets), **{k: Tensor(v) if k in tensors else v for k, v in options.items()})
    expected = getattr(torch.nn.functional, name)(
        yours, torch.tensor(targets), **{k: torch.tensor(v) if k in tensors else v for k, v in options.items()}
    )
    assert_close(loss.array, expected.detach().numpy(), "loss")
    if not np.isfinite(loss.array).all():
        return
    loss.sum().backward()
    expected.sum().backward()
    assert_close(mine.grad.array, yours.grad.numpy(), "gradient")


@settings(max_examples=150)
@given(st.data())
def test_property_class_losses(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    name = data.draw(st.sampled_from(["cross_entropy", "nll_loss"]))
    classes, batch = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    form = data.draw(
        st.sampled_from(
            ["flat", "single", "more axes", "soft"] if name == "cross_entropy" else ["flat", "single", "more axes"]
        )
    )
    more = tuple(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))) if form == "more axes" else ()
    shape = (classes,) if form == "single" else (batch, classes, *more)
    x = rng.normal(size=shape) * 3
    options = {"reduction": data.draw(st.sampled_from(["mean", "sum", "none"]))}
    if data.draw(st.booleans()):
        options["weight"] = rng.uniform(0.1, 2, size=classes)
    if name == "cross_entropy" and data.draw(st.booleans()):
        options["label_smoothing"] = data.draw(st.sampled_from([0.1, 0.9]))
    if form == "soft":
        targets = rng.dirichlet(np.ones(classes), size=batch)
    else:
        targets = rng.integers(0, classes, size=shape[:1] * (form != "single") + more)
        ignored = data.draw(st.sampled_from([None, -100, 0, -1]))
        if ignored is not None:
            options["ignore_index"] = ignored
            if targets.ndim:
                targets[rng.random(targets.shape) < 0.3] = ignored
            if targets.ndim and (targets == ignored).all():
                targets[(0,) * targets.ndim] = classes - 1
            if (targets == ignored).all():
                options["reduction"] = "sum"  # the mean of nothing has a test of its own
    check(name, x, np.asarray(targets), options, tensors=("weight",))


REGRESSION = [
    ("mse_loss", {}),
    ("l1_loss", {}),
    ("smooth_l1_loss", {"beta": 0.7}),
    ("smooth_l1_loss", {"beta": 0}),
    ("huber_loss", {"delta": 0.6}),
    ("kl_div", {"log_target": True}),
    ("kl_div", {}),
]
REDUCED = [(*case, reduction) for case in REGRESSION for reduction in ("mean", "sum", "none")]
REDUCED += [("kl_div", {}, "batchmean"), ("kl_div", {"log_target": True}, "batchmean")]


@pytest.mark.parametrize(("name", "options", "reduction"), REDUCED)
def test_losses_of_numbers(name, options, reduction):
    rng = np.random.default_rng(1)
    x, target = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    target[0] = x[0]  # where they are equal
    if name == "kl_div" and not options:
        target = np.abs(target)
        target[1, 1] = 0
    warns = (
        pytest.warns(UserWarning, match="KL div")
        if name == "kl_div" and reduction == "mean"
        else contextlib.nullcontext()
    )
    with warns:
        check(name, x, target, {**options, "reduction": reduction})


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_losses(weighted, reduction):
    rng = np.random.default_rng(2)
    p = rng.uniform(size=(4, 3))
    target = rng.uniform(size=(4, 3))
    p[0], target[0] = [0, 1, 0.5], [0, 1, 0.5]  # certainty, where the logarithm is cut off
    options = {"reduction": reduction} | ({"weight": rng.uniform(size=(3,))} if weighted else {})
    check("binary_cross_entropy", p, target, options, tensors=("weight",))
    logits = rng.normal(size=(4, 3)) * 5
    logits[1] = [800, -800, 0]
    options |= {"pos_weight": rng.uniform(size=3)} if weighted else {}
    check("binary_cross_entropy_with_logits", logits, target, options, tensors=("weight", "pos_weight"))


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2}, {"weight": np.ones(3)}])
def test_the_mean_over_ignored_targets_alone_is_nan_as_in_pytorch(options):
    x, target = np.zeros((2, 3)), np.array([-100, -100])
    assert np.isnan(torch.nn.functional.cross_entropy(torch.tensor(x), torch.tensor(target)).item())
    given = {k: Tensor(v) if k == "weight" else v for k, v in options.items()}
    loss = F.cross_entropy(Tensor(x, requires_grad=True), Tensor(target), **given)
    assert np.isnan(loss.item())
    assert F.cross_entropy(Tensor(x), Tensor(target), reduction="sum").item() == 0


@pytest.mark.parametrize("target", [3, -1, -100000])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_a_target_that_is_no_class_is_an_index_error_as_in_pytorch(name, target):
    x = np.zeros((2, 3))
    with pytest.raises(IndexError, match=rf"Target {target} is out of bounds"):
        getattr(torch.nn.functional, name)(torch.tensor(x), torch.tensor([0, target]))
    with pytest.raises(IndexError, match=rf"Target {target} is out of bounds"):
        getattr(F, name)(Tensor(x), Tensor(np.array([0, target])))


def test_loss_modules_are_their_functions():
    rng = np.random.default_rng(3)
    x, y, p = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.uniform(0.1, 0.9, size=(4, 3))
    classes, weight = np.array([0, 2, -1, 1]), rng.uniform(size=3)
    cases = [
        ("CrossEntropyLoss", {"weight": weight, "ignore_index": -1, "label_smoothing": 0.1}, x, classes),
        ("NLLLoss", {"weight": weight, "ignore_index": -1, "reduction": "sum"}, x, classes),
        ("MSELoss", {}, x, y),
        ("L1Loss", {"reduction": "none"}, x, y),
        ("SmoothL1Loss", {"beta": 0.5}, x, y),
        ("HuberLoss", {"delta": 0.5}, x, y),
        ("BCELoss", {"weight": weight}, p, p[::-1].copy()),
        ("BCEWithLogitsLoss", {"pos_weight": weight}, x, p),
        ("KLDivLoss", {"reduction": "batchmean"}, x, p),
        ("KLDivLoss", {"reduction": "sum", "log_target": True}, x, y),
    ]
    for name, options, a, b in cases:
        ours = getattr(nn, name)(**{k: Tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()})
        theirs = getattr(torch.nn, name)(
            **{k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        )
        assert_close(ours(Tensor(a), Tensor(b)).array, theirs(torch.tensor(a), torch.tensor(b)).numpy(), name)


def test_the_old_spelling_of_reduction_warns_and_works():
    x, y = Tensor(np.ones(3)), Tensor(np.zeros(3))
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert F.mse_loss(x, y, size_average=False).item() == 3
    with pytest.warns(UserWarning, match="reduction='none'"):
        assert nn.MSELoss(reduce=False)(x, y).shape == (3,)


def test_a_target_of_another_shape_warns():
    with pytest.warns(UserWarning, match="different to the input size"):
        F.mse_loss(Tensor(np.ones((3, 1))), Tensor(np.ones(3)))
