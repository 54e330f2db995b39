"""Initial weights: moments and bounds of every way to draw them, in plain numbers; defaults of layers as PyTorch's."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
import tinygrad_rnn.nn as nn
from tinygrad_rnn.errors import ShapeError
from tinygrad_rnn.nn import init


def _drawn(fill, *args, shape=(300, 200), **options):
    tensor = tg.zeros(*shape)
    assert fill(tensor, *args, **options, generator=np.random.default_rng(1)) is tensor
    return tensor.array.astype(np.float64)


UNIFORM = [
    (init.uniform_, (-0.3, 0.3), 0.3),
    (init.xavier_uniform_, (2.0,), 2 * math.sqrt(6 / 500)),
    (init.kaiming_uniform_, (math.sqrt(5),), 1 / math.sqrt(200)),
    (init.kaiming_uniform_, (0, "fan_out", "tanh"), 5 / 3 * math.sqrt(3 / 300)),
]


@pytest.mark.parametrize(("fill", "args", "bound"), UNIFORM)
def test_even_draws(fill, args, bound):
    values = _drawn(fill, *args)
    assert bound * 0.999 < np.abs(values).max() <= bound * (1 + 1e-6)
    assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert abs(values.mean()) < 0.01 * bound


NORMAL = [
    (init.normal_, (0.5, 2.0), 0.5, 2.0),
    (init.xavier_normal_, (2.0,), 0.0, 2 * math.sqrt(2 / 500)),
    (init.kaiming_normal_, (0, "fan_in", "relu"), 0.0, math.sqrt(2 / 200)),
]


@pytest.mark.parametrize(("fill", "args", "mean", "std"), NORMAL)
def test_normal_draws(fill, args, mean, std):
    values = _drawn(fill, *args)
    assert values.mean() == pytest.approx(mean, abs=0.02 * std)
    assert values.std() == pytest.approx(std, rel=0.01)


def test_truncated_draws_stay_inside():
    values = _drawn(init.trunc_normal_, 0.0, 1.0, -0.5, 1.0)
    assert values.min() >= -0.5
    assert values.max() <= 1.0
    assert values.min() < -0.49
    with pytest.raises(ShapeError, match="interval near mean"):
        init.trunc_normal_(tg.zeros(2), 0.0, 0.1, 5.0, 6.0)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 2, 3)])
def test_orthogonal_rows_or_columns(shape):
    values = _drawn(init.orthogonal_, 2.0, shape=shape).reshape(shape[0], -1)
    product = values @ values.T if shape[0] <= values.shape[1] else values.T @ values
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


def test_plain_fillings():
    assert init.constant_(tg.zeros(2), 3).array.tolist() == [3, 3]
    assert init.ones_(tg.zeros(2)).array.tolist() == [1, 1]
    assert init.zeros_(tg.ones(2)).array.tolist() == [0, 0]
    assert init.eye_(tg.zeros(2, 3)).array.tolist() == [[1, 0, 0], [0, 1, 0]]
    sparse = _drawn(init.sparse_, 0.25, shape=(10, 40))
    assert (sparse == 0).sum(0).tolist() == [3] * 40


@pytest.mark.parametrize("fill", [init.eye_, lambda t: init.sparse_(t, 0.5), init.xavier_uniform_, init.orthogonal_])
def test_vectors_are_refused_where_a_matrix_is_needed(fill):
    with pytest.raises(ShapeError, match="dimensions"):
        fill(tg.zeros(3))


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="Unsupported nonlinearity 'tahn'"):
        init.calculate_gain("tahn")
    with pytest.raises(ValueError, match="Mode 'fan' not supported"):
        init.kaiming_uniform_(tg.zeros(2, 2), mode="fan")


def test_one_seed_gives_the_same_weights_in_both_precisions():
    single, double = (
        nn.LSTM(3, 4, generator=np.random.default_rng(2), dtype=dtype) for dtype in (np.float32, np.float64)
    )
    for p, q in zip(single.parameters(), double.parameters(), strict=True):
        np.testing.assert_array_equal(p.array, q.array.astype(np.float32))


BOUNDED = [
    (lambda m, g: m.Linear(400, 300, **g), {"weight": 1 / 20, "bias": 1 / 20}),
    (lambda m, g: m.Bilinear(100, 30, 40, **g), {"weight": 1 / 10}),
    (
        lambda m, g: m.LSTM(50, 100, **g),
        dict.fromkeys(["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"], 1 / 10),
    ),
    (
        lambda m, g: m.GRU(50, 100, bidirectional=True, **g),
        {"weight_ih_l0_reverse": 1 / 10, "bias_hh_l0_reverse": 1 / 10},
    ),
    (lambda m, g: m.RNNCell(300, 64, **g), {"weight_ih": 1 / 8, "bias_hh": 1 / 8}),
]


@pytest.mark.parametrize(("build", "bounds"), BOUNDED)
def test_defaults_are_even_up_to_the_bound_of_pytorch(build, bounds):
    layer = build(nn, {"generator": np.random.default_rng(4)})
    for name, bound in bounds.items():
        values = getattr(layer, name).array
        assert 0.9 * bound < np.abs(values).max() <= bound * (1 + 1e-6)


@pytest.mark.peers
@pytest.mark.parametrize(("build", "bounds"), BOUNDED)
def test_pytorch_has_the_same_bounds(build, bounds):
    torch = pytest.importorskip("torch")
    layer = build(torch.nn, {})
    for name, bound in bounds.items():
        assert 0.9 * bound < float(getattr(layer, name).detach().abs().max()) <= bound * (1 + 1e-6)


def test_embeddings_are_normal_with_a_row_of_zeros():
    table = nn.Embedding(500, 40, padding_idx=-1, generator=np.random.default_rng(5)).weight.array
    assert not table[-1].any()
    assert table[:-1].std() == pytest.approx(1, rel=0.02)
