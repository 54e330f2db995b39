"""Long graphs work, cost in memory stays linear, and training leaves nothing behind."""

import gc
import tracemalloc
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests import long_run
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


def test_three_ways_of_training_agree_step_by_step():
    runs = {side: long_run.train(side, 100) for side in long_run.SIDES}
    for side in ("eager", "compiled"):
        assert max(long_run.drift(runs[side], runs["manual"])) < 1e-13
    first, last = (np.array(runs["manual"]["parameters"][k]["weight_hh"]) for k in (0, -1))
    assert np.abs(last - first).max() > 0.01, "nothing was trained"


def test_a_run_that_goes_another_way_is_seen(monkeypatch: pytest.MonkeyPatch):
    by_hand = long_run.train("manual", 100)
    monkeypatch.setattr(long_run, "LR", long_run.LR * (1 + 1e-9))
    assert max(long_run.drift(long_run.train("eager", 100), by_hand)) > 1e-11


@pytest.mark.parametrize("kind", ["chain", "rnn"])
def test_a_graph_of_100_000_nodes_takes_less_than_900_bytes_a_node_both_ways(kind: str):
    measured = long_run.apart("nodes", 100_000, kind)
    assert measured["nodes"] == pytest.approx(100_000, rel=0.01)
    assert measured["finite"]
    assert measured["most"] < 900  # the process as a whole; 400 to 700 were measured


@pytest.mark.slow
@pytest.mark.parametrize("side", long_run.SIDES)
def test_2000_training_steps_stay_flat_and_do_not_drift(side: str):
    run = long_run.apart("train", side, 2000)
    assert run["resident"][-1] - run["resident"][0] < 2e6
    assert run["traced"] < 20_000  # over 200 steps: one small array left behind by each would be 50,000
    if side != "manual":
        by_hand = long_run.apart("train", "manual", 2000)
        assert max(long_run.drift(run, by_hand)) < 1e-11
