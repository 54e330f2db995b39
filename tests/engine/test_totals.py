"""Sums in the sweep: what many nodes send to one parent, held to sums worked out by hand and to central differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import totals
from tinygrad_rnn.compare import gradcheck
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.ops.contract import matmul


def draw(*shape: int, seed: int = 0, dtype: Any = np.float64) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


def parameter(*shape: int, seed: int = 0, dtype: Any = np.float64) -> tg.Tensor:
    return tg.Tensor(draw(*shape, seed=seed, dtype=dtype), requires_grad=True)


def close(got: Any, expected: np.ndarray, rtol: float = 1e-12) -> None:
    assert got is not None
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=rtol, atol=rtol * np.abs(expected).max(initial=0))


@pytest.fixture(params=[2, 6, 7, totals.ROWS])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Few rows, so that factors are multiplied many times in a sweep, with and without a rest."""
    monkeypatch.setattr(totals, "ROWS", request.param)
    return request.param


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each product of collected factors had."""
    seen: list[int] = []
    original = totals.Totals._multiply

    def counted(self: Any, node: Any, room: Any) -> None:
        seen.append(room.filled)
        original(self, node, room)

    monkeypatch.setattr(totals.Totals, "_multiply", counted)
    return seen


def unrolled(w: tg.Tensor, u: tg.Tensor, xs: list[np.ndarray]) -> tuple[tg.Tensor, list[tg.Tensor]]:
    """h' = tanh(x w + h u), summed over all steps, and every h."""
    h, states = tg.Tensor(np.zeros((xs[0].shape[0], u.shape[0]), u.dtype)), []
    for x in xs:
        h = (tg.Tensor(x) @ w + h @ u).tanh()
        states.append(h)
    return sum(h.sum() for h in states), states  # type: ignore[return-value]


def by_hand(w: np.ndarray, u: np.ndarray, xs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of `unrolled`, one step at a time."""
    hs = [np.zeros((xs[0].shape[0], u.shape[0]), u.dtype)]
    for x in xs:
        hs.append(np.tanh(x @ w + hs[-1] @ u))
    dw, du, dh = np.zeros_like(w), np.zeros_like(u), np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        da = (dh + 1) * (1 - hs[t + 1] ** 2)
        dw += xs[t].T @ da
        du += hs[t].T @ da
        dh = da @ u.T
    return dw, du


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("batch", "steps"), [(1, 20), (2, 9), (3, 4), (5, 2), (4, 1)])
def test_the_weights_of_an_unrolled_network(batch: int, steps: int, dtype: Any, rows: int):
    w, u = parameter(3, 4, dtype=dtype), parameter(4, 4, dtype=dtype)
    xs = [draw(batch, 3, seed=t, dtype=dtype) for t in range(steps)]
    loss, _ = unrolled(w, u, xs)
    loss.backward()
    for got, expected in zip((w.grad, u.grad), by_hand(w.array, u.array, xs), strict=True):
        close(got, expected, rtol=1e-12 if dtype == np.float64 else 1e-4)


def test_more_steps_than_one_product_has_rows(products: list[int]):
    w, u = parameter(3, 4), parameter(4, 4)
    xs = [draw(3, 3, seed=t) for t in range(200)]
    loss, _ = unrolled(w, u, xs)
    loss.backward()
    for got, expected in zip((w.grad, u.grad), by_hand(w.array, u.array, xs), strict=True):
        close(got, expected)
    # the first of 200 steps is multiplied by itself; 255 rows hold 85 steps
    assert sorted(products) == [87, 87, 255, 255, 255, 255]


def test_a_weight_that_is_used_once_is_not_collected(products: list[int]):
    x, w = parameter(3, 4), parameter(4, 2)
    (x @ w).sum().backward()
    assert products == []
    close(w.grad, x.array.T @ np.ones((3, 2)))


def test_central_differences_through_shared_and_tied_weights(rows: int):
    w, u = parameter(4, 4), parameter(4, 4, seed=1)

    def function(w: Any, u: Any) -> Any:
        y = tg.Tensor(draw(3, 4))
        for _ in range(3):
            y = (y @ w @ u @ w.T @ w).tanh()  # w as it is, and turned
        return (y @ (w @ w)).sum() + (w * w * u).sum()

    assert gradcheck(function, (w, u), atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("before", [True, False])
def test_a_weight_that_is_used_elsewhere_too(before: bool, rows: int):
    """Decayed and looked up; recorded before the products or after them, so that its total begins in another way."""
    w, xs = parameter(5, 4), [draw(2, 5, seed=t) for t in range(4)]

    def others() -> Any:
        return (w * w).sum() * 0.5 + w[1].sum() + w[1:3].sum()

    first = others() if before else 0
    loss = sum((tg.Tensor(x) @ w).sum() for x in xs) + (first if before else others())
    loss.backward()
    expected = w.array + sum(x.T @ np.ones((2, 4)) for x in xs)
    expected[1] += 1
    expected[1:3] += 1
    close(w.grad, expected)


def test_products_of_different_row_counts(rows: int):
    w = parameter(3, 2)
    xs = [draw(n, 3, seed=n) for n in (1, 4, 0, 300, 2, 129, 128, 7, 1)]
    gs = [draw(len(x), 2, seed=9) for x in xs]
    sum((tg.Tensor(x) @ w * tg.Tensor(g)).sum() for x, g in zip(xs, gs, strict=True)).backward()  # type: ignore[union-attr]
    close(w.grad, sum(x.T @ g for x, g in zip(xs, gs, strict=True)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (0, 2), (2, 0)])
def test_thin_and_empty_weights(shape: tuple[int, int], rows: int):
    w = parameter(*shape)
    xs = [draw(2, shape[0], seed=t) for t in range(5)]
    sum((tg.Tensor(x) @ w).sum() for x in xs).backward()  # type: ignore[union-attr]
    close(w.grad, sum(x.T @ np.ones((2, shape[1])) for x in xs))


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "one row repeated": lambda a: np.broadcast_to(a[:1], a.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_operands_of_any_layout(layout: str, rows: int):
    turned, w = LAYOUTS[layout], parameter(4, 3)
    xs = [turned(draw(3, 4, seed=t)) for t in range(4)]
    gs = [turned(draw(3, 3, seed=t)) for t in range(4)]
    ys = [tg.Tensor(x) @ w for x in xs]
    tg.autograd.backward(ys, [tg.Tensor(g) for g in gs])
    close(w.grad, sum(x.T @ g for x, g in zip(xs, gs, strict=True)))
    w.grad = None
    v = parameter(3, 4)  # a transposed weight is what layers have
    sum((tg.Tensor(x) @ v.T * tg.Tensor(g)).sum() for x, g in zip(xs, gs, strict=True)).backward()  # type: ignore[union-attr]
    close(v.grad, sum(x.T @ g for x, g in zip(xs, gs, strict=True)).T)


def test_vectors_and_stacks_beside_matrices(rows: int):
    w = parameter(4, 3)
    x, m, s = draw(4), draw(2, 4), draw(5, 2, 4)
    loss = sum((tg.Tensor(a) @ w).sum() for a in (m, x, s, m, x, m)) + (w @ tg.Tensor(draw(3, 2))).sum()  # type: ignore[union-attr]
    loss.backward()
    expected = (3 * m.sum(0) + 2 * x + s.sum((0, 1)))[:, None] + draw(3, 2).sum(1)
    close(w.grad, expected)


def test_operands_of_two_dtypes(rows: int):
    """The product of float32 and float64 is float64, and each gradient has the dtype of its array."""
    w32, w64 = parameter(4, 3, dtype=np.float32), parameter(4, 3)
    x32, x64 = draw(2, 4, dtype=np.float32), draw(2, 4)
    # the primitive itself: operators would cast the operands first
    pairs = [(x, w) for x in (x64, x32, x64, x32, x32) for w in (w32, w64)]
    sum(matmul(tg.Tensor(x), w).to(tg.float64).sum() for x, w in pairs).backward()
    expected = (3 * x32.astype(np.float64) + 2 * x64).T @ np.ones((2, 3))
    close(w64.grad, expected, rtol=1e-12)
    close(w32.grad, expected.astype(np.float32), rtol=1e-6)


def test_a_retained_graph_can_be_swept_again(rows: int):
    w, u, xs = parameter(3, 4), parameter(4, 4), [draw(2, 3, seed=t) for t in range(6)]
    loss, _ = unrolled(w, u, xs)
    loss.backward(retain_graph=True)
    assert w.grad is not None
    once = w.grad.detach().numpy().copy()
    loss.backward(retain_graph=True)
    loss.backward()
    np.testing.assert_allclose(w.grad.detach().numpy(), 3 * once, rtol=1e-12)
    with pytest.raises(GraphError, match="second time"):
        loss.backward()


def test_only_what_is_asked_for(rows: int, products: list[int]):
    w, u, xs = parameter(3, 4), parameter(4, 4), [draw(2, 3, seed=t) for t in range(6)]
    dw, du = by_hand(w.array, u.array, xs)
    loss, states = unrolled(w, u, xs)
    (g,) = tg.autograd.grad(loss, [u], retain_graph=True)
    close(g, du)
    both = tg.autograd.grad(loss, [states[2], w], retain_graph=True)
    close(both[1], dw)
    assert w.grad is None
    products.clear()
    tg.autograd.grad(loss, [states[2]], retain_graph=True)
    assert products == []  # nobody wants a weight
    loss.backward(inputs=[w])
    close(w.grad, dw)
    assert u.grad is None


def test_a_recorded_sweep_agrees_and_collects_nothing(rows: int, products: list[int]):
    w, u, xs = parameter(3, 4), parameter(4, 4), [draw(2, 3, seed=t) for t in range(6)]
    loss, _ = unrolled(w, u, xs)
    recorded = tg.autograd.grad(loss, [w, u], create_graph=True)
    with tg.detect_anomaly():
        watched = tg.autograd.grad(loss, [w, u], retain_graph=True)
    assert products == []
    for got, again, expected in zip(recorded, watched, by_hand(w.array, u.array, xs), strict=True):
        close(got, expected)
        close(again, expected)


def test_a_hook_sees_the_whole_gradient_of_a_weight_once_and_may_replace_it(rows: int):
    w, u, xs = parameter(3, 4), parameter(4, 4), [draw(2, 3, seed=t) for t in range(6)]
    dw, du = by_hand(w.array, u.array, xs)
    seen: list[np.ndarray] = []
    w.register_hook(lambda g: seen.append(g.numpy().copy()))
    u.register_hook(lambda g: g * 2)
    loss, _ = unrolled(w, u, xs)
    loss.backward()
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0], dw, rtol=1e-12)
    close(u.grad, 2 * du)


def test_the_gradient_of_an_inner_weight_is_whole_when_it_is_kept(rows: int):
    w, u, xs = parameter(3, 4), parameter(4, 4), [draw(2, 3, seed=t) for t in range(6)]
    inner, seen = w * 1, []
    inner.retain_grad()
    inner.register_hook(lambda g: seen.append(g.numpy().copy()))
    loss, _ = unrolled(inner, u, xs)
    loss.backward()
    dw, _ = by_hand(w.array, u.array, xs)
    np.testing.assert_allclose(seen, [dw], rtol=1e-12)
    close(inner.grad, dw)
    close(w.grad, dw)


def test_hooks_that_write_where_factors_came_from(rows: int):
    """An activation and a cotangent that a product has read already are overwritten behind NumPy's back, where no check
    can see it; the product must have what it read."""
    w, xs = parameter(3, 4), [draw(2, 3, seed=t) for t in range(5)]
    kept = [x.copy() for x in xs]
    parts = [tg.Tensor(x, requires_grad=True) for x in xs]
    ys = [part @ w for part in parts]
    cotangents: list[np.ndarray] = []

    def remember(g: Any) -> None:
        cotangents.append(g.numpy())

    def spoil(t: int) -> Callable[[Any], None]:
        def hook(g: Any) -> None:
            xs[t][...] = 1e9
            g.numpy()[...] *= 1
            for seen in cotangents:
                seen[...] = 1e9

        return hook

    for t, (part, y) in enumerate(zip(parts, ys, strict=True)):
        y.register_hook(remember)
        part.register_hook(spoil(t))
    sum((y * 2).sum() for y in ys).backward()  # type: ignore[union-attr]
    close(w.grad, 2 * sum(x.T @ np.ones((2, 4)) for x in kept))
    assert all((x == 1e9).all() for x in xs)


def test_a_residual_that_was_written_is_refused_as_ever(rows: int):
    w, xs = parameter(3, 4), [tg.Tensor(draw(2, 3, seed=t)) for t in range(5)]
    loss: Any = sum((x @ w).sum() for x in xs)
    xs[1].mul_(2)
    with pytest.raises(GraphError, match=r"argument 0, float64\[2, 3\], has been modified"):
        loss.backward()


S = slice
READS: dict[str, list[Any]] = {
    "gates": [(S(None), S(0, 2)), (S(None), S(2, 4)), (S(None), S(4, 6))],
    "steps forwards": [(t,) for t in range(4)],
    "steps backwards": [(3 - t,) for t in range(4)],
    "the same twice": [(S(None), S(1, 3)), (S(None), S(1, 3)), (S(None), S(3, 5))],
    "overlapping": [(S(0, 3),), (S(2, 4),), (S(1, 2),)],
    "one between two": [(S(None), S(0, 2)), (S(None), S(4, 6)), (S(None), S(2, 4)), (S(None), S(1, 3))],
    "another axis": [(S(0, 2),), (S(None), S(0, 2)), (S(2, 4),)],
    "rows and entries": [(0,), (1, 2), (1, S(0, 2)), (0, 3), (S(2, 3),)],
    "leads that differ": [(0, S(0, 2)), (1, S(0, 2)), (1, S(1, 4)), (0, S(2, 4))],
    "from the end": [(S(None), -1), (S(None), 5), (S(None), S(-2, 6)), (S(None), S(4, 6)), (-1,), (3,)],
    "up to one from the end": [(S(None), S(-3, -1)), (S(None), S(3, 5)), (S(2, -1),), (S(0, -1),), (S(1, 3),)],
    "beginning or ending from the end": [(S(2, -1),), (S(2, 3),), (S(-2, -1),), (S(2, 3),)],
    "ending from the end": [(S(2, 3),), (S(1, -1),)],
    "beyond the end": [(S(None), S(3, 99)), (S(None), S(1, 3)), (S(None), S(6, 8)), (S(None), S(0, 1))],
    "open and stepped": [(S(None, 2),), (S(1, None),), (S(0, 4, 2),), (S(3, 0, -1),), (S(1, 3),)],
    "empty": [(S(2, 2),), (S(3, 1),), (S(1, 3),), (S(2, 2),), (S(0, 2),)],
    "all of it": [(), (S(0, 2),), (...,), (S(2, 4),), (..., S(0, 3)), (..., S(3, 6)), (None, S(0, 2)), (None, 1)],
    "everything": [(S(0, 2),), (np.array([1, 1, 3]),), (S(2, 4),), (S(1, 2),)],
}


@pytest.mark.parametrize("also", ["nothing", "before", "between", "after"])
@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize("inner", [False, True])
def test_reads_of_parts(reads: str, also: str, inner: bool):
    """Every part of an array that is read sends a cotangent to its place, beside uses of the whole array."""
    x = parameter(4, 6)
    source = x * 1.0 if inner else x
    indices, loss, expected = READS[reads], tg.zeros(1, dtype=tg.float64).sum(), np.zeros((4, 6))
    for k, index in enumerate(indices):
        if also == ("after" if k == 0 else "between" if k == 1 else ""):
            loss = loss + (source * 3).sum() + (source * source).sum() * 0.5
            expected += 3 + x.array
        part = source[index] if index else source[...]
        g = draw(*part.shape, seed=k)
        loss = loss + (part * tg.Tensor(g)).sum()
        np.add.at(expected, index, g)
    if also == "before":
        loss = loss + (source * 3).sum() + (source * source).sum() * 0.5
        expected += 3 + x.array
    loss.backward()
    close(x.grad, expected)


def test_reads_of_a_weight_between_products(rows: int):
    w, xs = parameter(4, 6), [draw(2, 4, seed=t) for t in range(6)]
    loss: Any = 0
    for t, x in enumerate(xs):
        loss = loss + (tg.Tensor(x) @ w).sum() + w[:, t : t + 1].sum() * t + w[t % 4].sum()
    loss.backward()
    expected = sum(x.T @ np.ones((2, 6)) for x in xs) + np.arange(6.0) + np.array([2.0, 2, 1, 1])[:, None]
    close(w.grad, expected)


def test_residuals_that_are_protected_are_given_back(rows: int):
    w, u, xs = parameter(3, 4), parameter(4, 4), [draw(2, 3, seed=t) for t in range(6)]
    with tg.autograd.protect_residuals():
        loss, states = unrolled(w, u, xs)
    assert not states[0].array.flags.writeable
    loss.backward()
    assert states[0].array.flags.writeable
    for got, expected in zip((w.grad, u.grad), by_hand(w.array, u.array, xs), strict=True):
        close(got, expected)


def test_the_same_bits_every_time():
    grads = []
    for _ in range(3):
        w, u = parameter(3, 4, dtype=np.float32), parameter(4, 4, dtype=np.float32)
        loss, _ = unrolled(w, u, [draw(5, 3, seed=t, dtype=np.float32) for t in range(120)])
        loss.backward()
        grads.append((w.grad.numpy().tobytes(), u.grad.numpy().tobytes()))  # type: ignore[union-attr]
    assert len(set(grads)) == 1


def test_gradients_are_given_away(rows: int):
    """`.grad` owns its memory, and adds the next gradient up in it."""
    w, u, xs = parameter(3, 4), parameter(4, 4), [draw(2, 3, seed=t) for t in range(4)]
    for k in (1, 2):
        loss, _ = unrolled(w, u, xs)
        loss.backward()
        for p, expected in zip((w, u), by_hand(w.array, u.array, xs), strict=True):
            close(p.grad, k * expected)
            assert p.grad is not None
            assert p.grad.array.base is None
