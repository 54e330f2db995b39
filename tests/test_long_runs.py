"""Long graphs work, cost in memory stays linear, and training leaves nothing behind."""

import gc
import tracemalloc
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.benchmarks import scaling
from tinygrad_rnn.graph import Node


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Without the cyclic garbage collector, whatever is in a cycle of references stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> dict[type, int]:
    """How many nodes and tensors exist."""
    # The list must not end up in a cell of this function: it would contain itself, and keep everything.
    counts = Counter(map(type, gc.get_objects()))
    return {kind: counts[kind] for kind in (Node, tg.Tensor)}


def test_a_chain_of_100_000_ops_runs_forward_and_backward():
    measured = scaling.chain(scaling.LONG_CHAIN)
    assert measured["gradient"] == pytest.approx(0.9999 ** (scaling.LONG_CHAIN // 2), rel=1e-9)


def test_memory_of_an_rnn_is_linear_in_time_steps():
    short, long = scaling.measure("rnn_peak", 400), scaling.measure("rnn_peak", 4000)
    assert long["peak"] <= 12 * short["peak"]


@pytest.mark.usefixtures("no_collector")
def test_a_swept_graph_is_freed_without_the_garbage_collector():
    run = scaling.rnn_step(tg, steps=20, batch=3, hidden=8)
    run()
    before = alive()
    for _ in range(5):
        run()
    assert alive() == before


@pytest.mark.usefixtures("no_collector")
def test_a_graph_with_create_graph_is_freed_too():
    weight = tg.tensor(np.ones((3, 3)), requires_grad=True)

    def run() -> None:
        (first,) = tg.autograd.grad(tg.tanh(weight @ weight).sum(), [weight], create_graph=True)
        tg.autograd.grad((first * first).sum(), [weight])

    run()
    before = alive()
    run()
    assert alive() == before


@pytest.mark.usefixtures("no_collector")
def test_a_graph_never_swept_is_freed_with_its_arrays():
    weight = tg.tensor(np.ones((64, 64)), requires_grad=True)
    nodes = alive()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            h = weight
            for _ in range(10):
                h = tg.tanh(h @ weight)
        del h
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert alive() == nodes
    assert grown < weight.array.nbytes  # not a single array is left


@pytest.mark.slow
def test_10_000_training_steps_grow_the_process_by_less_than_5_mb():
    grown = scaling.measure("training", 10_000)
    assert grown["resident"] < 5e6
    assert grown["traced"] < 1e6  # CPython keeps up to 2,000 dead tuples of each length; they are no leak
