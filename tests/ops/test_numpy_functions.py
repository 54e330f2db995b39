"""NumPy's functions on Tensors, through both protocols: NumPy's signatures and values, our gradients, and refusals."""

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.compare import gradcheck
from tinygrad_rnn.errors import MissingRuleError
from tinygrad_rnn.primitive import REGISTRY

from .numpy_calls import CALLS, Call

every_call = pytest.mark.parametrize("call", CALLS, ids=str)


def on_tensors(a: Any, found: list[tg.Tensor]) -> Any:
    """Arrays as Tensors; the float ones require grad and are collected."""
    if isinstance(a, np.ndarray) and a.dtype.kind == "f":
        found.append(tg.Tensor(a.copy(), requires_grad=True))
        return found[-1]
    if isinstance(a, list) and a and isinstance(a[0], np.ndarray):
        return [on_tensors(x, found) for x in a]
    if isinstance(a, tuple) and a and isinstance(a[0], np.ndarray):
        return tuple(on_tensors(x, found) for x in a)
    return tg.Tensor(a) if isinstance(a, np.ndarray) and a.size > 4 else a


def run(call: Call) -> tuple[Any, list[tg.Tensor], Any]:
    """(result on Tensors, the Tensors that require grad, a function of them that runs it again)."""
    found: list[tg.Tensor] = []
    args = [on_tensors(a, found) for a in call.args]
    kwargs = {k: on_tensors(a, found) for k, a in call.kwargs.items()}
    return call.function(*args, **kwargs), found, lambda *_: call.function(*args, **kwargs)


def same(a: Any, expected: Any) -> None:
    if isinstance(expected, (list, tuple)) and not isinstance(a, tg.Tensor):
        assert isinstance(a, type(expected))
        assert len(a) == len(expected)
        for x, y in zip(a, expected, strict=True):
            same(x, y)
        return
    value = a.detach().numpy() if isinstance(a, tg.Tensor) else a
    assert np.shape(value) == np.shape(expected)
    assert np.asarray(value).dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(value, expected, rtol=1e-13, atol=1e-15)


@every_call
def test_means_on_tensors_what_it_means_on_arrays(call: Call):
    same(run(call)[0], call.function(*call.args, **call.kwargs))


def outputs(result: Any) -> list[tg.Tensor]:
    parts = result if isinstance(result, (list, tuple)) else [result]
    return [y for y in parts if isinstance(y, tg.Tensor) and y.requires_grad]


@every_call
def test_gradient_equals_central_differences(call: Call):
    result, found, again = run(call)
    ys = outputs(result)
    if not ys or any(y.dtype != np.float64 for y in ys) or any(np.isnan(x.array).any() for x in found):
        assert not ys or call.function in (np.fmax, np.fmin, np.astype, np.sum, np.zeros_like)
        return
    assert gradcheck(again, found, order=2, fast_mode=True, atol=1e-6)


def test_every_registered_function_is_called():
    # one name for aliases such as np.amax and np.max; the ufuncs are driven by the table of samples
    called = {call.function for call in CALLS}
    quiet = [f for f in REGISTRY if f not in called and not isinstance(f, np.ufunc)]
    assert not [f.__name__ for f in quiet], "registered, and no call of it in numpy_calls.py"


REFUSED = [
    (lambda x: np.linalg.inv(np.matmul(x, x)), "numpy.linalg.inv"),
    (lambda x: np.fft.fft(x), "numpy.fft.fft"),
    (lambda x: np.median(x), "numpy.median"),
    (lambda x: np.interp(x, [0, 1], [0, 1]), "numpy.interp"),
    (lambda x: np.cbrt(x), "numpy.cbrt"),
    (lambda x: np.divmod(x, 2), "numpy.divmod"),
    (lambda x: np.add.accumulate(x), "numpy.add.accumulate"),
    (lambda x: np.add.at(x, 0, 1), "numpy.add.at"),
    (lambda x: np.multiply.outer(x, x), "numpy.multiply.outer"),
    (lambda x: np.tanh(x, where=[[True, False]]), "'where'"),
    (lambda x: np.sum(x, where=[[True, False]]), "'where'"),
    (lambda x: np.max(x, initial=3.0), "'initial'"),
    (lambda x: np.pad(x, 1, mode="reflect"), "mode='reflect'"),
    (lambda x: np.pad(x, 1, constant_values=(1, 2)), "constant_values"),
    (lambda x: np.where(x), "np.nonzero"),
    (lambda x: np.einsum(x, [0, 1], [1, 0]), "subscripts, a string"),
    (lambda x: np.linalg.norm(x, 3), "ord=3"),
    (lambda x: np.sum(x, 0, None, np.zeros(2)), "out must be given by keyword"),
]


@pytest.mark.parametrize(("use", "named"), REFUSED, ids=[named for _, named in REFUSED])
def test_what_has_no_rule_is_refused_by_name(use: Any, named: str):
    x = tg.Tensor(np.ones((2, 2)), requires_grad=True)
    with pytest.raises((MissingRuleError, TypeError)) as caught:
        use(x)
    assert named in str(caught.value)


def test_a_list_that_hides_tensors_is_refused():
    x = tg.Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(RuntimeError, match="requires grad"):
        np.sum([x, x])
    with pytest.raises(RuntimeError, match="requires grad"):
        np.asarray(x)


def test_a_wrong_axis_is_never_wrapped_around():
    x = tg.Tensor(np.ones((2, 3)))
    uses = [
        lambda: np.take(x, [0], axis=3), lambda: np.take_along_axis(x, np.zeros((2, 1), int), axis=2),
        lambda: np.moveaxis(x, 0, 2),
        lambda: np.tensordot(x, x, axes=([2], [0])), lambda: np.sum(x, axis=2), lambda: np.swapaxes(x, 0, 2),
        lambda: np.stack([x, x], axis=3), lambda: np.concatenate([x, x], axis=2), lambda: np.flip(x, 2),
        lambda: np.diff(x, axis=2),
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(IndexError, match="out of range"):
            use()
    with pytest.raises(ValueError, match="twice"):
        np.sum(x, axis=(0, -2))


def test_out_is_honoured_or_refused():
    x = tg.Tensor(np.array([1.0, 2.0]))
    buffer = np.zeros(2)
    assert np.exp(x, out=buffer) is buffer
    np.testing.assert_array_equal(buffer, np.exp(x.numpy()))
    target = tg.zeros(2, dtype=np.float64)
    w = tg.Tensor(np.array([3.0, 4.0]), requires_grad=True)
    np.multiply(w, x, out=target)
    target.sum().backward()
    assert w.grad is not None
    np.testing.assert_array_equal(w.grad.numpy(), [1, 2])
    np.add(buffer, buffer, out=x)
    np.testing.assert_array_equal(x.numpy(), 2 * buffer)
    with pytest.raises(RuntimeError, match="a plain array cannot hold"):
        np.exp(w, out=buffer)
    array = np.ones(2)
    array += tg.Tensor(np.array([1.0, 1.0]))
    np.testing.assert_array_equal(array, [2, 2])


def test_integers_through_float_functions_are_numpys():
    n = np.array([1, 4, 90])
    for dtype in (np.int16, np.int32, np.int64):
        y = np.sqrt(tg.Tensor(n.astype(dtype)))
        assert y.dtype == np.sqrt(n.astype(dtype)).dtype
        np.testing.assert_array_equal(y.numpy(), np.sqrt(n.astype(dtype)))
    # but never half precision, which tensors do not have
    for dtype in (np.int8, np.uint8, np.bool_):
        y = np.sqrt(tg.Tensor(n.astype(dtype)))
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y.numpy(), np.sqrt(n.astype(dtype).astype(np.float32)))
