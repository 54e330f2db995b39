"""A compiled function among several: threads that call it at once, and modules that are copied with it."""

import copy
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(3, 4, generator=np.random.default_rng(0))
        self.drop = nn.Dropout(0.5)

    def plain(self, x: tg.Tensor) -> tg.Tensor:
        return self.drop(self.rnn(x)[0]).pow(2).sum()

    @tg.compile
    def loss(self, x: tg.Tensor) -> tg.Tensor:
        return self.plain(x)


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads take turns every ten microseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("graded", [False, True])
def test_threads_share_a_compiled_function(graded: bool):
    layer = nn.RNN(4, 8, generator=np.random.default_rng(0))
    compiled = tg.compile(lambda x: layer(x)[0].pow(2).sum())
    rng = np.random.default_rng(1)
    inputs = [tg.tensor(rng.normal(size=(20 + k % 2, 3, 4)).astype("f"), requires_grad=graded) for k in range(4)]

    def results(k: int) -> list[bytes]:
        found = []
        for _ in range(60):
            y = compiled(inputs[k])
            gradient = tg.autograd.grad(y, [inputs[k]])[0] if graded else y
            found.append(y.detach().numpy().tobytes() + gradient.detach().numpy().tobytes())
        return found

    with tg.set_grad_enabled(graded):
        expected = [results(k)[0] for k in range(4)]
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda k: _graded(graded, results, k), range(4)))
        assert [set(found) for found in together] == [{e} for e in expected]


@pytest.mark.usefixtures("hurried")
def test_many_threads_train_on_one_compiled_function():
    """Each has calls that wait for their backward, whatever the others do."""
    layer = nn.RNN(3, 4, generator=np.random.default_rng(0))
    compiled = tg.compile(lambda x: layer(x)[0].pow(2).sum())
    x = tg.tensor(np.random.default_rng(1).normal(size=(5, 2, 3)).astype("f"))
    weight = layer.weight_hh_l0
    expected = tg.autograd.grad(compiled(x), [weight])[0].numpy()

    def gradients(_: int) -> list[np.ndarray]:
        found = []
        for _ in range(20):
            waiting = [compiled(x) for _ in range(3)]
            found += [tg.autograd.grad(y, [weight])[0].numpy() for y in waiting]
        return found

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(gradients, range(8)):
            for gradient in found:
                np.testing.assert_array_equal(gradient, expected)


def _graded(graded, results, k):
    with tg.set_grad_enabled(graded):
        return results(k)


@pytest.mark.usefixtures("hurried")
def test_threads_share_a_training_step():
    """Steps on one batch: whoever takes them, so many of them lead to the same weights, bit by bit."""
    x = tg.tensor(np.random.default_rng(1).normal(size=(6, 2, 3)).astype("f"))

    def trained(threads: int) -> list[bytes]:
        layer = nn.RNN(3, 4, generator=np.random.default_rng(0))
        optimizer = tg.optim.SGD(layer.parameters(), lr=0.01, momentum=0.9)
        step = tg.compile_step(lambda x: layer(x)[0].pow(2).mean(), optimizer, clip=0.1)
        with ThreadPoolExecutor(threads) as pool:
            losses = list(pool.map(lambda _: step(x).item(), range(120)))
        assert len(set(losses)) == 120
        assert optimizer.steps_taken == 120
        return [p.detach().numpy().tobytes() for p in layer.parameters()]

    expected = trained(1)
    for _ in range(3):
        assert trained(4) == expected


@pytest.mark.usefixtures("hurried")
def test_threads_may_be_the_first_to_call():
    layer = nn.GRU(3, 4, generator=np.random.default_rng(0))
    x = tg.tensor(np.random.default_rng(1).normal(size=(6, 2, 3)).astype("f"))
    expected = layer(x)[0].sum().item()
    for _ in range(5):
        compiled = tg.compile(lambda x: layer(x)[0].sum())
        with ThreadPoolExecutor(4) as pool:
            for value in pool.map(lambda _, f=compiled: f(x).item(), range(8)):
                assert value == pytest.approx(expected, rel=1e-6)


def test_a_copied_module_compiles_for_itself():
    model = Model().eval()
    x = tg.tensor(np.random.default_rng(1).normal(size=(5, 2, 3)).astype("f"))
    first = model.loss(x).item()
    copied = copy.deepcopy(model)
    with tg.no_grad():
        copied.rnn.weight_hh_l0.mul_(3.0)
    for _ in range(2):
        assert copied.loss(x).item() == pytest.approx(copied.plain(x).item(), rel=1e-6)
        assert model.loss(x).item() == first
    assert copied.loss(x).item() != first
    copied.loss(x).backward()
    assert copied.rnn.weight_hh_l0.grad is not None
    assert model.rnn.weight_hh_l0.grad is None
    copied.train()
    assert copied.loss(x).item() != copied.loss(x).item(), "the copy draws, the model does not"
    assert model.loss(x).item() == first


class Scaled:
    def __init__(self, scale: float) -> None:
        self.scale = scale

    @tg.compile
    def of(self, x: tg.Tensor) -> tg.Tensor:
        return x * self.scale

    @classmethod
    @tg.compile
    def twice(cls, x: tg.Tensor) -> tg.Tensor:
        return x * 2


class Shifted(Scaled):
    @tg.compile
    def of(self, x: tg.Tensor) -> tg.Tensor:
        return super().of(x) + 1


def test_methods_of_a_class_and_of_the_one_that_it_extends():
    for _ in range(2):
        assert Shifted(3.0).of(tg.ones(())).item() == 4
        assert Scaled(3.0).of(tg.ones(())).item() == 3
        assert Scaled.twice(tg.ones(())).item() == 2
        assert Shifted(1.0).twice(tg.ones(())).item() == 2


def test_a_shallow_copy_sees_its_own_attributes():
    one = Scaled(3.0)
    one.of(tg.ones(()))
    other = copy.copy(one)
    other.scale = 5.0
    assert other.of(tg.ones(())).item() == 5
    assert one.of(tg.ones(())).item() == 3
