"""Groups, state, errors and saving of optimisers and schedules, without any peer."""

import numpy as np
import pytest

import tinygrad_rnn as tg
import tinygrad_rnn.nn as nn
import tinygrad_rnn.optim as optim
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.optim import lr_scheduler

EVERY = [getattr(optim, n) for n in "SGD Adam AdamW Adamax NAdam RAdam RMSprop Adagrad Adadelta LBFGS".split()]


def _problem(seed=0):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(3, 4, generator=rng), nn.Tanh(), nn.Linear(4, 1, generator=rng))
    x, y = tg.tensor(rng.normal(size=(8, 3)).astype(np.float32)), tg.tensor(rng.normal(size=(8, 1)).astype(np.float32))
    return model, x, y


def _train(model, x, y, optimizer, steps):
    def closure():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    return [optimizer.step(closure).item() for _ in range(steps)]


@pytest.mark.parametrize("kind", EVERY)
def test_every_rule_lowers_the_loss_and_stays_in_float32(kind):
    model, x, y = _problem()
    losses = _train(model, x, y, kind(model.parameters()), 40)
    assert losses[-1] < losses[0]
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", EVERY)
def test_a_saved_optimiser_goes_on_bit_for_bit(kind):
    model, x, y = _problem()
    optimizer = kind(model.parameters())
    _train(model, x, y, optimizer, 5)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    saved = optimizer.state_dict()
    saved = {
        "state": {k: {n: _copy(v) for n, v in s.items()} for k, s in saved["state"].items()},
        "param_groups": saved["param_groups"],
    }
    expected = _train(model, x, y, optimizer, 5)
    other, _, _ = _problem(1)
    other.load_state_dict(weights)
    again = kind(other.parameters(), lr=0.7)
    again.load_state_dict(saved)
    assert _train(other, x, y, again, 5) == expected


def _copy(value):
    if isinstance(value, list):
        return [_copy(v) for v in value]
    return value.clone() if isinstance(value, tg.Tensor) else value


def test_an_update_makes_old_graphs_stale():
    w = nn.Parameter(np.array([2.0]))
    loss = (w * w).sum()
    w.grad = tg.tensor(np.array([1.0]))
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(GraphError, match="modified by an inplace operation"):
        loss.backward()


def test_groups_have_options_of_their_own():
    a, b = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(3))
    optimizer = optim.SGD([{"params": a}, {"params": [b], "lr": 1.0}], lr=0.1)
    for p in (a, b):
        p.grad = tg.tensor(np.ones(p.shape))
    optimizer.step()
    np.testing.assert_allclose(a.array, 0.9)
    np.testing.assert_allclose(b.array, 0.0)
    c = nn.Parameter(np.ones(1))
    optimizer.add_param_group({"params": [c], "momentum": 0.5})
    assert [g["momentum"] for g in optimizer.param_groups] == [0, 0, 0.5]
    assert "Parameter Group 2" in repr(optimizer)


@pytest.mark.parametrize(("build", "error", "text"), [
    (lambda p: optim.SGD([]), ValueError, "empty parameter list"),
    (lambda p: optim.SGD(p), TypeError, "should be an iterable"),
    (lambda p: optim.SGD([1.0]), TypeError, "can only optimize Tensors"),
    (lambda p: optim.SGD([p * 2]), ValueError, "non-leaf"),
    (lambda p: optim.SGD([p, p]), ValueError, "duplicate"),
    (lambda p: optim.SGD([{"params": p}, {"params": p}]), ValueError, "more than one parameter group"),
    (lambda p: optim.SGD([{"params": {p}}]), TypeError, "sets"),
    (lambda p: optim.SGD([p], lr=-1), ValueError, "Invalid learning rate"),
    (lambda p: optim.SGD([p], nesterov=True), ValueError, "Nesterov"),
    (lambda p: optim.Adam([p], betas=(1.0, 0.9)), ValueError, "beta parameter at index 0"),
    (lambda p: optim.Adadelta([p], rho=2), ValueError, "rho"),
    (lambda p: optim.LBFGS([{"params": [p]}, {"params": [nn.Parameter(np.ones(1))]}]), ValueError, "per-parameter"),
    (lambda p: optim.LBFGS([p]).step(), ValueError, "closure"),
    (lambda p: lr_scheduler.StepLR(p, 3), TypeError, "not an Optimizer"),
    (lambda p: lr_scheduler.StepLR(optim.SGD([p]), 3, last_epoch=4), KeyError, "initial_lr"),
    (lambda p: lr_scheduler.ReduceLROnPlateau(optim.SGD([p]), factor=1.5), ValueError, "Factor"),
    (lambda p: lr_scheduler.OneCycleLR(optim.SGD([p]), 0.1), ValueError, "total_steps"),
    (lambda p: lr_scheduler.LambdaLR(optim.SGD([p]), [abs, abs]), ValueError, "Expected 1 lr_lambdas"),
])  # fmt: skip
def test_bad_options_are_refused(build, error, text):
    with pytest.raises(error, match=text):
        build(nn.Parameter(np.ones(2)))


def test_a_state_dict_of_another_model_is_refused():
    one, two = optim.Adam([nn.Parameter(np.ones(2))]), optim.Adam([nn.Parameter(np.ones(3))])
    for optimizer in (one, two):
        (p,) = optimizer.param_groups[0]["params"]
        p.grad = tg.tensor(np.ones(p.shape))
        optimizer.step()
    with pytest.raises(RuntimeError, match=r"expected shape \[3\], got \[2\]"):
        two.load_state_dict(one.state_dict())
    several = optim.Adam([nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2))])
    with pytest.raises(RuntimeError, match="has 2 parameters here and 1 there"):
        several.load_state_dict(one.state_dict())


def test_inverse_time_decay_is_that_of_the_time_series_system():
    optimizer = optim.SGD([nn.Parameter(np.ones(1))], lr=0.5)
    schedule = lr_scheduler.InverseTimeLR(optimizer, decay=0.1)
    for step in range(20):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 / (1 + 0.1 * step), rel=1e-12)
        optimizer.step()
        schedule.step()
    assert schedule._get_closed_form_lr() == pytest.approx(schedule.get_last_lr(), rel=1e-12)


def test_a_saved_schedule_goes_on():
    def pair():
        optimizer = optim.SGD([nn.Parameter(np.ones(1))], lr=0.5)
        return optimizer, lr_scheduler.CosineAnnealingLR(optimizer, T_max=7)

    optimizer, schedule = pair()
    rates = []
    for _ in range(10):
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr())
        if len(rates) == 4:
            saved = schedule.state_dict() | {}, optimizer.state_dict()
    again, other = pair()
    again.load_state_dict(saved[1])
    other.load_state_dict(saved[0])
    again.step()
    for rate in rates[4:]:
        other.step()
        assert other.get_last_lr() == rate


def test_stepping_the_schedule_first_warns():
    optimizer = optim.SGD([nn.Parameter(np.ones(1))])
    schedule = lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match=r"before `optimizer.step\(\)`"):
        schedule.step()


def test_hooks_run_around_a_step_until_removed():
    seen = []
    optimizer = optim.SGD([nn.Parameter(np.ones(1))])
    before = optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    optimizer.step()
    before.remove()
    optimizer.step()
    assert seen == ["before", "after", "after"]
