"""What a graph keeps and when it dies: no cycles of references, residuals freed by the sweep, slices gathered once."""

import gc
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import graph


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def leaf(*shape: int) -> tg.Tensor:
    return tg.Tensor(np.full(shape, 0.5), requires_grad=True)


def plain(x: tg.Tensor) -> tg.Tensor:
    return (np.tanh(x) * x).sum()


def swept(x: tg.Tensor) -> tg.Tensor:
    y = plain(x)
    y.backward()
    return y


def recorded_sweep(x: tg.Tensor) -> tg.Tensor:
    (g,) = tg.autograd.grad(plain(x), [x], create_graph=True)
    return (g * g).sum()


def with_hooks(x: tg.Tensor) -> tg.Tensor:
    y = np.tanh(x)
    y.register_hook(lambda g: g * 2)
    y.retain_grad()
    y.sum().backward()
    return y


def in_place(x: tg.Tensor) -> tg.Tensor:
    h = tg.Tensor(np.zeros(x.shape))
    h[0] = x[1]
    h += x
    h *= h
    return h


def detected(x: tg.Tensor) -> tg.Tensor:
    with tg.detect_anomaly(), tg.scope("cell", t=1):
        return swept(x)


def refused(x: tg.Tensor) -> tg.Tensor:
    y = x.exp()
    y += 1
    with pytest.raises(RuntimeError):
        y.sum().backward()
    return y


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("make", [plain, swept, recorded_sweep, with_hooks, in_place, detected, refused])
def test_a_graph_dies_with_its_last_tensor(make: Callable[[tg.Tensor], tg.Tensor]):
    x = leaf(3)
    y = make(x)
    assert y.node is not None
    inner = [weakref.ref(node) for node in graph.ancestors([y.node]) if node.primitive is not None]
    array = weakref.ref(y.array)
    assert inner
    del y
    assert [node() for node in inner if node() is not None] == []
    assert array() is None


@pytest.mark.usefixtures("no_collector")
def test_a_recorded_gradient_dies_with_its_leaf():
    x = leaf(3)
    plain(x).backward(create_graph=True)
    assert x.grad is not None
    node = weakref.ref(x.grad.node)
    x.grad = None
    assert node() is None


def test_the_sweep_frees_residuals_as_it_passes():
    x = leaf(4)
    y = np.tanh(x)
    z = (y * y).sum()
    assert y.node is not None
    z.backward(retain_graph=True)
    assert y.node.y is not None
    z.backward()
    assert y.node.y is None
    assert y.node.xs is None


@pytest.mark.parametrize("read", [lambda x, t: x[t], lambda x, t: x[t, ...], lambda x, t: x[np.array([t])]])
def test_reading_a_sequence_step_by_step_allocates_one_gradient(read: Any):
    steps, width = 300, 200

    def peak() -> int:
        x = leaf(steps, width)
        loss = sum(read(x, t).sum() for t in range(steps))
        tracemalloc.start()
        loss.backward()
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    # a gradient of full size for each step would be 300 times this
    assert peak() < 4 * steps * width * 8


def test_the_recorded_sweep_gathers_all_slices_in_one_node():
    x = leaf(50, 2)
    loss = sum((x[t] ** 2).sum() for t in range(50))
    (g,) = tg.autograd.grad(loss, [x], create_graph=True)
    assert g.node is not None
    ops = [node.op for node in graph.ancestors([g.node]) if node.scope.backward]
    assert ops.count("place") == 1
    assert len(ops) <= 50 * 8
    (h,) = tg.autograd.grad(g.sum(), [x])
    np.testing.assert_array_equal(h.numpy(), np.full((50, 2), 2.0))


def test_nothing_is_recorded_where_no_gradient_is_wanted():
    x = tg.Tensor(np.ones(3))
    y = np.tanh(x * 2).sum()
    assert y.node is None
    with tg.no_grad():
        assert np.tanh(leaf(3)).node is None
