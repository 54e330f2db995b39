"""Every handwritten gradient against PyTorch's, in float64 to 1e-10, at 50 random shapes each."""

import numpy as np
import pytest

from tests.manual.oracles import random_shapes, relative
from tinygrad_rnn.manual import charmodel, classifier, gated, nextword, regression, rnn, sentiment, vectorized

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

F = torch.nn.functional
TOLERANCE = 1e-10


def leaves(parameters):
    """Name -> float64 leaf tensor that asks for a gradient."""
    return {name: torch.tensor(value, requires_grad=True) for name, value in parameters.items()}


def compare(result, loss, leaf):
    """Backpropagate PyTorch's loss, and hold the handwritten (loss, gradients) against it."""
    loss.backward()
    assert result[0] == pytest.approx(loss.item(), rel=TOLERANCE, abs=1e-13)
    assert set(result[1]) == set(leaf)
    for name, tensor in leaf.items():
        got, expected = np.asarray(result[1][name]), tensor.grad.numpy()
        assert got.shape == expected.shape, name
        assert relative(got, expected) < TOLERANCE or np.abs(got - expected).max() < 1e-14, name


def draw(rng, **shapes):
    return {name: 0.7 * rng.standard_normal(shape) for name, shape in shapes.items()}


def run_torch(cell, x, *parameters):
    """Outputs of `torch.nn.RNN`, `LSTM` or `GRU` with the given weight_ih, weight_hh, bias_ih, bias_hh."""
    module = cell(parameters[0].shape[1], parameters[1].shape[1]).double()
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x,))[0]


def test_s0_11_regression():
    for rng, (T, H, D) in random_shapes("THD", seed=101):
        p = draw(rng, Wh=(H, H), Wi=(H, D), Wo=(1, H), bias=(H, 1))
        x, y = rng.standard_normal((T, D)), rng.standard_normal((T, 1))
        w = leaves(p)
        h = run_torch(torch.nn.RNN, torch.tensor(x), w["Wi"], w["Wh"], w["bias"][:, 0], torch.zeros(H).double())
        loss = 0.5 * ((h @ w["Wo"].T - torch.tensor(y)) ** 2).sum()
        compare(regression.loss_and_gradients(p, x, y), loss, w)


def test_s1_4_classifier():
    for rng, (B, T, D, H, C) in random_shapes("BTDHC", seed=102):
        p = draw(rng, Wx=(D, H), Wh=(H, H), Wy=(H, C), Bh=(H,), By=(C,))
        x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, C))
        w = leaves(p)
        steps = torch.tensor(x).transpose(0, 1)
        h = run_torch(torch.nn.RNN, steps, w["Wx"].T, w["Wh"].T, w["Bh"], torch.zeros(H).double())
        loss = F.mse_loss(h[-1] @ w["Wy"] + w["By"], torch.tensor(y))
        compare(classifier.loss_and_gradients(p, x, y), loss, w)


def test_s2_6_character_model():
    for rng, (A, X, Y, m, T) in random_shapes("AXYmT", seed=103):
        p = draw(rng, Waa=(A, A), Wax=(A, X), Wya=(Y, A), ba=(A, 1), by=(Y, 1))
        x, classes = rng.standard_normal((X, m, T)), rng.integers(Y, size=(T, m))
        w = leaves(p)
        steps = torch.tensor(x).permute(2, 1, 0)
        a = run_torch(torch.nn.RNN, steps, w["Wax"], w["Waa"], w["ba"][:, 0], torch.zeros(A).double())
        z = a @ w["Wya"].T + w["by"][:, 0]
        loss = F.cross_entropy(z.flatten(0, 1), torch.tensor(classes).flatten(), reduction="sum") / m
        compare(charmodel.loss_and_gradients(p, x, np.eye(Y)[classes].transpose(2, 1, 0)), loss, w)


def test_s3_5_sentiment():
    for rng, (T, V, H, C) in random_shapes("TVHC", seed=104):
        p = draw(rng, Wxh=(H, V), Whh=(H, H), Why=(C, H), bh=(H, 1), by=(C, 1))
        x, label = rng.standard_normal((T, V)), int(rng.integers(C))
        w = leaves(p)
        h = run_torch(torch.nn.RNN, torch.tensor(x), w["Wxh"], w["Whh"], w["bh"][:, 0], torch.zeros(H).double())
        loss = F.cross_entropy(w["Why"] @ h[-1] + w["by"][:, 0], torch.tensor(label))
        compare(sentiment.loss_and_gradients(p, x, label), loss, w)


def test_s4_4_next_word():
    for rng, (T, V, H) in random_shapes("TVH", seed=105):
        p = draw(rng, Wx=(H, V), Wh=(H, H), Wy=(V, H), bh=(H,), by=(V,))
        words, targets = rng.integers(V, size=T), rng.integers(V, size=T)
        w = leaves(p)
        steps = torch.tensor(np.eye(V)[words])
        h = run_torch(torch.nn.RNN, steps, w["Wx"], w["Wh"], w["bh"], torch.zeros(H).double())
        loss = F.cross_entropy(h @ w["Wy"].T + w["by"], torch.tensor(targets), reduction="sum")
        lists = {name: value.tolist() for name, value in p.items()}
        compare(nextword.loss_and_gradients(lists, words.tolist(), targets.tolist()), loss, w)


@pytest.mark.parametrize(
    ("textbook", "expert", "cell", "gates"),
    [
        (rnn.loss_and_gradients, vectorized.TanhRNN, torch.nn.RNN, 1),
        (gated.lstm_loss_and_gradients, vectorized.LSTM, torch.nn.LSTM, 4),
        (gated.gru_loss_and_gradients, vectorized.GRU, torch.nn.GRU, 3),
    ],
)
def test_cells_textbook_and_expert(textbook, expert, cell, gates):
    for rng, (T, B, D, H, C) in random_shapes("TBDHC", seed=106 + gates):
        p = rnn.initialize_parameters(D, H, C, rng, gates=gates)
        x, targets = rng.standard_normal((T, B, D)), rng.integers(C, size=(T, B))
        for form in (textbook, lambda *a: vectorized.Network(expert, a[0], T, B).loss_and_gradients(*a[1:])):  # noqa: B023
            w = leaves(p)
            h = run_torch(cell, torch.tensor(x), *(w[name] for name in vectorized.LAYER_PARAMETERS))
            z = h @ w["head.weight"].T + w["head.bias"]
            loss = F.cross_entropy(z.flatten(0, 1), torch.tensor(targets).flatten())
            compare(form(p, x, targets), loss, w)


@pytest.mark.parametrize(("expert", "cell"), [(vectorized.LSTM, torch.nn.LSTM), (vectorized.GRU, torch.nn.GRU)])
def test_two_layers_over_an_embedding_from_a_state_dict(expert, cell):
    """The names of a PyTorch module load unchanged, and its clipped steps are ours."""

    class Words(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.rnn, self.head = torch.nn.Embedding(9, 4), cell(4, 5, 2), torch.nn.Linear(5, 9)

    torch.manual_seed(0)
    module = Words().double()
    rng = np.random.default_rng(0)
    words, targets = rng.integers(9, size=(6, 3)), rng.integers(9, size=(6, 3))
    state = {name: value.numpy().copy() for name, value in module.state_dict().items()}
    network = vectorized.Network(expert, state, 6, 3)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    for _ in range(20):
        scores = module.head(module.rnn(module.embedding(torch.tensor(words)))[0])
        loss = F.cross_entropy(scores.flatten(0, 1), torch.tensor(targets).flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 0.2)
        optimizer.step()
        assert network.step(words, targets, lr=0.5, clip=0.2) == pytest.approx(loss.item(), rel=1e-10)
    for name, value in module.state_dict().items():
        assert relative(network.parameters[name], value.numpy()) < 1e-10
