"""Twins against the handwritten side: losses, gradients on many shapes, a hundred steps; PyTorch as a third."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.twins import PAIRS
from tinygrad_rnn import models, nn, optim
from tinygrad_rnn.compare import assert_gradients_match, compare_gradients
from tinygrad_rnn.errors import ShapeError, StateDictError
from tinygrad_rnn.manual import regression


def relative(a, b):
    return np.abs(a - b).max(initial=0.0) / max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0), 1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_manual_equals_autograd_on_fifty_random_shapes(name):
    twin, by_hand, draw = PAIRS[name]
    rng = np.random.default_rng(11)
    for _ in range(50):
        params, data = draw(rng)
        model = twin.from_manual(params)
        loss = model.loss(*data)
        loss.backward()
        expected, gradients = by_hand(params, *data)
        assert relative(np.asarray(loss.item()), np.asarray(expected)) < 1e-12
        for parameter, gradient in model.manual_gradients().items():
            assert gradient.shape == np.shape(gradients[parameter])
            assert relative(gradient, gradients[parameter]) < 1e-10, (
                parameter,
                params["Wh"].shape if "Wh" in params else "",
            )


@pytest.mark.parametrize("name", PAIRS)
def test_manual_autograd_and_differences_agree_in_the_report(name):
    twin, by_hand, draw = PAIRS[name]
    rng = np.random.default_rng(12)
    for _ in range(3):
        params, data = draw(rng)
        loss_fn = twin.from_manual(params).loss_fn(*data)
        report = assert_gradients_match(loss_fn, params, lambda p, d=data: by_hand(p, *d), rtol=1e-10)
        assert all(row.verdict.kind == "exact" and row.numeric is not None for row in report.rows)


@pytest.mark.parametrize("name", PAIRS)
def test_both_sides_stay_together_over_a_hundred_training_steps(name):
    twin, by_hand, draw = PAIRS[name]
    params, data = draw(np.random.default_rng(13))
    model = twin.from_manual(params)
    sgd = optim.SGD(model.parameters(), lr=0.05)
    for _ in range(100):
        sgd.zero_grad()
        model.loss(*data).backward()
        sgd.step()
        _, gradients = by_hand(params, *data)
        params = {n: p - 0.05 * gradients[n] for n, p in params.items()}
    for parameter, value in model.manual_parameters().items():
        assert relative(value, params[parameter]) < 1e-8


def test_the_handwritten_optimiser_and_sgd_with_momentum_stay_together():
    params, (x, y) = PAIRS["regression"].draw(np.random.default_rng(14))
    by_hand = regression.RNN_model.from_parameters(params)
    by_hand_sgd = regression.SGD_Optimizer(lr=0.01, momentum=0.9)
    model = models.Regression.from_manual(params)
    sgd = optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01, momentum=0.9)
    for _ in regression.training(by_hand, by_hand_sgd, x, y, 100):
        sgd.zero_grad()
        model.loss(x, y).backward()
        sgd.step()
    for name, value in model.manual_parameters().items():
        assert relative(value, getattr(by_hand, name)) < 1e-8


@pytest.mark.parametrize("name", PAIRS)
def test_parameters_are_handed_over_and_back_unchanged(name):
    twin, _, draw = PAIRS[name]
    params, _ = draw(np.random.default_rng(15))
    model = twin.from_manual(params)
    back = model.manual_parameters()
    assert back.keys() == params.keys()
    for parameter, value in back.items():
        np.testing.assert_array_equal(value, params[parameter])
        value += 1.0  # a copy: the module must not see this
    np.testing.assert_array_equal(model.manual_parameters()[parameter], params[parameter])
    assert all(not g.any() for g in model.manual_gradients().values())


def test_the_epsilon_of_the_printed_loss_is_differentiated_too():
    _, by_hand, draw = PAIRS["charmodel"]
    params, (x, y) = draw(np.random.default_rng(19))
    loss_fn = models.CharModel.from_manual(params).loss_fn(x, y, 1e-2)
    assert_gradients_match(loss_fn, params, by_hand(params, x, y, 1e-2)[1], rtol=1e-10)


@pytest.mark.parametrize("name", ["charmodel", "lstm"])
def test_float32_parameters_stay_float32(name):
    twin, _, draw = PAIRS[name]
    params, data = draw(np.random.default_rng(16))
    model = twin.from_manual({n: p.astype(np.float32) for n, p in params.items()})
    loss = model.loss(*data)
    loss.backward()
    assert loss.dtype == np.float32
    assert all(g.dtype == np.float32 for g in model.manual_gradients().values())


def test_wrong_names_and_shapes_are_refused_in_words():
    params, _ = PAIRS["classifier"].draw(np.random.default_rng(17))
    with pytest.raises(StateDictError, match="expected Wx, Wh, Wy, Bh, By, got Wx, Wh, Wy, Bh"):
        models.SequenceClassifier.from_manual({n: p for n, p in params.items() if n != "By"})
    model = models.SequenceClassifier.from_manual(params)
    with pytest.raises(ShapeError, match="SequenceClassifier: Bh"):
        model.load_manual(params | {"Bh": np.zeros(99)})


def test_the_second_bias_is_zero_and_not_trained():
    params, data = PAIRS["sentiment"].draw(np.random.default_rng(18))
    model = models.Sentiment.from_manual(params)
    model.loss(*data).backward()
    assert model.rnn.bias_hh_l0.grad is None
    assert not model.rnn.bias_hh_l0.data.array.any()
    assert "rnn.bias_hh_l0" in model.state_dict()


@pytest.mark.peers
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("seed", range(5))
def test_pytorch_agrees(name, seed):
    torch = pytest.importorskip("torch")
    twin, by_hand, draw = PAIRS[name]
    params, (x, targets) = draw(np.random.default_rng(seed))
    layer = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[name]
    rnn = layer(x.shape[2], params["weight_hh"].shape[1]).double()

    def theirs(p):
        own = {f"{n}_l0": p[n] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        out, _ = torch.func.functional_call(rnn, own, (torch.tensor(x),))
        y = out @ p["head.weight"].T + p["head.bias"]
        if targets.dtype.kind == "i":
            return torch.nn.functional.cross_entropy(y.flatten(0, 1), torch.tensor(targets).flatten())
        return torch.nn.functional.mse_loss(y, torch.tensor(targets))

    loss_fn = twin.from_manual(params).loss_fn(x, targets)
    report = compare_gradients(loss_fn, params, by_hand(params, x, targets)[1], torch=theirs, rtol=1e-10)
    assert report.ok, str(report)
    assert all(row.peer is not None and row.peer < 1e-10 for row in report.rows)


def test_twins_are_ordinary_modules():
    model = models.LSTMModel(3, 4, 2)
    assert isinstance(model, nn.Module)
    assert sorted(dict(model.named_parameters())) == [
        "head.bias", "head.weight", "rnn.bias_hh_l0", "rnn.bias_ih_l0", "rnn.weight_hh_l0", "rnn.weight_ih_l0",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["regression", "classifier", "rnn", "lstm", "gru"])
def test_data_may_be_tensors_and_arguments_of_a_compiled_loss(name):
    twin, _, draw = PAIRS[name]
    params, data = draw(np.random.default_rng(17))
    found = []
    for convert, compiled in ((np.asarray, False), (tg.tensor, False), (tg.tensor, True)):
        model = twin.from_manual(params)
        loss = (tg.compile(model.loss) if compiled else model.loss)(*map(convert, data))
        loss.backward()
        found.append([np.asarray(loss.item()), *model.manual_gradients().values()])
    for other in found[1:]:
        assert all(relative(a, b) < 1e-12 for a, b in zip(found[0], other, strict=True))
