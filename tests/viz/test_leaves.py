"""Parameters and inputs are told apart, however often they are used."""

import pytest

import tinygrad_rnn as tg
import viz
from tinygrad_rnn import nn
from tinygrad_rnn.state import record_everything, scope


def kinds(drawing):
    """How many parameters and inputs a drawing has."""
    found = [b.kind for b in drawing.diagram.boxes]
    return found.count("parameter"), found.count("input")


@pytest.mark.parametrize("level", ["ops", "modules"])
@pytest.mark.parametrize("make", [nn.Parameter, lambda data: tg.tensor(data, requires_grad=True)])
def test_a_weight_outside_a_module_is_a_parameter_however_often_it_is_used(make, level):
    W, b, x = make([[1.0, 2.0], [3.0, 4.0]]), make([0.5, 0.5]), tg.ones(3, 2)
    drawing = viz.draw((x @ W + b).sum(), level=level)
    assert kinds(drawing) == (2, 1)
    assert "2 parameters, 1 input." in drawing.summary
    assert drawing.summary.endswith("Parameters hold 6 numbers.")
    assert kinds(viz.draw((W @ x.T).sum(), level=level)) == (1, 1), "a weight may stand at the left"
    assert kinds(viz.draw(tg.tanh(b).sum(), level=level)) == (1, 0)


def test_an_argument_of_a_module_is_an_input_though_it_wants_a_gradient():
    x = tg.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    for module, parameters in ((nn.Linear(3, 2), 2), (nn.GRUCell(3, 4), 4)):
        assert kinds(viz.draw(module, x))[0] == parameters
    assert kinds(viz.draw(nn.GRUCell(3, 4), x, tg.zeros(1, 4).requires_grad_()))[0] == 4
    assert kinds(viz.draw(nn.Linear(3, 2), nn.Parameter([[1.0, 2.0, 3.0]])))[0] == 3


def test_a_parameter_called_by_name_is_one_even_where_a_state_begins():
    h = first = nn.Parameter(tg.zeros(2, 4))
    cell, x = nn.RNNCell(3, 4), tg.rand(4, 2, 3)
    for t in range(4):
        h = cell(x[t], h)
    assert kinds(viz.draw(h.sum()))[0] == 4
    assert kinds(viz.draw(h.sum(), names={"h0": first}))[0] == 5


def test_what_a_modules_weight_multiplies_is_an_input():
    x = tg.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    (box,) = [b for b in viz.draw(nn.Linear(3, 2)(x).sum()).diagram.boxes if b.kind == "input"]
    assert box.detail == "1×3"


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_first_state_and_a_sequence_are_inputs_though_they_want_gradients(cell):
    x, state = tg.rand(4, 2, 3).requires_grad_(), tg.zeros(1, 2, 4).requires_grad_()
    state = (state, tg.zeros(1, 2, 4).requires_grad_()) if cell is nn.LSTM else state
    y, _ = cell(3, 4)(x, state)
    drawing = viz.draw(y.sum())
    assert kinds(drawing)[0] == 4
    assert any(b.initial for b in drawing.diagram.boxes)


@pytest.mark.parametrize("scoped", [True, False])
def test_in_a_loop_written_by_hand_first_state_and_sequence_are_inputs(scoped):
    W, U = (tg.rand(k, 4).requires_grad_() for k in (3, 4))
    h = tg.zeros(2, 4).requires_grad_()
    whole, single = tg.rand(5, 2, 3).requires_grad_(), [tg.rand(2, 3).requires_grad_() for _ in range(5)]
    for x in (whole, single):
        state = h
        for t in range(5):
            with scope(t=t if scoped else None):
                state = tg.tanh(x[t] @ W + state @ U)
        drawing = viz.draw(state.sum())
        assert kinds(drawing)[0] == 2
        assert drawing.diagram.length == 5
        assert [b.main for b in drawing.diagram.boxes if b.initial]


def test_rows_of_a_table_that_steps_look_up_in_any_order_are_a_parameter():
    table, U = tg.rand(9, 4).requires_grad_(), tg.rand(4, 4).requires_grad_()
    h = tg.zeros(1, 4)
    with record_everything():
        for t, letter in enumerate([3, 1, 4, 1]):
            with scope(t=t):
                h = tg.tanh(table[letter] + h @ U)
    assert kinds(viz.draw(h.sum()))[0] == 2
