"""detect_anomaly: the first NaN or Inf names its op, its scope and the line of the user's code."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import AnomalyError


def line_of(text: str) -> int:
    """Number of the only line of this file that ends with a marker."""
    with open(__file__) as lines:
        (number,) = [n for n, line in enumerate(lines, 1) if line.rstrip().endswith(f"# {text}")]
    return number


def test_forward_names_the_op_where_it_is_born():
    x = tg.Tensor(np.array([1.0, -1.0]), requires_grad=True)
    silent = np.errstate(invalid="ignore")
    with silent, tg.detect_anomaly(), tg.scope("rnn"), tg.scope("cell", t=3), pytest.raises(AnomalyError) as caught:
        np.log(x) * 0 + 1  # born here
    text = str(caught.value)
    assert text.startswith(
        f"log in rnn.cell at t=3 at test_anomaly.py:{line_of('born here')}: the first NaN or Inf is born"
    )
    assert "1 NaN and 0 Inf of 2" in text
    assert "float64[2] from -1 to 1" in text


def test_backward_names_the_op_its_line_and_the_sweep():
    x = tg.Tensor(np.array([0.0, 4.0]), requires_grad=True)
    with np.errstate(divide="ignore"), tg.detect_anomaly():
        with tg.scope("cell", t=9):
            y = np.sqrt(x)  # recorded here
        with pytest.raises(AnomalyError) as caught:
            y.sum().backward()  # swept here
    text = str(caught.value)
    assert f"backward through sqrt in cell at t=9 (test_anomaly.py:{line_of('recorded here')})" in text
    assert "gradient of argument 0" in text
    assert "0 NaN and 1 Inf of 2" in text
    assert f"test_anomaly.py:{line_of('swept here')}" in text


def test_what_comes_in_broken_is_not_blamed():
    x = tg.Tensor(np.array([np.inf, 1.0]), requires_grad=True)
    with tg.detect_anomaly():
        y = x * 2
        y.backward(np.array([np.inf, 1.0]))
    assert np.isinf(y.numpy() if not y.requires_grad else y.detach().numpy()).any()


def test_nothing_is_checked_outside():
    x = tg.Tensor(np.array([0.0]), requires_grad=True)
    with np.errstate(divide="ignore"):
        np.sqrt(x).sum().backward()
    assert x.grad is not None
    assert np.isinf(x.grad.numpy()).all()


def test_in_a_recorded_sweep():
    x = tg.Tensor(np.array([0.0, 4.0]), requires_grad=True)
    with np.errstate(divide="ignore"), tg.detect_anomaly(), pytest.raises(AnomalyError, match=r"sqrt|divide"):
        tg.autograd.grad(np.sqrt(x).sum(), [x], create_graph=True)


def test_values_that_are_meant_to_be_infinite_can_be_let_through():
    scores = tg.Tensor(np.array([[1.0, 2.0, 3.0]]), requires_grad=True)
    mask = np.array([[True, True, False]])
    with tg.detect_anomaly():
        # -inf comes in as an argument; softmax and its gradient are finite
        masked = np.where(mask, scores, tg.Tensor(np.array(-np.inf)))
        (masked.softmax(-1) ** 2).sum().backward()
    assert scores.grad is not None
    assert scores.grad.numpy()[0, 2] == 0
