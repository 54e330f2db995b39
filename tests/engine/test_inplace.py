"""In-place writes: the gradient is PyTorch's, or the write is refused; it is never wrong.

Each program runs on either library: `t` makes a float64 tensor, and the result is the gradient of `w`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import DTypeError, GraphError, ShapeError

REFUSED = "refused"
PROGRAMS: list[tuple[Callable[..., Any], Any]] = []


def gives(expected: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Note a program and the gradient of w that is right, worked out by hand; or that it is refused."""

    def note(program: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS.append((program, expected))
        return program

    return note


@gives([0, 0])
def zeroed(lib: Any, t: Any, w: Any) -> Any:
    y = w * 2
    y.zero_()
    return y.sum()


@gives([6, 6])
def filled_after_use_that_saved_nothing_of_it(lib: Any, t: Any, w: Any) -> Any:
    y = w * 2
    z = y * 3
    y.fill_(5.0)
    return z.sum() + y.sum()


@gives([7, 7])
def overwritten_by_a_constant(lib: Any, t: Any, w: Any) -> Any:
    y = w * 2
    y.copy_(t([7, 7]))
    return (y * w).sum()


@gives([5, 9])
def shifted_under_no_grad(lib: Any, t: Any, w: Any) -> Any:
    y = w * 2
    with lib.no_grad():
        y.add_(1)
    return (y * w).sum()


@gives(REFUSED)
def residual_shifted_under_no_grad(lib: Any, t: Any, w: Any) -> Any:
    y = w * 2
    z = y * y
    with lib.no_grad():
        y.add_(1)
    return z.sum()


@gives(REFUSED)
def leaf_written(lib: Any, t: Any, w: Any) -> Any:
    w.zero_()
    return w.sum()


@gives([0, 16])
def entry_set(lib: Any, t: Any, w: Any) -> Any:
    y = w * 2
    y[0] = 5.0
    return (y * y).sum()


@gives(REFUSED)
def constant_written_through_a_view(lib: Any, t: Any, w: Any) -> Any:
    x = t([[0, 0], [0, 0]])
    y = x[0]
    y += w
    return (x * t([[1, 2], [3, 4]]) * w).sum()


@gives(REFUSED)
def view_of_a_constant_that_is_written(lib: Any, t: Any, w: Any) -> Any:
    x = t([[0, 0], [0, 0]])
    v = x[0]
    x += w
    return (v * w).sum()


@gives(REFUSED)
def history_written_through_a_view(lib: Any, t: Any, w: Any) -> Any:
    x = w * 2
    v = x[0]
    v *= 3
    return (x * w).sum()


@gives(REFUSED)
def view_of_history_that_is_written(lib: Any, t: Any, w: Any) -> Any:
    x = w * 2
    v = x.reshape(2, 1)
    x *= 3
    return (v * w).sum()


@gives(REFUSED)
def leaf_written_through_a_view(lib: Any, t: Any, w: Any) -> Any:
    v = w.reshape(2, 1)
    v += 1
    return (v * w).sum()


@gives(REFUSED)
def leaf_written_through_an_einsum(lib: Any, t: Any, w: Any) -> Any:
    v = lib.einsum("i->i", w)
    v += 1
    return (v * w).sum()


@gives([6, 6])
def flip_is_a_copy(lib: Any, t: Any, w: Any) -> Any:
    y = w * 1.0
    z = y.flip(0)
    z += y  # would write into y, were it a view
    return (y * z).sum()


@gives(REFUSED)
def expanded_memory_written(lib: Any, t: Any, w: Any) -> Any:
    y = (w * 1.0).expand(3, 2)
    y += 1
    return y.sum()


@gives([2, 3])
def detached_after_the_write(lib: Any, t: Any, w: Any) -> Any:
    h = t([1, 1])
    h += w
    return (h.detach() * w).sum()


@gives([2, 2])
def entry_of_detached(lib: Any, t: Any, w: Any) -> Any:
    h = t([1, 1])
    h += w
    return (h.detach()[0] * w).sum()


@gives([2, 3])
def read_under_no_grad(lib: Any, t: Any, w: Any) -> Any:
    h = t([1, 1])
    h += w
    with lib.no_grad():
        v = h[:]
    return (v * w).sum()


@gives([14, 22])
def history_copied(lib: Any, t: Any, w: Any) -> Any:
    x = t([0, 0])
    y = w * 2
    z = y * 3
    x.copy_(y)
    return z.sum() + (x * x).sum()


@gives([4, 32])
def rows_augmented(lib: Any, t: Any, w: Any) -> Any:
    x = t([[0, 0], [1, 1]])
    x[0] += w
    x[0] *= w
    return (x * x).sum()


@gives([28, 56])
def buffer_filled_row_by_row(lib: Any, t: Any, w: Any) -> Any:
    b = t([[0, 0], [0, 0], [0, 0]])
    for i in range(3):
        b[i] = w * (i + 1.0)
    return (b * b).sum()


@gives([12, 228])
def buffer_that_reads_itself(lib: Any, t: Any, w: Any) -> Any:
    b = t([[0, 0], [0, 0], [0, 0]])
    b[0] = w
    for i in range(1, 3):
        b[i] = b[i - 1] * w  # w, w^2, w^3
    return (b * b).sum()


@gives([0, 40])
def entries_of_itself(lib: Any, t: Any, w: Any) -> Any:
    y = w * 1.0
    y[0] = y[1]
    y[1] = y[0] * 3
    return (y * y).sum()


@gives([8, 16])
def added_to_itself(lib: Any, t: Any, w: Any) -> Any:
    y = w * 1.0
    y += y
    y *= y
    return y.sum()


@gives(REFUSED)
def output_that_a_rule_reads(lib: Any, t: Any, w: Any) -> Any:
    y = w.exp()
    z = y * 2
    y.mul_(2)
    return (z + y).sum()


@gives([2, 2])
def zeroed_after_use(lib: Any, t: Any, w: Any) -> Any:
    y = w * 2
    z = y + 1
    y.zero_()
    return z.sum()


@gives(REFUSED)
def data_written_between(lib: Any, t: Any, w: Any) -> Any:
    y = w * w
    w.data.mul_(2)
    return y.sum()


@gives([3, 3])
def stepped_between_where_it_is_not_read(lib: Any, t: Any, w: Any) -> Any:
    y = w * 3
    with lib.no_grad():
        w -= 1.0
    return y.sum()


@gives(REFUSED)
def stepped_between_where_it_is_read(lib: Any, t: Any, w: Any) -> Any:
    y = w * w
    with lib.no_grad():
        w -= 1.0
    return y.sum()


@gives([2, 4])
def clamped(lib: Any, t: Any, w: Any) -> Any:
    y = w * 1.0
    y.clamp_(min=0.0)
    return (y * y).sum()


@gives([4, 8])
def broadcast_into(lib: Any, t: Any, w: Any) -> Any:
    y = t([[0, 0], [0, 0]])
    y += w
    return (y * y).sum()


@gives(REFUSED)
def grown(lib: Any, t: Any, w: Any) -> Any:
    y = t([0])
    y += w
    return y.sum()


@gives([2, 4])
def written_twice_and_detached_between(lib: Any, t: Any, w: Any) -> Any:
    h = t([1, 1])
    h += w
    h = h.detach()
    h.zero_()
    h += w
    return (h * h).sum()


IDS = [program.__name__ for program, _ in PROGRAMS]


@pytest.mark.parametrize(("program", "expected"), PROGRAMS, ids=IDS)
def test_gradient_is_right_or_the_write_refused(program: Callable[..., Any], expected: Any):
    w = tg.Tensor(np.array([1.0, 2.0]), requires_grad=True)

    def run() -> Any:
        program(tg, lambda x: tg.Tensor(np.array(x, dtype=np.float64)), w).backward()
        return w.grad.numpy()

    if expected is REFUSED:
        with pytest.raises((GraphError, ShapeError)):
            run()
    else:
        np.testing.assert_array_equal(run(), expected)


@pytest.mark.peers
@pytest.mark.parametrize(("program", "expected"), PROGRAMS, ids=IDS)
def test_where_pytorch_runs_it_the_gradients_agree(program: Callable[..., Any], expected: Any):
    torch = pytest.importorskip("torch")
    w = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    try:
        program(torch, lambda x: torch.tensor(x, dtype=torch.float64), w).backward()
    except RuntimeError:
        return  # refused there, and so right or refused here
    assert expected is REFUSED or w.grad.tolist() == expected


def test_messages_name_both_places():
    w = tg.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    with tg.scope("cell", t=3), tg.detect_anomaly():
        y = w.exp()  # recorded
    y += 1  # written
    with pytest.raises(GraphError, match=r"modified by an inplace operation") as caught:
        y.sum().backward()
    text = str(caught.value)
    assert "exp in cell at t=3" in text
    assert "the output, float64[2]" in text
    assert text.count("test_inplace.py:") == 2
    assert "clone()" in text
    without = w.exp()
    without += 1
    with pytest.raises(GraphError, match=r"Under detect_anomaly\(\) this message also names the line"):
        without.sum().backward()


def test_a_lower_category_cannot_hold_the_result():
    x = tg.tensor([1, 2])
    with pytest.raises(DTypeError, match="result type float32 can't be cast to the desired output type int64"):
        x += 1.5
    with pytest.raises(DTypeError, match="can't be cast"):
        x /= 2
    x += tg.tensor([True, False])
    assert x.tolist() == [2, 2]
    small = tg.Tensor(np.array([1, 2], np.uint8))
    small += tg.tensor([1, 1])
    assert small.dtype == np.uint8


def test_the_users_array_is_shared_and_seen_to_change():
    array = np.array([1.0, 2.0])
    x = tg.Tensor(array)
    x += 1
    np.testing.assert_array_equal(array, [2, 3])
    w = tg.Tensor(array, requires_grad=True)
    y = w * w
    w.detach().mul_(2)
    with pytest.raises(GraphError, match="inplace"):
        y.sum().backward()


def test_a_gradient_that_was_recorded_is_not_added_to_unseen():
    # PyTorch refuses it with the same words.
    w = tg.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    (w**3).sum().backward(create_graph=True)
    penalty = (w.grad**2).sum()
    (w * 100).sum().backward()
    with pytest.raises(GraphError, match="inplace"):
        penalty.backward()


def test_a_gradient_that_was_used_as_a_constant_is_not_added_to_unseen():
    w, v = (tg.Tensor(np.array([1.0, 2.0]), requires_grad=True) for _ in range(2))
    (w * 3).sum().backward()
    product = (v * w.grad.detach()).sum()
    (w * 100).sum().backward()
    with pytest.raises(GraphError, match="inplace"):
        product.backward()


def test_a_plain_array_given_as_out_is_seen_to_change():
    array = np.array([1.0, 2.0])
    w = tg.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    y = (w * tg.Tensor(array)).sum()
    np.add(tg.Tensor(np.array([5.0, 5.0])), 1.0, out=array)
    with pytest.raises(GraphError, match="inplace"):
        y.backward()
