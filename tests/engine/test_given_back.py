"""protect_residuals: arrays are given back as they were once no graph needs them, and writes that are noted work."""

import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.locking import READ_ONLY, leaf, nothing_stays_locked  # noqa: F401  (autouse)
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import protect_residuals
from tinygrad_rnn.errors import GraphError, ShapeError


def test_arrays_are_given_back_by_the_sweep_as_they_were():
    base = np.arange(6.0)
    part, frozen = base[1:4], np.ones(3)
    frozen.flags.writeable = False
    w = leaf(1.0, 2.0, 3.0)
    with protect_residuals():
        y = (w * tg.Tensor(part) * tg.Tensor(frozen)).sum()
    assert not base.flags.writeable
    assert not part.flags.writeable
    y.backward()
    assert base.flags.writeable
    assert part.flags.writeable
    assert not frozen.flags.writeable


def test_a_retained_graph_keeps_them_until_the_last_sweep():
    w = leaf(1.0, 2.0)
    with protect_residuals():
        y = (w * w).sum()
    y.backward(retain_graph=True)
    with pytest.raises(ValueError, match=READ_ONLY):
        w.detach().numpy()[0] = 5
    y.backward()
    w.detach().numpy()[0] = 5
    assert w.grad.tolist() == [4, 8]


def test_two_graphs_on_one_array_count():
    w = leaf(1.0, 2.0)
    with protect_residuals():
        a, b = (w * w).sum(), (w * w * w).sum()
    a.backward()
    with pytest.raises(ValueError, match=READ_ONLY):
        w.detach().numpy()[0] = 5
    del b
    w.detach().numpy()[0] = 5


def test_a_graph_that_is_dropped_gives_back_at_once():
    w = leaf(1.0, 2.0)
    with protect_residuals():
        y = (w * w).exp()
    seen = weakref.ref(y.array)
    del y
    assert w.detach().numpy().flags.writeable
    assert seen() is None, "the registry keeps memory alive"


def test_an_exception_gives_back_with_the_frames_it_leaves():
    w = leaf(1.0, 2.0)

    def broken() -> None:
        with protect_residuals():
            y = w * w
            y.reshape(7)

    try:
        broken()
    except ShapeError:
        assert not w.detach().numpy().flags.writeable  # a traceback holds its frames, and they the graph
    assert w.detach().numpy().flags.writeable


def training(protected: bool, optimizer: Callable[..., Any]) -> list[np.ndarray]:
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    made = optimizer(model.parameters())
    x = tg.Tensor(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))

    def closure() -> Any:
        made.zero_grad()
        with protect_residuals() if protected else tg.enable_grad():
            loss = (model(x) ** 2).mean()
            apart = (model[2].weight ** 2).sum()  # never swept: its graph is alive during the step
        loss.backward(retain_graph=True)
        kept.append((loss, apart))
        return loss

    kept: list[Any] = []
    for _ in range(3):
        made.step(closure)
    nn.init.zeros_(model[0].bias)
    model.load_state_dict(model.state_dict())
    return [p.detach().numpy().copy() for p in model.parameters()]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: tg.optim.AdamW(p, lr=0.1),
        lambda p: tg.optim.LBFGS(list(p), line_search_fn="strong_wolfe"),
    ],
)
def test_optimisers_step_though_graphs_are_retained(optimizer: Callable[..., Any]):
    for mine, plain in zip(training(True, optimizer), training(False, optimizer), strict=True):
        np.testing.assert_array_equal(mine, plain)


def test_views_that_ops_make_are_given_back_too():
    w, x = leaf(1.0, 2.0), tg.Tensor(np.array([1.0, 2.0]))
    with protect_residuals():
        y = (w * x).sum()
        turned, wide = x.reshape(2, 1), x.expand(3, 2)
        again = turned.reshape(2)
    y.backward()
    turned += 1.0
    again += 1.0
    assert x.tolist() == [3, 4]
    with pytest.raises(GraphError, match="expand"):
        wide += 1.0


def test_memory_that_could_not_be_given_back_is_left_writeable_and_watched():
    class Lent:
        """Memory of another library: NumPy may not make an array of it writable again."""

        def __init__(self, array: np.ndarray) -> None:
            self.kept, self.__array_interface__ = array, array.__array_interface__

    memory = np.array([1.0, 2.0])
    lent = np.asarray(Lent(memory))
    w = leaf(1.0, 2.0)
    for _ in range(2):
        with protect_residuals():
            y = (w * tg.Tensor(lent)).sum()
        assert lent.flags.writeable
        memory[0] += 1
        with pytest.raises(GraphError, match="something that NumPy shows nobody"):
            y.backward()
    of_bytes = np.frombuffer(bytearray(16))
    with protect_residuals():
        z = (w * tg.Tensor(of_bytes)).sum()
    assert not of_bytes.flags.writeable
    z.backward()
    assert of_bytes.flags.writeable


def test_threads_have_the_mode_for_themselves_and_share_the_locks():
    w = leaf(*np.arange(50.0))
    problems: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def without() -> None:
        inside.wait(10)
        own = leaf(1.0, 2.0)
        kept = (own * own).sum()
        own.detach().numpy()[0] = 5
        leave.set()
        if kept.item() != 5:
            problems.append("the other thread")

    def work(number: int) -> None:
        for k in range(200):
            with protect_residuals():
                y = ((w * float(k)) * w).sum()
            if w.detach().numpy().flags.writeable:
                problems.append(f"{number}: given back too early")
            tg.autograd.grad(y, [w])

    other = threading.Thread(target=without)
    other.start()
    with protect_residuals():
        inside.set()
        leave.wait(10)
    other.join()
    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert leave.is_set()
    assert not problems
    assert w.detach().numpy().flags.writeable


def test_gradients_are_added_to_though_a_graph_keeps_them():
    w = leaf(1.0, 2.0)
    with protect_residuals():
        (w**3).sum().backward(create_graph=True)
        penalty = (w.grad**2).sum()
    (w * 100.0).sum().backward()
    assert w.grad.tolist() == [103, 112]
    with pytest.raises(GraphError, match="inplace"):
        penalty.backward()
