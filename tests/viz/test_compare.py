"""Two drawings on one scale, errors as heat, and the marks of the gradient doctor."""

from typing import NamedTuple

import pytest

import viz
from tests.viz import networks as n
from tests.viz.geometry import text_on_text
from tests.viz.test_svg import inert
from tinygrad_rnn.graph import ancestors


def ops(loss, name):
    """The nodes of one op, in order of recording."""
    return [node for node in ancestors([loss.node]) if node.op == name]


def test_r12_two_cells_stand_on_one_scale():
    short, long = (viz.draw(n.orthogonal(T=T, factor=0.5), gradients=True) for T in (4, 20))
    alone = short.diagram.heat.scale
    both = viz.compare({"four steps": short, "twenty steps": long}, theme="light")
    scales = {drawing.diagram.heat.scale for drawing in both.drawings.values()}
    assert len(scales) == 1
    assert scales != {alone}
    inert(both.svg)
    assert text_on_text(both.svg) == []
    assert ">four steps<" in both.svg
    assert ">twenty steps<" in both.svg
    assert "l0: vanishing" in both.summary
    assert both.text.startswith("four steps\nComputation graph")


def test_r12_an_rnn_beside_an_lstm(golden):
    cells = {"tanh RNN": "tanh", "LSTM": "lstm"}
    drawings = {name: viz.draw(n.last_state_loss(T=8, cell=cell), gradients=True) for name, cell in cells.items()}
    golden("comparison.svg", viz.compare(drawings).svg)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="expected drawings by name"):
        viz.compare({})


def errors_and_marks():
    loss = n.recurrent(T=4)
    tanh = ops(loss, "tanh")
    errors = {tanh[0]: 2e-8, tanh[1]: 1e-7, tanh[2]: 3e-2, tanh[3]: 1e-8, "weight_hh_l0": 1e-2}
    marks = {tanh[2]: "the recurrent term is missing", "weight_hh_l0": "the gradient is transposed"}
    return viz.draw(loss, errors=errors, marks=marks)


def test_r12_errors_are_heat_and_the_worst_is_named(golden):
    drawing = errors_and_marks()
    numbers = {(b.title, b.column): drawing.diagram.heat.numbers.get(b.id) for b in drawing.diagram.boxes}
    assert numbers["l0", 2] == 3e-2
    assert numbers["weight_hh_l0", None] == 1e-2
    assert numbers["bias_hh_l0", None] is None
    assert "Worst: l0 at t = 2, relative error 0.03" in drawing.svg
    shares = [drawing.diagram.heat.share(b.id) for b in drawing.diagram.boxes if b.title == "l0"]
    assert shares[2] == max(shares)
    golden("errors.svg", drawing.svg)


def test_a_box_shows_the_largest_error_of_its_nodes():
    loss = n.recurrent(T=3)
    matmuls = [node for node in ops(loss, "matmul") if node.scope.t == 1]
    drawing = viz.draw(loss, errors={matmuls[0]: 0.5, matmuls[1]: 0.25})
    (number,) = drawing.diagram.heat.numbers.values()
    assert number == 0.5


def test_the_finding_of_the_doctor_is_marked_on_what_it_accuses():
    svg = errors_and_marks().svg
    assert svg.count('accused"') == 2
    assert "1. l0 at t = 2: the recurrent term is missing" in svg
    assert "2. weight_hh_l0 in rnn: the gradient is transposed" in svg
    assert text_on_text(svg) == []


class Finding(NamedTuple):
    where: str
    says: str
    wrong: str
    right: str


def test_findings_accuse_the_parameters_that_they_name():
    drawing = viz.draw(n.recurrent(), marks=[Finding("weight_hh_l0, t=3", "the factor is lost", "δ", "Wᵀδ")])
    (said,) = drawing.diagram.marks.values()
    assert said == "the factor is lost (is δ, should be Wᵀδ)"


def test_names_that_are_not_there_are_refused():
    loss = n.recurrent()
    with pytest.raises(KeyError, match=r"no parameter is called 'Whh'; there are weight_ih_l0, weight_hh_l0"):
        viz.draw(loss, errors={"Whh": 1.0})
    with pytest.raises(KeyError, match=r"marks names .* which is not in the graph"):
        viz.draw(loss, marks={n.recurrent().node: "elsewhere"})


class Row(NamedTuple):
    name: str
    relative: float | None


class Report:
    """As much of a gradient report as a drawing reads."""

    rows = (Row("weight_hh_l0", 0.5), Row("bias_hh_l0", None))

    def step_errors(self, name):
        return ({0: 1e-3, 2: 1e-1} if name == "weight_hh_l0" else {}), True


def test_a_gradient_report_is_heat_over_parameters_and_steps():
    drawing = viz.draw(n.recurrent(T=3), level="ops", errors=Report())
    numbers = {}
    for box in drawing.diagram.boxes:
        if box.id in drawing.diagram.heat.numbers:
            numbers[box.title, box.column] = drawing.diagram.heat.numbers[box.id]
    assert numbers == {("weight_hh_l0", None): 0.5, ("transpose", 0): 1e-3, ("transpose", 2): 1e-1}
