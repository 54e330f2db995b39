"""`compile` as a drop-in: signatures, live parameters, hooks, draws, memory, and everything that is refused by name."""

import gc
import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compiler.loops import batch, loss_of, weights
from tinygrad_rnn import nn
from tinygrad_rnn.errors import GraphError


def leaf(*shape, seed=0):
    return tg.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def close(a, b):
    np.testing.assert_allclose(getattr(a, "array", a), getattr(b, "array", b), rtol=1e-12, atol=1e-12)


class Counter:
    """A function that counts how often it is run, that is recorded."""

    def __init__(self, function):
        self.function, self.runs = function, 0

    def __call__(self, *args, **kwargs):
        self.runs += 1
        return self.function(*args, **kwargs)


def test_one_recording_per_signature():
    inner = Counter(lambda x, power=1: (x**power).sum())
    compiled = tg.compile(inner)
    for x in (leaf(2, 3), leaf(2, 3, seed=1), leaf(4), leaf(2, 3).detach(), leaf(2, 3).float()):
        compiled(x)
        compiled(x)
    assert inner.runs == 4
    compiled(leaf(4), power=2)
    compiled(leaf(4), power=3)
    compiled(leaf(4), power=2)
    assert inner.runs == 6
    with tg.no_grad():
        assert not compiled(leaf(4)).requires_grad
    assert inner.runs == 7


def test_structures_of_arrays_and_static_values_come_and_go():
    @tg.compile
    def function(pair, named, flag):
        a, b = pair
        return {"sum": a + b * named["scale"], "flag": flag, "list": [a, None]}

    a, b = leaf(3), np.arange(3.0)
    result = function((a, b), {"scale": 2.0}, True)
    close(result["sum"], a.array + 2 * b)
    assert result["flag"] is True
    assert result["list"][1] is None
    assert result["list"][0] is a, "an argument that is returned is the argument itself"


def test_parameters_are_read_at_every_call_however_they_change():
    layer = nn.Linear(3, 2).double()
    compiled = tg.compile(lambda x: layer(x).sum())
    x = leaf(4, 3)
    compiled(x)
    with tg.no_grad():
        layer.weight.add_(1.0)
    close(compiled(x), layer(x).sum())
    layer.load_state_dict({"weight": np.ones((2, 3)), "bias": np.zeros(2)})
    close(compiled(x), layer(x).sum())
    layer.weight.data = tg.tensor(np.full((2, 3), 2.0))
    close(compiled(x), layer(x).sum())
    layer.weight = nn.Parameter(tg.tensor(np.full((2, 3), 3.0)))
    close(compiled(x), layer(x).sum())
    layer.weight.requires_grad_(False)
    compiled(x).backward()
    assert layer.weight.grad is None


def test_a_closure_sees_rebound_names():
    factor = leaf(3)
    compiled = tg.compile(lambda x: (x * factor).sum())
    x = leaf(3, seed=1)
    compiled(x)
    factor = leaf(3, seed=2)
    close(compiled(x), (x * factor).sum())


def test_training_mode_selects_the_program():
    dropout = nn.Dropout(0.5)
    compiled = tg.compile(lambda x: dropout(x))
    x = leaf(50)
    assert (compiled(x).array == 0).any()
    dropout.eval()
    close(compiled(x), x)


def test_draws_are_fresh_at_each_replay_and_those_of_eager():
    dropout, other = nn.Dropout(0.5), nn.Dropout(0.3)

    def function(x):
        return [dropout(x), other(x), dropout(x)]

    compiled, x = tg.compile(function), leaf(40)
    tg.manual_seed(5)
    first, second = compiled(x), compiled(x)
    assert not np.array_equal(first[0].array, second[0].array)
    tg.manual_seed(5)
    for replayed in (first, second):
        for a, b in zip(replayed, function(x), strict=True):
            np.testing.assert_array_equal(a.array, b.array)


def test_gradients_accumulate_and_hooks_on_leaves_run_once():
    x = leaf(3)
    compiled = tg.compile(lambda x: (x * x).sum())
    seen = []
    x.register_hook(lambda g: seen.append(g.array.copy()))
    for _ in range(3):
        compiled(x).backward()
    close(x.grad, 3 * 2 * x.array)
    assert len(seen) == 3
    close(seen[0], 2 * x.array)


def test_gradients_flow_through_to_what_made_the_arguments_and_from_what_follows():
    x = leaf(3)
    compiled = tg.compile(lambda h: np.tanh(h))
    (compiled(compiled(x * 2)) ** 2).sum().backward()
    expected = leaf(3)
    (np.tanh(np.tanh(expected * 2)) ** 2).sum().backward()
    close(x.grad, expected.grad)


def test_several_results_each_with_its_own_cotangent():
    x = leaf(3)
    compiled = tg.compile(lambda x: (x * x, x.exp(), x.detach()))
    square, exponential, detached = compiled(x)
    assert not detached.requires_grad
    (square.sum() * 3 + exponential.sum()).backward()
    close(x.grad, 6 * x.array + np.exp(x.array))
    (gradient,) = tg.autograd.grad(compiled(x)[1].sum(), [x])
    close(gradient, np.exp(x.array))


def test_the_same_argument_twice():
    x = leaf(3)
    tg.compile(lambda a, b: (a * b).sum())(x, x).backward()
    close(x.grad, 2 * x.array)


def test_results_and_gradients_never_share_memory_with_the_plan():
    compiled = tg.compile(lambda x, w: (x @ w, (x * 2)))
    x, w = leaf(4, 3), leaf(3, 2, seed=1)
    first = compiled(x, w)
    kept = [r.array.copy() for r in first]
    gradients = tg.autograd.grad(first[0].sum(), [x, w])
    kept_gradients = [g.array.copy() for g in gradients]
    compiled(leaf(4, 3, seed=5), leaf(3, 2, seed=6))[0].sum().backward()
    for a, b in zip([*first, *gradients], [*kept, *kept_gradients], strict=True):
        np.testing.assert_array_equal(a.array, b)


def test_a_leaf_that_the_function_makes_wants_no_gradient():
    """As in `h0 = zeros(...).requires_grad_()`: each eager call makes another one, and nobody asks for its gradient."""
    w = tg.tensor(np.eye(3), requires_grad=True)

    def function(x):
        h = tg.zeros(3, dtype=tg.float64).requires_grad_()
        return np.tanh(x @ w + h).sum()

    compiled = tg.compile(function)
    x = tg.tensor(np.random.default_rng(0).normal(size=(2, 3)))
    compiled.check(x)
    wanted = compiled.program(x).wanted
    assert [leaf.value for leaf in wanted] == [w.node]
    alone = tg.compile(lambda x: (x * tg.ones(3, dtype=tg.float64).requires_grad_()).sum())
    y = alone(x)
    assert y.requires_grad
    y.backward()


def test_backward_after_other_calls_waits_with_buffers_of_its_own():
    x = leaf(3)
    compiled = tg.compile(lambda x: (x * x).sum())
    losses = [compiled(x * k) for k in (1.0, 2.0, 3.0)]
    sum(losses).backward()
    close(x.grad, 2 * x.array * (1 + 4 + 9))


def test_a_stale_backward_raises():
    x = leaf(3)
    compiled = tg.compile(lambda x: (x * x).sum())
    losses = [compiled(x) for _ in range(6)]
    with pytest.raises(GraphError, match="overwritten by 1 later call"):
        losses[0].backward()


def test_a_second_backward_needs_retain_graph():
    x = leaf(4)
    compiled = tg.compile(lambda x: np.tanh(np.tanh(x) * x).sum())
    loss = compiled(x)
    loss.backward(retain_graph=True)
    once = x.grad.array.copy()
    loss.backward()
    close(x.grad, 2 * once)
    with pytest.raises(GraphError, match="second time"):
        loss.backward()


def test_gradients_of_gradients_are_refused_by_name_and_compiled_when_inside():
    x = leaf(3)
    compiled = tg.compile(lambda x: (x**3).sum())
    with pytest.raises(GraphError, match="gradients of gradients"):
        compiled(x).backward(create_graph=True)

    def penalty(x):
        (g,) = tg.autograd.grad((x**3).sum(), [x], create_graph=True)
        return (g * g).sum()

    tg.compile(penalty).check(x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: x if x.sum() > 0 else -x, r"item\(\) at test_compiled.py:\d+: compile is recording.*np.where"),
        (lambda x: x * x.sum().item(), r"item\(\)"),
        (lambda x: x.detach().numpy(), r"numpy\(\)"),
        (lambda x: x * float(x[0]), r"item\(\)"),
        (lambda x: tg.tensor(x), r"making a tensor"),
        (lambda x: x[x > 0], "reads through a mask"),
        (lambda x: x.sum().backward(), r"backward\(\) or grad\(\) while"),
        (lambda x: x.sort()[0], r"argsort\(\)"),
        (lambda x: x.mul_(2), "leaf Variable|arguments in place"),
    ],
)
def test_what_would_be_baked_in_is_refused_with_the_line_and_a_way_out(function, text):
    with pytest.raises(GraphError, match=text):
        tg.compile(function)(leaf(3))


def test_a_tensor_with_history_in_the_closure_is_refused():
    h = leaf(3) * 2
    with pytest.raises(GraphError, match=r"closes over a tensor with history.*Pass it as an argument"):
        tg.compile(lambda x: x * h)(leaf(3))


@pytest.mark.parametrize(
    "write",
    [
        lambda t: t.zero_(),
        lambda t: t.fill_(7.0),
        nn.init.zeros_,
        lambda t: t.add_(1.0),
        lambda t: tg.optim.SGD([t], lr=1.0).step(),
    ],
)
def test_what_is_refused_has_not_been_written(write):
    t = tg.ones(3, requires_grad=True)
    t.grad = tg.ones(3)

    def function(t):
        with tg.no_grad():
            write(t)
        return t.sum()

    with pytest.raises(GraphError):
        tg.compile(function)(t)
    assert t.tolist() == [1.0, 1.0, 1.0]


def test_writes_in_place_are_repeated_at_every_call():
    total = tg.zeros(3, dtype=tg.float64)

    def function(x):
        rows = tg.zeros(2, 3, dtype=tg.float64)
        rows[0] = x
        rows[1] = x * 2
        with tg.no_grad():
            total.add_(x.detach())
        return (rows * rows).sum()

    compiled, x = tg.compile(function), leaf(3)
    for calls in (1, 2, 3):
        close(compiled(x), 5 * (x.array**2).sum())
        close(total, calls * x.array)


def test_an_exception_in_a_replay_names_the_place():
    table = leaf(5, 2)

    def function(index):
        with tg.scope("words", t=3):
            return table[index].sum()

    compiled = tg.compile(function)
    compiled(np.array([1, 2]))
    with pytest.raises(IndexError, match="in the compiled program: take in words at t=3"):
        compiled(np.array([1, 7]))


def test_zero_net_allocation_in_steady_state():
    compiled = tg.compile(loss_of("lstm", weights("lstm")))
    x, targets = batch()
    x = x.detach()

    def train():
        compiled(x, targets).backward()

    for _ in range(5):
        train()
    gc.collect()
    tracemalloc.start()
    try:
        train()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            train()
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 2000


def test_inside_anomaly_detection_and_drawing_the_function_itself_runs():
    inner = Counter(lambda x: x.log().sum())
    compiled = tg.compile(inner)
    x = leaf(2).detach().abs()
    with tg.detect_anomaly():
        compiled(x)
        compiled(x)
    assert inner.runs == 2


def test_methods_and_modules_compile():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3).double()

        @tg.compile
        def energy(self, x):
            return (self.linear(x) ** 2).sum()

    model, x = Model(), leaf(2, 3)
    close(model.energy(x), (model.linear(x) ** 2).sum())
    close(tg.compile(model.linear)(x), model.linear(x))
    tg.compile(model.linear)(x).sum().backward()
    assert model.linear.weight.grad is not None


def test_explain_and_check_speak():
    compiled = tg.compile(loss_of("tanh", weights("tanh")))
    text = compiled.explain(*batch(), limit=5)
    for word in ("recorded", "sum of products", "batching", "calls forward", "0 operands copied", "more"):
        assert word in text
    broken = tg.compile(loss_of("tanh", weights("tanh")))
    broken.check(*batch())
    broken.function = lambda x, t: loss_of("tanh", weights("tanh"))(x, t) * 1.001
    with pytest.raises(AssertionError, match="result 0 differs in 1 of 1 entries"):
        broken.check(*batch())


def test_compiling_takes_time_linear_in_the_steps():
    def nodes(steps):
        return len(tg.compile(loss_of("lstm", weights("lstm"))).program(*batch(steps=steps)).instructions)

    a, b, c = nodes(10), nodes(20), nodes(30)
    assert abs((c - b) - (b - a)) <= 12


def test_data_closed_over_compiles_as_soon_as_data_given():
    """Everything is then known before the call, and to name a value by all paths to it would never end."""
    x, t = batch(steps=40)
    loss = loss_of("lstm", weights("lstm"))
    close(tg.compile(lambda: loss(x, t))(), loss(x, t))


@pytest.mark.parametrize(
    "draw", [lambda x: tg.randn(2), lambda x: tg.rand(2), lambda x: tg.randint(5, (2,)), lambda x: x.clone().normal_()]
)
def test_a_draw_that_would_be_baked_in_is_refused(draw):
    with pytest.raises(RuntimeError, match=r"a random draw at test_compiled.py.*would be baked in"):
        tg.compile(lambda x: x + draw(x))(tg.tensor([1.0, 2.0], requires_grad=True))
