"""What boxes are: LSTM, GRU or plain cell."""

import pytest

import tinygrad_rnn as tg
import viz
from tests.viz import networks as n
from tests.viz.library import library
from tinygrad_rnn import nn
from tinygrad_rnn.state import record_everything, scope


def described(drawing):
    """What the cells of a drawing are called."""
    return {b.detail.split(" · ")[0] for b in drawing.diagram.boxes if b.kind == "module" and b.path.endswith("l0")}


@pytest.mark.parametrize(
    ("cell", "called"), [(nn.RNN, "tanh"), (nn.LSTM, "LSTM"), (nn.GRU, "GRU")], ids=["rnn", "lstm", "gru"]
)
def test_layers_are_told_apart(cell, called):
    for T in (1, 5):
        assert described(viz.draw(*library(cell, T=T))) == {called}
    assert described(viz.draw(*library(cell), level="layers")) == {called}
    two = viz.draw(*library(cell, num_layers=2), collapse=["rnn"])
    assert any(b.detail.startswith(f"{called} · ") for b in two.diagram.boxes if b.path == "rnn")


@pytest.mark.parametrize(
    ("cell", "called"), [(nn.RNNCell, "tanh"), (nn.LSTMCell, "LSTM"), (nn.GRUCell, "GRU")], ids=["rnn", "lstm", "gru"]
)
def test_cells_are_told_apart_alone_and_in_a_loop(cell, called):
    (alone,) = [b for b in viz.draw(cell(3, 4), tg.rand(2, 3)).diagram.boxes if b.kind == "module"]
    assert alone.detail == f"{called} · 2×4"
    step, state, x = cell(3, 4), None, n.Maker(0).data(4, 2, 3)
    with record_everything():
        for t in range(4):
            state = step(x[t], state)
    h = state[0] if isinstance(state, tuple) else state
    cells = {b.detail for b in viz.draw(h.sum()).diagram.boxes if b.kind == "module" and b.column is not None}
    assert cells == {f"{called} · 2×4"}


def coupled(x, h, c, W):
    """An LSTM whose input gate is what the forget gate leaves."""
    z = tg.cat([x, h], dim=1) @ W
    f, o = tg.sigmoid(z[:, :4]), tg.sigmoid(z[:, 4:8])
    c = f * c + (1 - f) * tg.tanh(z[:, 8:])
    return o * tg.tanh(c), c


def one_sigmoid(x, h, c, W):
    """An LSTM that takes the sigmoid of three gates at once."""
    z = tg.cat([x, h], dim=1) @ W
    gates = tg.sigmoid(z[:, :12])
    c = gates[:, :4] * c + gates[:, 4:8] * tg.tanh(z[:, 12:])
    return gates[:, 8:] * tg.tanh(c), c


@pytest.mark.parametrize(("cell", "columns"), [(coupled, 12), (one_sigmoid, 16)])
def test_an_lstm_written_by_hand_in_another_way_is_one(cell, columns):
    make = n.Maker(0)
    W, h, c, x = make.parameter("W", 7, columns), tg.zeros(2, 4), tg.zeros(2, 4), make.data(3, 2, 3)
    with record_everything(), scope("l0"):
        for t in range(3):
            with scope(t=t):
                h, c = cell(x[t], h, c, W)
    assert described(viz.draw(h.sum())) == {"LSTM"}


@pytest.mark.parametrize("name", ["tanh", "lstm", "gru"])
def test_cells_written_by_hand_are_told_apart(name):
    called = {"tanh": "tanh", "lstm": "LSTM", "gru": "GRU"}[name]
    assert described(viz.draw(n.recurrent(name))) == {called}
    two = viz.draw(n.recurrent(name, layers=2), collapse=["rnn"])
    assert any(b.detail == f"{called} · 2×4" for b in two.diagram.boxes if b.path == "rnn")
