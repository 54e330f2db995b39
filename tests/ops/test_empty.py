"""Reductions over nothing: what has a neutral element gives it, a mean is NaN, and what has no answer is refused."""

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import ShapeError

F = tg.nn.functional
NAN, INF = float("nan"), float("inf")

# name -> (of a tensor x and a dim, the neutral value; None where it is refused, in both libraries)
REDUCTIONS: dict[str, tuple[Any, float | None]] = {
    "sum": (lambda x, d: x.sum(d), 0.0),
    "nansum": (lambda x, d: x.nansum(d), 0.0),
    "prod": (lambda x, d: x.prod(d), 1.0),
    "mean": (lambda x, d: x.mean(d), NAN),
    "logsumexp": (lambda x, d: x.logsumexp(d), -INF),
    "norm": (lambda x, d: x.norm(dim=d), 0.0),
    "any": (lambda x, d: x.any(d), 0.0),
    "all": (lambda x, d: x.all(d), 1.0),
    "count_nonzero": (lambda x, d: x.count_nonzero(d), 0.0),
    "amax": (lambda x, d: x.amax(d), None),
    "amin": (lambda x, d: x.amin(d), None),
    "max": (lambda x, d: x.max(d).values, None),
    "min": (lambda x, d: x.min(d).values, None),
    "argmax": (lambda x, d: x.argmax(d), None),
    "argmin": (lambda x, d: x.argmin(d), None),
}
REDUCTIONS = {name: row for name, row in REDUCTIONS.items() if name == "max" or hasattr(tg.Tensor, name)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_along_an_empty_axis(name: str, dtype: str):
    reduce, neutral = REDUCTIONS[name]
    x = tg.Tensor(np.zeros((2, 0, 3), dtype))
    if neutral is None:
        with pytest.raises((ShapeError, IndexError), match=r"zero-size|empty|non-zero"):
            reduce(x, 1)
    else:
        np.testing.assert_array_equal(reduce(x, 1).numpy(), np.full((2, 3), neutral))
    # beside an empty axis there is nothing to reduce and nothing to refuse
    assert reduce(x, 0).shape == (0, 3)


@pytest.mark.peers
@pytest.mark.parametrize("name", REDUCTIONS)
def test_pytorch_gives_and_refuses_the_same(name: str):
    torch = pytest.importorskip("torch")
    reduce, neutral = REDUCTIONS[name]
    x = torch.zeros(2, 0, 3)
    if neutral is None:
        with pytest.raises((RuntimeError, IndexError)):
            reduce(x, 1)
    else:
        np.testing.assert_array_equal(reduce(x, 1).numpy(), np.full((2, 3), neutral))


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "logsumexp", "norm"])
def test_gradients_of_nothing_are_nothing(name: str):
    x = tg.Tensor(np.zeros((2, 0)), requires_grad=True)
    y = REDUCTIONS[name][0](x, 1)
    y.backward(np.ones(2))
    assert x.grad is not None
    assert (x.grad.shape, x.grad.dtype) == ((2, 0), np.float64)


@pytest.mark.parametrize("name", ["max", "min", "amax", "amin", "argmax", "argmin"])
def test_without_an_axis(name: str):
    with pytest.raises(ShapeError, match=r"zero-size|empty"):
        getattr(tg.zeros(0), name)()
    with pytest.raises(ShapeError, match=r"zero-size|empty"):
        getattr(tg.zeros(0, dtype="int64"), name)()


@pytest.mark.parametrize("function", [np.max, np.min, np.argmax, np.argmin])
def test_numpy_functions_refuse_as_numpy(function: Any):
    with pytest.raises(ValueError, match=r"zero-size|empty"):
        function(np.zeros(0))
    with pytest.raises(ValueError, match=r"zero-size|empty"):
        function(tg.zeros(0))


@pytest.mark.filterwarnings("ignore:Degrees of freedom")
@pytest.mark.parametrize("count", [0, 1])
def test_a_variance_of_too_few_is_no_number_and_numpy_says_so(count: int):
    x = tg.zeros(count)
    with np.errstate(all="ignore"):
        assert np.isnan(x.var().item())
        assert np.isnan(x.std().item())
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"), np.errstate(all="ignore"):
        x.var()


def test_losses_over_no_examples_are_no_number():
    empty, none = tg.zeros(0, 3), tg.zeros(0, dtype="int64")
    ignored = tg.full((2,), -100, dtype="int64")
    with np.errstate(all="ignore"):
        assert np.isnan(F.cross_entropy(empty, none).item())
        assert np.isnan(F.cross_entropy(tg.zeros(2, 3), ignored).item())
        assert np.isnan(F.mse_loss(empty, empty).item())
        assert F.cross_entropy(empty, none, reduction="sum").item() == 0
        assert F.mse_loss(empty, empty, reduction="sum").item() == 0


def test_shapes_with_nothing_in_them():
    assert F.softmax(tg.zeros(2, 0), -1).shape == (2, 0)
    assert F.log_softmax(tg.zeros(2, 0), -1).shape == (2, 0)
    assert (tg.zeros(2, 0) @ tg.zeros(0, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert tg.zeros(0, 3).cumsum(0).shape == (0, 3)
    for join in (tg.cat, tg.stack):
        with pytest.raises(ShapeError, match="expected a non-empty list of Tensors"):
            join([])
    assert tg.nn.utils.clip_grad_norm_([], 1.0).item() == 0


@pytest.mark.parametrize("layer", [tg.nn.RNN, tg.nn.LSTM, tg.nn.GRU])
def test_recurrent_layers_on_no_steps_or_no_sequences(layer: Any):
    model = layer(3, 4)
    y, _ = model(tg.zeros(5, 0, 3))
    assert y.shape == (5, 0, 4)
    y.sum().backward()
    with pytest.raises((ShapeError, RuntimeError), match=r"[Ee]xpected|empty|length"):
        model(tg.zeros(0, 2, 3))
