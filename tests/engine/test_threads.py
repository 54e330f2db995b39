"""Four threads train as one would, and no setting leaks: across threads, generators, coroutines or exceptions."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, state
from tinygrad_rnn.errors import AnomalyError

V, D, H, T, B = 7, 5, 6, 6, 3


@pytest.fixture(autouse=True)
def hurried() -> Iterator[None]:
    """Threads take turns every ten microseconds: what they could share by mistake, they share."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Model(nn.Module):
    """Embedding, recurrent layers with dropout, head; everything drawn from one generator of its own."""

    def __init__(self, cell: str, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.embedding = nn.Embedding(V, D, generator=rng)
        self.rnn = getattr(nn, cell)(D, H, 2, dropout=0.3, generator=rng)
        self.norm = nn.LayerNorm(H)
        self.drop = nn.Dropout(0.2, generator=rng)
        self.head = nn.Linear(H, V, generator=rng)

    def loss(self, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        scores = self.head(self.drop(self.norm(self.rnn(self.embedding(x))[0])))
        return nn.functional.cross_entropy(scores.reshape(-1, V), y.reshape(-1))


def train(job: tuple[str, str, int]) -> dict[str, bytes]:
    """Train one model in one way; returns its weights and losses as bytes."""
    way, cell, seed = job
    model = Model(cell, seed)
    optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
    rng = np.random.default_rng(100 + seed)
    loss_of = tg.compile(model.loss) if way == "compiled" else model.loss
    whole = tg.compile_step(model.loss, optimizer, clip=0.5) if way == "step" else None
    losses = []
    for _ in range(12):
        x, y = (tg.tensor(rng.integers(0, V, (T, B))) for _ in range(2))
        if whole is not None:
            losses.append(whole(x, y).item())
            continue
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        with tg.no_grad():
            model.head.bias.mul_(0.99)
        losses.append(loss.item())
    return {"losses": np.array(losses).tobytes()} | {n: p.numpy().tobytes() for n, p in model.state_dict().items()}


@pytest.mark.parametrize("way", ["eager", "compiled", "step"])
def test_four_threads_train_what_one_would(way: str):
    jobs = [(way, cell, seed) for seed, cell in enumerate(["RNN", "LSTM", "GRU", "LSTM"])]
    alone = [train(job) for job in jobs]
    assert len({result["losses"] for result in alone}) == 4
    for _ in range(2):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(train, jobs)) == alone


def test_four_threads_sweep_one_graph():
    model = Model("GRU", 0)
    rng = np.random.default_rng(1)
    loss = model.loss(*(tg.tensor(rng.integers(0, V, (T, B))) for _ in range(2)))
    weights = list(model.parameters())

    def gradients(_: int = 0) -> list[bytes]:
        return [g.numpy().tobytes() for g in tg.autograd.grad(loss, weights, retain_graph=True)]

    expected = gradients()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(gradients, range(40))) == [expected] * 40


SETTINGS: dict[str, Callable[[], Any]] = {
    "no_grad": tg.no_grad,
    "enable_grad": tg.enable_grad,
    "set_grad_enabled": lambda: tg.set_grad_enabled(False),
    "scope": lambda: tg.scope("cell", t=3),
    "at_scope": lambda: state.at_scope(state.Scope("elsewhere", 1, None, True)),
    "detect_anomaly": tg.detect_anomaly,
    "protect_residuals": state.protect_residuals,
    "record_sources": tg.record_sources,
    "record_everything": lambda: tg.record_everything(tracing="somebody is recording"),
}


def test_every_setting_is_listed():
    kinds = {n for n, x in vars(state).items() if isinstance(x, type) and issubclass(x, state.Setting) and n[0] != "_"}
    assert kinds - {"Setting"} == set(SETTINGS)


def in_force() -> tuple[Any, ...]:
    """Everything that a setting may change, as it is where this is called."""
    now = state.current()
    fields = [getattr(now, name) for name in ("recording", "everything", "watched", "sources", "tracing", "written")]
    return (*fields, now.scope.path, now.scope.t, now.scope.backward)


def outside(name: str) -> contextlib.AbstractContextManager[Any]:
    """What the setting changes must be different before: `enable_grad` shows only where recording is off."""
    return tg.no_grad() if name == "enable_grad" else contextlib.nullcontext()


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_leaks_into_another_thread(name: str):
    fresh, inside, other = in_force(), threading.Event(), threading.Event()
    seen: dict[str, Any] = {}

    def enters() -> None:
        with outside(name), SETTINGS[name]():
            seen["inside"] = in_force()
            inside.set()
            other.wait(10)
        seen["after"] = in_force()

    thread = threading.Thread(target=enters)
    thread.start()
    assert inside.wait(10)
    seen["here"] = in_force()
    with ThreadPoolExecutor(1) as pool:
        seen["third"] = pool.submit(in_force).result()
    other.set()
    thread.join()
    assert seen["inside"] != fresh or name == "enable_grad"
    assert (seen["here"], seen["third"], seen["after"]) == (fresh, fresh, fresh)


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_leaks_from_here_into_a_new_thread(name: str):
    fresh = in_force()
    with SETTINGS[name](), ThreadPoolExecutor(1) as pool:
        assert pool.submit(in_force).result() == fresh
    assert in_force() == fresh


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_leaks_out_of_a_generator(name: str):
    def body() -> Iterator[tuple[Any, ...]]:
        with outside(name), SETTINGS[name]():
            while True:
                yield in_force()

    fresh = in_force()
    held, thrown, abandoned = body(), body(), body()
    inside = [next(g) for g in (held, thrown, abandoned)]
    assert in_force() == fresh
    assert next(held) == inside[0]
    with tg.scope("mine"):
        mine = in_force()
        next(held)
        assert in_force() == mine
    with pytest.raises(KeyError):
        thrown.throw(KeyError())  # type: ignore[attr-defined]
    assert in_force() == fresh
    del abandoned
    held.close()  # type: ignore[attr-defined]
    assert in_force() == fresh
    assert len(set(map(str, inside))) == 1


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_survives_an_exception(name: str):
    fresh = in_force()

    def fails() -> None:
        with SETTINGS[name](), SETTINGS[name]():
            raise KeyError

    decorated = SETTINGS[name]()(fails)
    assert in_force() == fresh
    for function in (fails, decorated):
        with pytest.raises(KeyError):
            function()
        assert in_force() == fresh
    with contextlib.suppress(KeyError), contextlib.ExitStack() as stack:
        stack.enter_context(SETTINGS[name]())
        raise KeyError
    assert in_force() == fresh


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_leaks_into_another_task(name: str):
    fresh = in_force()

    async def enters() -> tuple[Any, ...]:
        with outside(name), SETTINGS[name]():
            first = in_force()
            await asyncio.sleep(0.001)
            assert in_force() == first
        return in_force()

    async def watches() -> list[Any]:
        seen = []
        for _ in range(5):
            seen.append(in_force())
            await asyncio.sleep(0.0005)
        return seen

    async def both() -> Any:
        return await asyncio.gather(enters(), watches())

    after, seen = asyncio.run(both())
    assert after == fresh
    assert seen == [fresh] * 5
    assert in_force() == fresh


def test_an_error_in_the_midst_of_recording_or_sweeping_leaves_nothing():
    fresh = in_force()
    x = tg.tensor([1.0, 2.0], requires_grad=True)

    def reads(x: tg.Tensor) -> tg.Tensor:
        return x * x.sum().item()

    with pytest.raises(RuntimeError, match="compile"):
        tg.compile(reads)(x)
    assert in_force() == fresh
    y = (x * 2).tanh()
    y.register_hook(lambda g: 1 / 0)
    for options in ({}, {"create_graph": True}):
        with pytest.raises(ZeroDivisionError):
            tg.autograd.grad(y.sum(), [x], retain_graph=True, **options)
        assert in_force() == fresh
    silent = np.errstate(divide="ignore")
    with silent, pytest.raises(AnomalyError), tg.detect_anomaly(), tg.scope("cell", t=1):
        np.log(x * 0)
    assert in_force() == fresh
