"""Layers and functions without recurrence against PyTorch's, in float64: values, gradients and printed form."""

import numpy as np
import pytest

import tinygrad_rnn.nn as nn
import tinygrad_rnn.nn.functional as F
from tinygrad_rnn.tensor import Tensor

torch = pytest.importorskip("torch")
from tests.nn.parity import assert_close, compare, twins  # noqa: E402  (needs torch)

pytestmark = pytest.mark.peers

LAYERS = [
    ("Linear", {"in_features": 3, "out_features": 4}, (2, 5, 3)),
    ("Linear", {"in_features": 3, "out_features": 4, "bias": False}, (3,)),
    ("LayerNorm", {"normalized_shape": (4, 3)}, (2, 4, 3)),
    ("LayerNorm", {"normalized_shape": 3, "eps": 0.1, "bias": False}, (2, 4, 3)),
    ("BatchNorm1d", {"num_features": 3}, (5, 3)),
    ("BatchNorm1d", {"num_features": 3, "momentum": None, "eps": 0.1}, (5, 3, 4)),
    ("BatchNorm1d", {"num_features": 3, "bias": False}, (5, 3)),
    ("BatchNorm1d", {"num_features": 3, "track_running_stats": False, "momentum": 0.3}, (2, 3, 4)),
]


@pytest.mark.parametrize(("name", "options", "shape"), LAYERS, ids=[f"{n}-{len(s)}d" for n, _, s in LAYERS])
def test_layers_with_weights(name, options, shape):
    ours, theirs = twins(name, **options)
    for training in (True, True, False):  # twice, for running statistics
        ours.train(training)
        theirs.train(training)
        ours.zero_grad()
        theirs.zero_grad()
        x = np.random.default_rng(training).normal(size=shape)
        compare(ours, theirs, {"x": x}, lambda m, v: m(v["x"]), lambda m, v: m(v["x"]))
    for mine, yours in zip(ours.buffers(), theirs.buffers(), strict=True):
        assert_close(mine.array, yours.numpy(), "buffer")


def test_bilinear():
    ours, theirs = twins("Bilinear", in1_features=2, in2_features=3, out_features=4)
    rng = np.random.default_rng(3)
    inputs = {"a": rng.normal(size=(5, 2)), "b": rng.normal(size=(5, 3))}
    compare(ours, theirs, inputs, lambda m, v: m(v["a"], v["b"]), lambda m, v: m(v["a"], v["b"]))


@pytest.mark.parametrize(
    "options", [{}, {"padding_idx": 2}, {"padding_idx": -1}, {"max_norm": 0.5}, {"max_norm": 1, "norm_type": 1}]
)
def test_embedding(options):
    ours, theirs = twins("Embedding", num_embeddings=6, embedding_dim=3, **options)
    rows = np.array([[1, 2, 5], [2, 2, 0]])
    compare(ours, theirs, {}, lambda m, _: m(Tensor(rows)), lambda m, _: m(torch.tensor(rows)))
    assert_close(ours.weight.array, theirs.weight.detach().numpy(), "table")  # max_norm changes it


FUNCTIONS = {
    "relu": {},
    "relu6": {},
    "leaky_relu": {"negative_slope": 0.3},
    "elu": {"alpha": 0.7},
    "selu": {},
    "celu": {"alpha": 1.3},
    "silu": {},
    "mish": {},
    "softsign": {},
    "logsigmoid": {},
    "tanh": {},
    "sigmoid": {},
    "hardtanh": {"min_val": -0.5, "max_val": 1.0},
    "softplus": {"beta": 2.0, "threshold": 3.0},
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_entry_by_entry(name):
    # kinks and bounds, both signs, and where exponentials overflow
    x = np.concatenate([np.linspace(-3, 3, 25), [-1000, -0.5, 0.0, 1.0, 6.0, 1000]])
    rtol = 1e-7 if name == "celu" else 1e-12  # PyTorch's backward of celu keeps alpha in float32
    check_function(getattr(F, name), getattr(torch.nn.functional, name), x, FUNCTIONS[name], rtol)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gelu", {}),
        ("gelu", {"approximate": "tanh"}),
        ("softmax", {"dim": 1}),
        ("softmin", {"dim": -1}),
        ("log_softmax", {"dim": 0}),
        ("glu", {"dim": 1}),
        ("normalize", {"p": 3.0, "dim": 1}),
        ("normalize", {"p": 1.0, "dim": 0}),
        ("normalize", {}),
    ],
)
def test_functions_of_rows(name, options):
    x = np.random.default_rng(4).normal(size=(3, 4))
    check_function(getattr(F, name), getattr(torch.nn.functional, name), x, options)


def check_function(ours, theirs, x, options, rtol=1e-12):
    mine, yours = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, expected = ours(mine, **options), theirs(yours, **options)
    assert_close(y.array, expected.detach().numpy(), "value", rtol=1e-12)
    weights = np.random.default_rng(5).normal(size=y.shape)
    (y * Tensor(weights)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    assert_close(mine.grad.array, yours.grad.numpy(), "gradient", rtol=rtol)


@pytest.mark.parametrize("name", ["cosine_similarity", "pairwise_distance"])
def test_functions_of_two(name):
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    mine, yours = [Tensor(v, requires_grad=True) for v in (a, b)], [torch.tensor(v, requires_grad=True) for v in (a, b)]
    y, expected = getattr(F, name)(*mine), getattr(torch.nn.functional, name)(*yours)
    assert_close(y.array, expected.detach().numpy(), "value")
    y.sum().backward()
    expected.sum().backward()
    for p, q in zip(mine, yours, strict=True):
        assert_close(p.grad.array, q.grad.numpy(), "gradient")


def test_one_hot():
    labels = np.array([[0, 2], [1, 1]])
    np.testing.assert_array_equal(F.one_hot(Tensor(labels)).array, torch.nn.functional.one_hot(torch.tensor(labels)))
    np.testing.assert_array_equal(
        F.one_hot(Tensor(labels), 5).array, torch.nn.functional.one_hot(torch.tensor(labels), 5)
    )


def _printed(nn):
    """One of everything, nested."""
    from collections import OrderedDict

    return [
        nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh(), nn.ReLU(inplace=True)), nn.Linear(3, 1, bias=False)),
        nn.Sequential(OrderedDict(first=nn.Embedding(5, 2, padding_idx=1, max_norm=2.0), second=nn.Flatten())),
        nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.GELU(), nn.LSTM(2, 3, 2, dropout=0.5)]),
        nn.ModuleList(),
        nn.ModuleDict({"a": nn.GRU(2, 3, bidirectional=True, batch_first=True), "b": nn.Dropout(0.2)}),
        nn.Sequential(
            nn.RNN(2, 3, nonlinearity="relu", bias=False),
            nn.LSTM(2, 3, proj_size=2),
            nn.RNNCell(2, 3, bias=False),
            nn.RNNCell(2, 3, nonlinearity="relu"),
            nn.LSTMCell(2, 3),
            nn.GRUCell(2, 3),
        ),
        nn.Sequential(
            nn.LayerNorm(3),
            nn.LayerNorm((2, 3), elementwise_affine=False),
            nn.BatchNorm1d(3, momentum=None),
            nn.Softmax(dim=1),
            nn.LogSoftmax(),
            nn.Sigmoid(),
            nn.Softplus(beta=2),
            nn.LeakyReLU(0.2),
            nn.ELU(),
            nn.Hardtanh(),
            nn.Identity(),
            nn.Dropout1d(),
            nn.Dropout2d(0.1),
            nn.Unflatten(1, (2, 3)),
            nn.Bilinear(2, 3, 4),
            nn.GLU(),
            nn.SiLU(),
            nn.Mish(),
            nn.SELU(),
            nn.Softmin(1),
            nn.LogSigmoid(),
            nn.Softsign(),
            nn.GELU("tanh"),
        ),
        nn.Sequential(
            nn.CrossEntropyLoss(),
            nn.NLLLoss(),
            nn.MSELoss(),
            nn.L1Loss(),
            nn.SmoothL1Loss(),
            nn.HuberLoss(),
            nn.BCELoss(),
            nn.BCEWithLogitsLoss(),
            nn.KLDivLoss(),
        ),
    ]


def test_modules_print_as_in_pytorch():
    for ours, theirs in zip(_printed(nn), _printed(torch.nn), strict=True):
        assert repr(ours) == repr(theirs)
