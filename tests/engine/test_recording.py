"""What is recorded and where: grad modes and scopes, nested, across threads, generators, coroutines and exceptions."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import graph


def leaf() -> tg.Tensor:
    return tg.Tensor(np.array([1.0, 2.0]), requires_grad=True)


def recorded() -> bool:
    """Whether an op is recorded here; asked of the op, not of the switch."""
    return (leaf() * 2).requires_grad


def place() -> tuple[str, int | None]:
    node = (leaf() * 2).node
    assert node is not None
    return node.scope.path, node.scope.t


def test_modes_nest_and_end():
    assert recorded()
    with tg.no_grad():
        assert not recorded()
        with tg.enable_grad():
            assert recorded()
            with tg.no_grad():
                assert not recorded()
            assert recorded()
        assert not recorded()
    assert recorded()


def test_modes_end_with_an_exception():
    with pytest.raises(KeyError), tg.no_grad(), tg.scope("cell", t=2):
        raise KeyError
    assert recorded()
    assert place() == ("", None)


def test_one_object_can_be_entered_again_and_inside_itself():
    off = tg.no_grad()
    with off, off:
        with off:
            assert not recorded()
        assert not recorded()
    assert recorded()


@pytest.mark.parametrize("decorator", [lambda: tg.no_grad, tg.no_grad, lambda: tg.set_grad_enabled(False)])
def test_as_decorators(decorator: Any):
    @decorator()
    def function(x: int) -> tuple[int, bool]:
        """Documented."""
        return x, recorded()

    assert function(3) == (3, False)
    assert function.__name__ == "function"
    assert function.__doc__ == "Documented."
    assert recorded()


def test_a_decorated_generator_holds_the_mode_in_its_body_only():
    @tg.no_grad()
    def numbers() -> Iterator[bool]:
        received = yield recorded()
        assert received == "hello"
        try:
            yield recorded()
        except KeyError:
            yield recorded()

    generator = numbers()
    assert next(generator) is False
    assert recorded()
    assert generator.send("hello") is False  # type: ignore[attr-defined]
    assert generator.throw(KeyError()) is False  # type: ignore[attr-defined]
    assert recorded()
    generator.close()  # type: ignore[attr-defined]
    assert recorded()


def test_a_with_block_in_a_generator_holds_while_the_generator_runs():
    def steps() -> Iterator[tuple[bool, Any]]:
        with tg.no_grad(), tg.scope("inside", t=1):
            yield recorded(), None
            yield recorded(), None
        yield recorded(), place()

    generator = steps()
    assert next(generator)[0] is False
    assert recorded()
    assert place() == ("", None)
    with tg.scope("outside"):
        assert next(generator)[0] is False
        assert place() == ("outside", None)
        assert next(generator) == (True, ("outside", None))
    assert recorded()


def test_interleaved_and_abandoned_generators():
    def silent() -> Iterator[bool]:
        with tg.no_grad():
            while True:
                yield recorded()

    def scoped(name: str) -> Iterator[str]:
        with tg.scope(name):
            while True:
                yield place()[0]

    a, b, c = silent(), scoped("b"), scoped("c")
    for _ in range(3):
        assert next(a) is False
        assert next(b) == "b"
        assert next(c) == "c"
        assert recorded()
        assert place() == ("", None)
    del a
    b.close()  # type: ignore[attr-defined]
    assert next(c) == "c"
    assert recorded()
    assert place() == ("", None)


def test_threads_have_modes_of_their_own():
    barrier = threading.Barrier(2)
    seen = {}

    def quiet() -> None:
        with tg.no_grad(), tg.scope("quiet"):
            barrier.wait()
            seen["quiet"] = recorded()
            barrier.wait()

    def loud() -> None:
        barrier.wait()
        seen["loud"] = recorded(), place()
        barrier.wait()

    threads = [threading.Thread(target=f) for f in (quiet, loud)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"quiet": False, "loud": (True, ("", None))}
    with tg.no_grad(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(recorded).result() is True


def test_threads_train_as_one_would():
    def train(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        w = tg.Tensor(rng.standard_normal((4, 4)), requires_grad=True)
        for t in range(30):
            with tg.scope("step", t=t):
                loss = (np.tanh(w @ w) ** 2).sum()
            loss.backward()
            assert w.grad is not None
            assert loss.node is not None
            assert loss.node.scope.t == t
            with tg.no_grad():
                w -= 0.01 * w.grad
            w.grad = None
        return w.detach().numpy().copy()

    alone = [train(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(train, range(4)))
    np.testing.assert_array_equal(together, alone)


def test_asyncio_tasks_do_not_leak_into_each_other():
    async def quiet(n: int) -> list[bool]:
        seen = []
        with tg.no_grad(), tg.scope(f"task{n}", t=n):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(recorded())
                with tg.enable_grad():
                    assert place() == (f"task{n}", n)
        return seen

    async def loud() -> list[bool]:
        seen = []
        for _ in range(4):
            await asyncio.sleep(0)
            seen.append(recorded() and place() == ("", None))
        return seen

    async def main() -> list[list[bool]]:
        return await asyncio.gather(quiet(1), loud(), quiet(2))

    assert asyncio.run(main()) == [[False] * 3, [True] * 4, [False] * 3]


def test_set_grad_enabled_acts_at_once_and_as_a_block():
    with tg.enable_grad():
        tg.set_grad_enabled(False)
        assert not recorded()
        assert not tg.is_grad_enabled()
        tg.set_grad_enabled(True)
        assert recorded()
    with tg.set_grad_enabled(False):
        assert not recorded()
    assert recorded()


def test_scopes_name_path_and_innermost_time():
    with tg.scope("model"), tg.scope(t=4), tg.scope("rnn"):
        assert place() == ("model.rnn", 4)
        with tg.scope("cell", t=0):
            assert place() == ("model.rnn.cell", 0)
        node = (leaf() * 2).node
    assert node is not None
    assert node.scope.frames == (("model", None), (None, 4), ("rnn", None))
    assert node.scope.where() == " in model.rnn at t=4"


def test_the_recorded_sweep_keeps_the_scope_of_the_forward_op():
    x = leaf()
    with tg.scope("cell", t=5):
        y = np.tanh(x)
    (g,) = tg.autograd.grad(y.sum(), [x], create_graph=True)
    assert g.node is not None
    nodes = graph.ancestors([g.node])
    swept = [node for node in nodes if node.scope.backward and node.scope.t == 5]
    assert swept
    assert all(node.scope.path == "cell" for node in swept)
    assert "(backward)" in swept[0].describe()


def test_record_everything_records_what_needs_no_gradient():
    x = tg.Tensor(np.ones(2))
    assert (x * 2).node is None
    with tg.record_everything():
        y = x * 2 > np.array([1.0, 3.0])
    assert y.node is not None
    assert not y.requires_grad
    assert [node.op for node in graph.ancestors([y.node])].count("leaf") == 3
    with tg.record_everything(tracing="a compiler is recording"):
        z = x * 2
        for read in (z.numpy, z[0].item, lambda: bool(z[0]), lambda: float(z[0])):
            with pytest.raises(RuntimeError, match=r"test_recording\.py:\d+: a compiler is recording"):
                read()


def test_sources_are_the_users_line():
    with tg.record_sources():
        y = np.tanh(leaf())
    assert y.node is not None
    assert y.node.source is not None
    assert y.node.source.file == __file__
    assert y.node.source.function == "test_sources_are_the_users_line"
    with open(__file__) as lines:
        assert "np.tanh(leaf())" in lines.readlines()[y.node.source.line - 1]
    assert np.tanh(leaf()).node.source is None  # type: ignore[union-attr]


def test_set_grad_enabled_can_be_entered_again_and_inside_itself():
    off = tg.set_grad_enabled(False)
    assert not recorded()
    for _ in range(2):
        with off, off:
            with off:
                assert not recorded()
            assert not recorded()
        assert recorded()
    with tg.no_grad():
        on = tg.set_grad_enabled(True)
        with tg.no_grad(), on:
            assert recorded()
        assert not recorded()
