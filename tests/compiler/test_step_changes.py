"""A compiled step between other things: what it must notice of parameters, groups, options and states, as the training
loop that it stands for would."""

import copy

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.errors import AnomalyError, GraphError


def leaf(*values):
    return tg.tensor(np.array(values, dtype=float), requires_grad=True)


def eagerly(loss_fn, optimizer, clip=None):
    """The training loop's five lines."""

    def step(*args):
        optimizer.zero_grad()
        loss = loss_fn(*args)
        loss.backward()
        if clip is not None:
            members = [p for group in optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(members, clip)
        optimizer.step()
        return loss.detach()

    return step


OPTIMISERS = {
    "sgd": lambda p: tg.optim.SGD(p, lr=0.1),
    "momentum": lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: tg.optim.Adam(p, lr=0.1),
}


def load(optimizer, **options):
    saved = copy.deepcopy(optimizer.state_dict())
    for group in saved["param_groups"]:
        group.update(options)
    optimizer.load_state_dict(saved)


def forget(optimizer, w, v, eager):
    optimizer.state.clear()


def load_and_halve(optimizer, w, v, eager):
    load(optimizer)
    optimizer.param_groups[0]["lr"] = 0.05


def load_other_options(optimizer, w, v, eager):
    load(optimizer, lr=0.02)


def add_a_group(optimizer, w, v, eager):
    optimizer.add_param_group({"params": [v], "lr": 0.3})


def append_to_a_group(optimizer, w, v, eager):
    optimizer.param_groups[0]["params"].append(v)


def remove_from_a_group(optimizer, w, v, eager):
    optimizer.param_groups[0]["params"].pop()


def step_eagerly(optimizer, w, v, eager):
    eager()


def set_a_count_back(optimizer, w, v, eager):
    if "step" in optimizer.state[w]:
        optimizer.state[w]["step"] = 1


def replace_a_moment(optimizer, w, v, eager):
    for name, value in optimizer.state.get(w, {}).items():
        if isinstance(value, tg.Tensor):
            optimizer.state[w][name] = value * 0.5


def write_a_moment(optimizer, w, v, eager):
    for value in optimizer.state.get(w, {}).values():
        if isinstance(value, tg.Tensor):
            value.mul_(0.5)


def move_the_data(optimizer, w, v, eager):
    w.data = w.data * 2


CHANGES = [
    forget, load_and_halve, load_other_options, add_a_group, append_to_a_group, remove_from_a_group, step_eagerly,
    set_a_count_back, replace_a_moment, write_a_moment, move_the_data,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", OPTIMISERS)
def test_what_happens_between_steps_is_noticed(name, change):
    def trained(step_of):
        w, u, v = leaf(1.0, 2.0), leaf(0.5, -1.0, 3.0), leaf(2.0)
        optimizer = OPTIMISERS[name]([w, u])

        def loss_fn():
            return (w * w).sum() * v.sum() + (u * v).pow(2).sum()

        step = step_of(loss_fn, optimizer)
        for k in range(5):
            if k == 2:
                change(optimizer, w, v, eagerly(loss_fn, optimizer))
            step()
        states = [optimizer.state.get(p, {}) for p in (w, u, v)]
        numbers = [{n: getattr(x, "array", x) for n, x in state.items()} for state in states]
        return [p.detach().numpy() for p in (w, u, v)], numbers

    (expected, states), (got, found) = trained(eagerly), trained(tg.compile_step)
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12)
    for a, b in zip(states, found, strict=True):
        assert a.keys() == b.keys()
        for entry in a:
            np.testing.assert_allclose(b[entry], a[entry], rtol=1e-12, err_msg=entry)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_tasks_with_parameters_of_their_own_take_turns(name):
    def trained(step_of):
        w, heads = leaf(1.0, 2.0), [leaf(1.0, 1.0), leaf(1.0, 1.0), leaf(0.5, 2.0)]
        optimizer = OPTIMISERS[name]([w, *heads])
        step = step_of(lambda k: (w * heads[k] - 1).pow(2).sum(), optimizer)
        for k in (0, 1, 1, 2, 0, 1):
            step(k)
        return [p.detach().numpy() for p in (w, *heads)]

    for a, b in zip(trained(eagerly), trained(tg.compile_step), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12)


def test_parameters_of_different_age_keep_their_own_counts():
    def trained(step_of):
        w, late = leaf(1.0, 2.0), leaf(3.0, 1.0)
        late.requires_grad_(False)
        optimizer = tg.optim.Adam([w, late], lr=0.1)

        def loss_fn():
            return (w * late * late).sum()

        for _ in range(3):
            eagerly(loss_fn, optimizer)()
        late.requires_grad_(True)
        step = step_of(loss_fn, optimizer)
        for _ in range(3):
            step()
        return [*(p.detach().numpy() for p in (w, late)), [optimizer.state[p]["step"] for p in (w, late)]]

    expected = trained(eagerly)
    assert expected[2] == [6, 3]
    for a, b in zip(expected, trained(tg.compile_step), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12)


def test_two_steps_of_one_optimiser_share_its_vector():
    w, v = leaf(1.0, 2.0), leaf(0.5)
    optimizer = tg.optim.Adam([w, v], lr=0.1)
    one = tg.compile_step(lambda: (w * v).pow(2).sum(), optimizer)
    other = tg.compile_step(lambda: (w - v).pow(2).sum(), optimizer)
    one(), other()
    arrays = w.array, v.array
    for step in (one, other, one, other):
        step()
    assert (w.array, v.array) == arrays or (w.array is arrays[0] and v.array is arrays[1])
    assert optimizer.state[w]["step"] == 6


def test_hooks_of_parameters_change_their_gradients():
    def trained(step_of):
        w, v = leaf(1.0, 2.0), leaf(3.0)
        seen = []
        w.register_hook(lambda g: g.clamp(-0.1, 0.1))
        v.register_hook(lambda g: seen.append(g.numpy().copy()))
        step = step_of(lambda: (w * w * v).sum(), tg.optim.SGD([w, v], lr=0.1), 0.5)
        step(), step()
        return [w.detach().numpy(), v.detach().numpy(), *seen]

    for a, b in zip(trained(eagerly), trained(tg.compile_step), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12)


def test_a_model_may_change_its_dtype():
    net = nn.Linear(3, 2, generator=np.random.default_rng(0))
    step = tg.compile_step(lambda x: net(x.to(net.weight.dtype)).sum(), tg.optim.SGD(net.parameters(), lr=0.1))
    step(tg.ones(1, 3))
    net.double()
    before = net.weight.detach().numpy().copy()
    step(tg.ones(1, 3))
    assert net.weight.dtype == tg.float64
    np.testing.assert_allclose(net.weight.detach().numpy(), before - 0.1, rtol=1e-12)


def test_a_compiled_function_is_recorded_anew_for_parameters_of_another_shape():
    w = leaf(1.0, 2.0)
    compiled = tg.compile(lambda: (w * w).sum())
    assert compiled().item() == 5
    for data in (np.array([3.0]), np.array([1.0, 1.0, 1.0], np.float32), np.array([1.0, 3.0])):
        w.data = data
        assert compiled().item() == np.sum(data**2)
        assert compiled().dtype == data.dtype


def test_parameters_that_share_memory_are_refused():
    w, v = leaf(1.0, 2.0), leaf(3.0, 4.0)
    v.data = w.data
    step = tg.compile_step(lambda: (w * v).sum(), tg.optim.SGD([w, v], lr=0.1))
    with pytest.raises(GraphError, match="share memory"):
        step()


def test_optimisers_with_a_way_of_their_own_are_refused():
    class Whole(tg.optim.SGD):
        def update_group(self, group):
            raise NotImplementedError

    w = leaf(1.0)
    with pytest.raises(GraphError, match=r"Whole does not update entry by entry: it has a update_group\(\) of its own"):
        tg.compile_step(lambda: w.sum(), Whole([w], lr=0.1))
    patched = tg.optim.SGD([w], lr=0.1)
    patched.step = lambda: None
    with pytest.raises(GraphError, match=r"it has a step\(\) of its own"):
        tg.compile_step(lambda: w.sum(), patched)
    step = tg.compile_step(lambda: (tg.ones(()), w.sum()), tg.optim.SGD([w], lr=0.1))
    with pytest.raises(GraphError, match="the first result, which is the loss, does not require grad"):
        step()


def test_detect_anomaly_sees_a_step_that_was_recorded_before():
    def trained(step_of):
        w = leaf(4.0, 1.0)
        optimizer = tg.optim.Adam([w], lr=0.1)
        step = step_of(lambda: (np.sqrt(w) * w).sum(), optimizer, 0.5)
        step()
        with tg.autograd.detect_anomaly():
            loss = step()
        step()
        return w, optimizer, loss, step

    (w, _, a, _), (v, optimizer, b, step) = trained(eagerly), trained(tg.compile_step)
    np.testing.assert_allclose(v.detach().numpy(), w.detach().numpy(), rtol=1e-12)
    assert b.item() == pytest.approx(a.item(), rel=1e-12)
    assert not b.requires_grad
    assert optimizer.state[v]["step"] == 3
    v.data = np.array([-1.0, 1.0])
    with np.errstate(invalid="ignore"), tg.autograd.detect_anomaly(), pytest.raises(AnomalyError, match="sqrt"):
        step()


def test_programs_of_a_step_are_not_kept_for_ever():
    w = leaf(1.0)
    step = tg.compile_step(lambda k: (w * k).sum(), tg.optim.SGD([w], lr=0.01))
    for k in range(70):
        step(float(k))
    assert len(step._prepared) == 64


# calls of a compiled function, and what is written before their backward
def test_a_parameter_written_before_the_backward_is_refused_as_by_eager():
    w, b = leaf(2.0), leaf(1.0)
    optimizer = tg.optim.SGD([w], lr=0.1)

    def function():
        return (w * w * w + b).sum()

    for called in (function, tg.compile(function)):
        loss = called()
        w.grad = None
        function().backward()
        optimizer.step()
        with pytest.raises(GraphError, match=r"modified by an inplace operation at test_step_changes.py:"):
            loss.backward()
        loss = called()
        with tg.no_grad():
            b.add_(1.0)  # no gradient needs its value
        loss.backward()


def test_a_second_backward_after_an_update_is_refused_as_by_eager():
    w = leaf(2.0)

    def function():
        return (w * w * w).sum()

    for called in (function, tg.compile(function)):
        loss = called()
        loss.backward(retain_graph=True)
        with tg.no_grad():
            w.sub_(0.1)
        with pytest.raises(GraphError, match="modified by an inplace operation"):
            loss.backward()


def test_a_second_backward_does_not_write_in_place_again():
    buffer, x = tg.zeros(1), tg.ones(1, requires_grad=True)

    @tg.compile
    def function(x):
        buffer.add_(1)
        return (x * buffer).sum()

    loss = function(x)
    loss.backward(retain_graph=True)
    assert x.grad.item() == 1
    with pytest.raises(GraphError, match="a second backward through a compiled function that writes in place"):
        loss.backward()
    assert buffer.item() == 1
