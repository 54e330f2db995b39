"""protect_residuals: a write that no version counter sees raises where it stands, or is found by backward.

Each test of a write is paired with the same program outside of the mode, which must go through: protection that
refused by itself, or that found nothing because nothing was written, would be noticed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.locking import READ_ONLY, leaf, nothing_stays_locked  # noqa: F401  (autouse)
from tests.ops.running import CASES, gradients, with_gradient
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import protect_residuals
from tinygrad_rnn.errors import AnomalyError, GraphError


def entry(t: Any, w: Any, a: np.ndarray) -> None:
    t.detach().numpy()[0] = 5


def whole(t: Any, w: Any, a: np.ndarray) -> None:
    array = w.detach().numpy()
    array += 1


def out(t: Any, w: Any, a: np.ndarray) -> None:
    np.multiply(a, 2, out=w.detach().numpy())


def view(t: Any, w: Any, a: np.ndarray) -> None:
    w.detach().numpy()[::-1][:1] = 5


def shared(t: Any, w: Any, a: np.ndarray) -> None:
    a[0] = 5


def copied_into(t: Any, w: Any, a: np.ndarray) -> None:
    np.copyto(t.detach().numpy(), a)


def sorted_in_place(t: Any, w: Any, a: np.ndarray) -> None:
    a.sort()


@pytest.mark.parametrize("write", [entry, whole, out, view, shared, copied_into, sorted_in_place])
def test_a_write_by_numpy_raises_where_it_stands(write: Callable[..., None]):
    def program(protected: bool) -> np.ndarray:
        a = np.array([3.0, 1.0])
        w, x = leaf(1.0, 2.0), tg.Tensor(a)
        with protect_residuals() if protected else tg.enable_grad():
            t = (w * x).exp()
        if protected:
            with pytest.raises(ValueError, match=READ_ONLY):
                write(t, w, a)
        else:
            write(t, w, a)
        t.sum().backward()
        write(t, w, a)  # nothing is needed any more
        return w.grad.numpy()

    np.testing.assert_allclose(program(protected=True), np.array([3.0, 1.0]) * np.exp([3.0, 2.0]))
    assert program(protected=False).shape == (2,)


def test_the_gradient_outside_is_silently_that_of_the_new_values():
    # The reason for the mode, and what its docstring says.
    w = leaf(1.0, 2.0)
    y = (w * w).sum()
    w.detach().numpy()[0] = 50
    y.backward()
    assert w.grad.tolist() == [100, 4]


def through_an_older_view(w: Any) -> Callable[[], None]:
    older = w.detach().numpy()[:1]
    return lambda: older.fill(50)


def through_a_buffer(w: Any) -> Callable[[], None]:
    buffer = memoryview(w.detach().numpy())

    def write() -> None:
        buffer[0] = 50.0

    return write


def through_the_flag(w: Any) -> Callable[[], None]:
    array = w.detach().numpy()

    def write() -> None:
        array.flags.writeable = True
        array[0] = 50

    return write


@pytest.mark.parametrize("prepare", [through_an_older_view, through_a_buffer, through_the_flag])
def test_what_numpy_lets_through_is_found_by_backward(prepare: Callable[..., Any]):
    w = leaf(1.0, 2.0)
    write = prepare(w)
    with protect_residuals(), tg.scope("cell", t=3):
        y = (w * w).sum()
    write()
    with pytest.raises(
        GraphError, match=r"multiply in cell at t=3: argument 1, float64\[2\], has been modified by some"
    ):
        y.backward()


def test_an_output_that_a_rule_reads_is_fingerprinted_too():
    w = leaf(1.0, 2.0)
    with protect_residuals():
        t = w.exp()
    buffer = t.detach().numpy()
    buffer.flags.writeable = True
    buffer[0] = 7
    with pytest.raises(GraphError, match="through exp: the output"):
        t.sum().backward()


def test_what_no_graph_keeps_may_be_written():
    w = leaf(1.0, 2.0)
    with protect_residuals():
        y = w + 3.0
        z = y * 3.0 + w
    assert not y.detach().numpy().flags.writeable
    w.detach().numpy()[0] = 9
    z.sum().backward()
    assert w.grad.tolist() == [4, 4]


def test_the_same_bytes_are_no_change():
    w = leaf(1.0, 2.0)
    older = w.detach().numpy()[:1]
    with protect_residuals():
        y = (w * w).sum()
    older[0] = 1.0
    y.backward()
    assert w.grad.tolist() == [2, 4]


def test_create_graph():
    w = leaf(1.0, 2.0)
    with protect_residuals():
        (first,) = tg.autograd.grad((w * w * w).sum(), [w], create_graph=True)
    with pytest.raises(ValueError, match=READ_ONLY):
        w.detach().numpy()[0] = 5
    (second,) = tg.autograd.grad(first.sum(), [w])
    assert second.tolist() == [6, 12]


@pytest.mark.parametrize("mode", [tg.enable_grad, protect_residuals])
def test_tracked_writes_work_as_outside_and_spoil_as_outside(mode: Any):
    w = leaf(1.0, 2.0)
    with mode():
        y = w * 2.0
        y += 1.0
        y *= y  # the values before are kept for the gradient
        y.mul_(3.0)
        y[0] = 7.0
        y.sum().backward()
        assert w.grad.tolist() == [0, 60]
        late = (w * w).sum()
        with tg.no_grad():
            w.sub_(1.0)
        try:
            late.backward()
        except GraphError as error:
            assert "modified by an inplace operation at test_protection" in str(error)  # noqa: PT017
        else:
            pytest.fail("the gradient is that of the new values")


def test_a_tracked_write_keeps_the_fingerprints_of_what_it_preserves():
    w = leaf(1.0, 2.0)
    with protect_residuals():
        y = w * 1.0
        square = y * y
    unseen = y.detach().numpy()
    unseen.flags.writeable = True
    unseen[0] = 50
    y += square  # keeps for the square a copy of what is there, which is not what was recorded
    with pytest.raises(GraphError, match=r"through multiply: argument 1, .* something that NumPy shows nobody"):
        y.sum().backward()


def test_a_compiled_function_runs_uncompiled_within():
    w = leaf(1.0, 2.0)
    square = tg.compile(lambda t: (t * t).sum())
    square(w)
    with protect_residuals():
        y = square(w)
    with pytest.raises(ValueError, match=READ_ONLY):
        w.detach().numpy()[0] = 5
    y.backward()
    assert w.grad.tolist() == [2, 4]


def test_with_detect_anomaly_the_line_is_named():
    w = leaf(1.0, 2.0)
    with tg.detect_anomaly():
        alone = w * w
    assert w.detach().numpy().flags.writeable
    del alone
    older = w.detach().numpy()[:1]
    with protect_residuals(), tg.detect_anomaly():
        y = (w * w).sum()
    older[0] = 5
    with pytest.raises(GraphError, match=r"multiply \(test_protection\.py:\d+\)"):
        y.backward()
    with tg.detect_anomaly(), protect_residuals(), np.errstate(divide="ignore"), pytest.raises(AnomalyError):
        np.log(w * 0.0)


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_layers_give_the_same_gradients(layer: Any):
    def gradients(protected: bool) -> list[np.ndarray]:
        tg.manual_seed(1)
        model = layer(3, 4, num_layers=2, bidirectional=True)
        x = tg.Tensor(np.random.default_rng(1).normal(size=(6, 2, 3)).astype(np.float32), requires_grad=True)
        with protect_residuals() if protected else tg.enable_grad():
            (model(x)[0] ** 2).sum().backward()
        return [x.grad.numpy(), *(p.grad.numpy() for p in model.parameters())]

    for mine, plain in zip(gradients(True), gradients(False), strict=True):
        np.testing.assert_array_equal(mine, plain)


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_no_op_and_no_rule_writes_into_what_a_graph_keeps(name: str):
    samples = [sample for op, sample in CASES if op == name and with_gradient(op, sample)]
    for sample in samples:
        for order in (False, True):
            plain = gradients(name, sample, create_graph=order)
            with protect_residuals():
                mine = gradients(name, sample, create_graph=order)
            for a, b in zip(mine, plain, strict=True):
                np.testing.assert_array_equal(a, b)
