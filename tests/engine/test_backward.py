"""The sweep: seeds, accumulation, shared subgraphs, retained and recorded graphs, hooks."""

import itertools
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import GraphError, MissingRuleError, ShapeError
from tinygrad_rnn.ops.elementwise import clip
from tinygrad_rnn.ops.reduce import softmax


def leaf(*entries: Any, dtype: Any = np.float64) -> tg.Tensor:
    return tg.Tensor(np.array(entries, dtype=dtype), requires_grad=True)


def grad_of(x: tg.Tensor) -> list[float]:
    assert x.grad is not None
    return x.grad.numpy().tolist()


@pytest.mark.parametrize(
    "seed", [[1.0, -2.0], np.array([1.0, -2.0]), tg.Tensor(np.array([1.0, -2.0])), np.float32([1, -2])]
)
def test_any_seed(seed: Any):
    x = leaf(1, 2)
    (x * x).backward(seed)
    assert grad_of(x) == [2, -8]
    assert x.grad is not None
    assert x.grad.dtype == np.float64


def test_the_seed_is_copied_and_kept_as_it_is():
    x = leaf(1, 2)
    seed = np.array([3.0, 4.0])
    x.backward(seed)
    assert x.grad is not None
    x.grad.mul_(10)
    assert seed.tolist() == [3, 4]


def test_gradients_accumulate_in_place_and_only_where_asked():
    x, w = leaf(1, 2), leaf(3, 4)
    y = (x * w).sum()
    y.backward(retain_graph=True)
    kept = x.grad
    y.backward(inputs=[x])
    assert x.grad is kept
    assert grad_of(x) == [6, 8]
    assert grad_of(w) == [1, 2]
    x.grad = None
    (x * 2).sum().backward()
    assert grad_of(x) == [2, 2]


def test_leaves_never_share_one_gradient():
    a, b = leaf(1, 2), leaf(3, 4)
    y = a + b
    y.retain_grad()
    y.backward([1.0, 1.0])
    assert a.grad is not None
    assert y.grad is not None
    a.grad.mul_(5)
    assert grad_of(b) == [1, 1]
    assert y.grad.tolist() == [1, 1]


def test_a_value_used_many_times():
    x = leaf(3)
    y = x * x  # as both arguments of one op
    z = y + y * x + y  # and in several ops
    z.sum().backward()
    assert grad_of(x) == [2 * 2 * 3 + 3 * 9]


def test_diamonds_of_diamonds_take_linear_time():
    x = leaf(1.0)
    y = x
    for _ in range(60):  # 2**60 paths
        y = (y + y) * 0.5
    y.backward([1.0])
    assert grad_of(x) == [1]


def test_branches_that_do_not_lead_to_the_output_get_nothing():
    x, unused = leaf(1), leaf(1)
    side = x * unused
    (x * 2).sum().backward()
    assert side.requires_grad
    assert unused.grad is None


def test_a_freed_graph_says_so_and_a_retained_one_does_not():
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(
        GraphError, match=r"Trying to backward through the graph a second time: .*multiply.*retain_graph=True"
    ):
        y.backward()
    # as in PyTorch: ops that saved nothing can be swept again
    z = (x + 1).sum()
    z.backward()
    z.backward()
    assert grad_of(x) == [4 + 2, 8 + 2]


def test_a_shared_part_is_freed_by_the_first_output():
    x = leaf(1, 2)
    shared = x.exp()
    a, b = shared.sum(), (shared * 2).sum()
    a.backward()
    with pytest.raises(GraphError, match="second time: the residuals of exp"):
        b.backward()


def test_retain_grad_keeps_the_gradient_of_an_inner_tensor():
    x = leaf(1, 2)
    y = x * 3
    y.retain_grad()
    (y * y).sum().backward()
    assert grad_of(y) == [6, 12]
    assert y.is_leaf is False
    z = x * 2
    with pytest.warns(UserWarning, match="not a leaf"):
        assert z.grad is None
    with pytest.raises(GraphError, match="can't retain_grad"):
        tg.zeros(2).retain_grad()


def test_hooks_see_the_whole_gradient_and_may_change_it():
    x = leaf(1, 2)
    y = x * 1
    seen = []
    handle = y.register_hook(lambda g: seen.append(g.numpy().tolist()))
    y.register_hook(lambda g: g * 10)
    z = (y * 2 + y * 3).sum()
    z.backward(retain_graph=True)
    assert seen == [[5, 5]]
    assert grad_of(x) == [50, 50]
    handle.remove()
    z.backward()
    assert len(seen) == 1
    bad = x * 1
    bad.register_hook(lambda g: g[:1])
    with pytest.raises(ShapeError, match=r"hook of multiply: expected a gradient of shape \[2\], got \[1\]"):
        bad.sum().backward()


def test_hooks_run_in_a_recorded_sweep_and_are_differentiated():
    x = leaf(2.0)
    y = x * x
    y.register_hook(lambda g: g * x)  # d/dx = x * 2x
    (g,) = tg.autograd.grad(y.sum(), [x], create_graph=True)
    g.sum().backward()
    assert grad_of(x) == [4 * 2.0]


def test_orders_up_to_four():
    x = leaf(0.7)
    y = np.sin(x) * np.exp(x)
    expected = [
        lambda s, c, e: (s + c) * e,
        lambda s, c, e: 2 * c * e,
        lambda s, c, e: 2 * (c - s) * e,
        lambda s, c, e: -4 * s * e,
    ]
    for formula in expected:
        (y,) = tg.autograd.grad(y.sum(), [x], create_graph=True)
        np.testing.assert_allclose(y.detach().numpy(), formula(np.sin(0.7), np.cos(0.7), np.exp(0.7)), rtol=1e-14)


def test_a_second_order_goes_through_every_way_of_reading_a_slice():
    x = leaf(*np.linspace(0.5, 1.5, 6))
    rows = x.reshape(3, 2)
    y = sum(((rows[i] * rows[(i + 1) % 3]).exp()).sum() for i in range(3)) + (x[np.array([0, 0, 5])] ** 3).sum()
    (g,) = tg.autograd.grad(y, [x], create_graph=True)
    (h,) = tg.autograd.grad((g * g).sum(), [x])

    def value(a: np.ndarray) -> float:
        r = a.reshape(3, 2)
        return float(sum(np.exp(r[i] * r[(i + 1) % 3]).sum() for i in range(3)) + (a[[0, 0, 5]] ** 3).sum())

    def slope(a: np.ndarray) -> np.ndarray:
        return np.array([(value(a + d) - value(a - d)) / 2e-5 for d in 1e-5 * np.eye(6)])

    a = x.detach().numpy().copy()
    np.testing.assert_allclose(g.detach().numpy(), slope(a), rtol=1e-8)
    squares = [(np.sum(slope(a + d) ** 2) - np.sum(slope(a - d) ** 2)) / 2e-4 for d in 1e-4 * np.eye(6)]
    np.testing.assert_allclose(h.numpy(), squares, rtol=1e-5)


def test_create_graph_records_under_no_grad_too():
    x = leaf(2.0)
    y = (x * x * x).sum()
    with tg.no_grad():
        (g,) = tg.autograd.grad(y, [x], create_graph=True)
    g.sum().backward()
    assert grad_of(x) == [12]


def test_backward_with_create_graph_leaves_a_recorded_gradient():
    x = leaf(3.0)
    (x**3).sum().backward(create_graph=True)
    assert x.grad is not None
    assert x.grad.requires_grad
    first = x.grad
    x.grad = None
    first.sum().backward()
    assert grad_of(x) == [18]


def test_what_cannot_be_swept_is_refused():
    x = leaf(1, 2)
    with pytest.raises(
        GraphError, match=r"grad can be implicitly created only for scalar outputs; this one has shape \[2\]"
    ):
        (x * 2).backward()
    with pytest.raises(GraphError, match="does not require grad and does not have a grad_fn"):
        tg.zeros(1).backward()
    with tg.no_grad():
        y = x.sum()
    with pytest.raises(GraphError, match="made under no_grad"):
        y.backward()
    with pytest.raises(ShapeError, match=r"backward: expected a gradient of shape \[2\], got \[3\]"):
        (x * 2).backward(np.ones(3))
    with pytest.raises(MissingRuleError, match="where has no gradient rule for argument 0"):
        np.where(x, x, x).sum().backward()
    with pytest.raises(GraphError, match="appears to not have been used in the graph"):
        tg.autograd.grad(x.sum(), [leaf(1)])
    assert tg.autograd.grad(x.sum(), [leaf(1)], allow_unused=True) == (None,)
    with pytest.raises(GraphError, match="does not require grad: inputs\\[0\\]"):
        tg.autograd.grad(x.sum(), [tg.zeros(1)])


def test_grad_leaves_dot_grad_alone():
    x = leaf(1, 2)
    y = (x * x).sum()
    (g,) = tg.autograd.grad(y, [x], retain_graph=True)
    assert x.grad is None
    assert g.tolist() == [2, 4]
    # of an inner tensor, and of the output itself
    z = x * 3
    total = z.sum()
    inner, own = tg.autograd.grad(total, [z, total])
    assert inner.tolist() == [1, 1]
    assert own.item() == 1


def test_detach_stops_gradients_and_shares_memory():
    x = leaf(1, 2)
    y = x * 2
    d = y.detach()
    assert d.numpy() is y.array
    assert not d.requires_grad
    (y * d).sum().backward()
    assert grad_of(x) == [4, 8]


def test_a_tensor_among_the_params_is_refused():
    x = leaf(1, 2)
    bound = tg.Tensor(np.array(1.0), requires_grad=True)
    with pytest.raises(
        TypeError, match=r"clip: expected a plain value for the parameter 'low', got a Tensor.*low=t\.item\(\)"
    ):
        clip(x, low=bound, high=None)
    with pytest.raises(TypeError, match=r"softmax: .* parameter 'axis'"):
        softmax(np.ones((2, 2)), axis=tg.tensor(0))
    with pytest.raises(TypeError, match="parameter 'axis'"):
        softmax(x, axis=(tg.tensor(0),))


def test_a_shape_mismatch_names_op_scope_and_shapes():
    h, w = tg.zeros(32, 64), tg.zeros(10, 64)
    with tg.scope("rnn"), tg.scope("cell", t=3), pytest.raises(ShapeError) as caught:
        h @ w
    text = str(caught.value)
    for part in ("matmul in rnn.cell at t=3", "float32[32, 64], float32[10, 64]", "64 and 10 differ", "x @ W.T"):
        assert part in text
    with tg.scope(t=7), pytest.raises(ShapeError, match=r"add at t=7: got float32\[32, 64\], float32\[10, 64\]"):
        h + w


def test_unbroadcasting_all_pairs_of_shapes():
    shapes = [(), (1,), (3,), (1, 1), (2, 1), (1, 3), (2, 3), (4, 1, 3), (1, 2, 1), (0, 1, 1), (4, 0, 3)]
    for a, b in itertools.product(shapes, shapes):
        try:
            full = np.broadcast_shapes(a, b)
        except ValueError:
            continue
        x, y = tg.Tensor(np.ones(a), requires_grad=True), tg.Tensor(np.ones(b), requires_grad=True)
        (x * y).sum().backward()
        for t in (x, y):
            assert t.grad is not None
            assert t.grad.shape == t.shape
            # every entry was used as often as broadcasting repeated it
            count = np.prod(full) / max(np.prod(t.shape), 1) if np.prod(full) else 0.0
            np.testing.assert_array_equal(t.grad.numpy(), np.full(t.shape, count))
