"""Every layer and loss of nn, with every option, compiled: results, gradients of two orders, draws and buffers."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compiler.layer_cases import CASES, uncovered
from tests.compiler.same import Subject, assert_same, tensor
from tinygrad_rnn import nn
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def test_the_table_has_every_layer_and_every_option():
    assert not uncovered()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layers_equal_eager(case):
    assert_same(case.subject)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_of_gradients_equal_eager(case):
    assert_same(case.subject, order=2)


F = nn.functional
FUNCTIONS = {
    "celu": lambda x: F.celu(x, alpha=0.7), "relu6": lambda x: F.relu6(x * 4), "normalize": F.normalize,
    "normalize p": lambda x: F.normalize(x, p=3.0, dim=0), "cosine": lambda x: F.cosine_similarity(x, x.flip(0), dim=2),
    "distance": lambda x: F.pairwise_distance(x[0], x[1], p=3.0, keepdim=True), "gelu": F.gelu,
    "distance at 0": lambda x: F.pairwise_distance(x, x), "norm at 0": lambda x: (x * 0).norm(dim=-1),
    "one-hot": lambda x: F.one_hot(x.argmax(-1), 5) * x, "glu": lambda x: F.glu(x[..., :4]), "silu": F.silu,
    "weighted mse": lambda x: F.mse_loss(x, x * 0.5, weight=x.detach() ** 2), "softplus": F.softplus,
    "weighted huber": lambda x: F.huber_loss(x, x * 0.5, weight=x.detach() ** 2), "selu": F.selu, "mish": F.mish,
    "weighted l1": lambda x: F.l1_loss(x, x.detach() * 0.5, weight=x.detach() ** 2), "logsigmoid": F.logsigmoid,
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_that_no_layer_calls_so_equal_eager(name):
    for order in (1, 2):
        assert_same(lambda: Subject(FUNCTIONS[name], (tensor(4, 3, 5),)), order=order)


INT, PACKABLE = tg.tensor([5, 3, 2]), nn.GRU(3, 4).double()


@pytest.mark.parametrize(
    ("function", "args", "text"),
    [
        (nn.Embedding(5, 2, max_norm=1.0), (INT % 5,), "embedding: max_norm shrinks rows of the table in place"),
        (PACKABLE, (pack_padded_sequence(tensor(5, 3, 3), [5, 3, 2]),), "lengths in a PackedSequence"),
        (pad_packed_sequence, (pack_padded_sequence(tensor(5, 3, 3), [5, 3, 2]),), "the lengths of sequences"),
        (pack_padded_sequence, (tensor(5, 3, 3), INT), "the lengths of sequences"),
        (pack_padded_sequence, (tensor(5, 3, 3), np.array([5, 3, 2])), "the lengths of sequences"),
        (lambda x, n: PACKABLE(x, lengths=n), (tensor(5, 3, 3), INT), "the lengths of sequences"),
        (nn.functional.one_hot, (INT,), r"one_hot\(\) without num_classes"),
        (lambda x, n: x.repeat_interleave(n), (tensor(3), INT), r"repeat_interleave\(\)"),
        (lambda x: x.nonzero(), (tensor(3),), r"nonzero\(\)"),
        (lambda x: tg.where(x > 0), (tensor(3),), r"where\(condition\)"),
        (lambda x: x.equal(1.0), (tensor(3),), r"equal\(\)"),
        (lambda x: x.allclose(1.0), (tensor(3),), r"allclose\(\)"),
        (np.nonzero, (tensor(3),), r"nonzero\(\)"),
        (np.argsort, (tensor(3),), r"argsort\(\)"),
        (np.sort, (tensor(3),), r"sort\(\)"),
        (lambda x: np.allclose(x, 1.0), (tensor(3),), r"allclose\(\)"),
        (lambda x: np.isclose(x, 1.0), (tensor(3),), r"isclose\(\)"),
        (lambda x: np.array_equal(x, np.ones(3)), (tensor(3),), r"array_equal\(\)"),
    ],
)  # fmt: skip
def test_what_depends_on_values_is_refused_by_name_and_not_baked_in(function, args, text):
    with pytest.raises(GraphError, match=f"{text}.*(compile is recording|cannot repeat)"):
        tg.compile(function)(*args)


def test_lengths_that_are_known_are_no_values_of_tensors():
    layer = nn.GRU(3, 4).double()

    def function(x, lengths):
        packed, last = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
        again, _ = layer(packed._replace(data=packed.data[:, :3]))
        return pad_packed_sequence(again)[0], last, nn.functional.one_hot(tg.tensor([2, 0]))

    compiled, x = tg.compile(function), tensor(5, 3, 3)
    for lengths in ([2, 5, 3], [4, 5, 1], [2, 5, 3]):
        compiled.check(x, lengths, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("function", "right", "wrong", "error"),
    [
        (nn.BCELoss(), tensor(3, low=0.1), tensor(3, low=1.5, high=2.0), RuntimeError),
        (nn.CrossEntropyLoss(), tg.tensor([0, 2, 1]), tg.tensor([0, 3, 1]), IndexError),
        (nn.CrossEntropyLoss(), tg.tensor([0, 2, 1]), tg.tensor([0, -1, 1]), IndexError),
        (nn.NLLLoss(), tg.tensor([0, 2, 1]), tg.tensor([0, 3, 1]), IndexError),
        (nn.Embedding(3, 2), tg.tensor([0, 2, 1]), tg.tensor([0, -1, 1]), IndexError),
    ],
)  # fmt: skip
def test_wrong_data_is_refused_in_later_calls_as_in_the_first(function, right, wrong, error):
    def called(given):
        if isinstance(function, nn.Embedding):
            return function(given)
        return function(given, tensor(3, low=0.1)) if given.dtype.kind == "f" else function(tensor(3, 3), given)

    compiled = tg.compile(called)
    compiled(right)
    for call in (called, compiled):
        with pytest.raises(error):
            call(wrong)
