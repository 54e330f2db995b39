"""What is no Tensor, or of another dtype, is refused by name where PyTorch refuses it, too."""

import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.errors import DTypeError

F = nn.functional
x, states = tg.ones(2, 3), tg.ones(4, 2, 3)
CASES = {
    "a list": (lambda: nn.Linear(3, 2)([1.0, 2.0, 3.0]), "linear, input: expected a Tensor, got list"),
    "labels in a list": (lambda: F.cross_entropy(x, [0, 1]), "cross_entropy, target: expected a Tensor, got list"),
    "a number": (lambda: F.mse_loss(x, 3.0), "mse_loss, target: expected a Tensor, got float"),
    "a pair": (
        lambda: nn.Sequential(nn.LSTM(3, 3), nn.Linear(3, 2))(states),
        "returns .output, state.: hand on the fir",
    ),
    "double": (lambda: nn.Linear(3, 2)(x.double()), "mat1 and mat2 must have the same dtype.*Convert it: input.float"),
    "single": (lambda: nn.Linear(3, 2).double()(x), "Convert it: input.double"),
    "whole numbers": (lambda: nn.Linear(3, 2)(x.long()), "expected an input of float32 as the weight is, got int64"),
    "whole scores": (lambda: F.cross_entropy(x.long(), tg.tensor([0, 1])), "expected float scores, got int64"),
    "whole inputs": (
        lambda: nn.LSTM(3, 2)(states.long()),
        "expected input of float32, got int64. Convert it: input.float",
    ),
    "half of a state": (lambda: nn.LSTMCell(3, 3)(x, x), r"expected the state as a pair \(h0, c0\), got Tensor"),
    "a state in a tuple": (lambda: nn.GRUCell(3, 3)(x, (x,)), "GRUCell, hx: expected a Tensor, got tuple"),
    "half precision": (lambda: x.half(), "expected float32, float64.*got dtype float16"),
    "a second size": (lambda: tg.Tensor(2, 3), "requires_grad: expected True or False, got 3. .* zeros"),
}


@pytest.mark.parametrize("name", CASES)
def test_is_refused_by_name(name):
    function, text = CASES[name]
    with pytest.raises(TypeError, match=text):
        function()


def test_there_is_no_gpu():
    for move in (x.cuda, nn.Linear(3, 2).cuda, nn.LSTM(3, 2).cuda):
        with pytest.raises(RuntimeError, match=r"expected (the )?device 'cpu'.*got 'cuda'"):
            move()


def test_numbers_are_formatted_and_several_are_not():
    loss = tg.tensor(1.23456, requires_grad=True)
    assert f"{loss:.3f} {tg.tensor(3):>4} {tg.tensor(0.5)}" == "1.235    3 0.5"
    assert f"{tg.tensor([1.0, 2.0])}" == "tensor([1., 2.])"
    with pytest.raises(DTypeError, match=r"unsupported format string '.2f' for a Tensor of shape \[2\]"):
        f"{tg.tensor([1.0, 2.0]):.2f}"


def test_numbers_in_where_become_the_default_dtype():
    assert tg.where(tg.tensor([True, False]), 1.0, 0.0).dtype == tg.float32
    assert tg.where(tg.tensor([True, False]), 1, 0).dtype == tg.int64
