"""Gradients in the picture: the numbers are those of the engine, heat falls and rises as mathematics says."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest

import viz
from tests.viz import networks as n
from tests.viz.library import library
from tinygrad_rnn import nn
from tinygrad_rnn.graph import ancestors
from viz.model.flow import THRESHOLD
from viz.model.record import Recording
from viz.model.scale import Scale, common_scale
from viz.model.sweep import gradients_of, measure, values_of
from viz.svg.theme import SHADES

MAKERS = {
    "recurrent": n.recurrent,
    "bidirectional": n.bidirectional,
    "loss in each step": n.per_step_loss,
    "feedforward": n.feedforward,
    "tree": n.tree,
    "expression": n.expression,
    "detached": n.detached,
    "lstm": lambda: n.recurrent("lstm", T=3),
    "gru": lambda: n.recurrent("gru", T=3),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_norms_equal_those_of_the_engine(make):
    loss = make()
    nodes = [node for node in ancestors([loss.node]) if node.needs_grad]
    for node in nodes:
        node.keeps_grad = True
    loss.backward(retain_graph=True)
    graph = Recording([loss.node])
    found = gradients_of(graph, values_of(graph))
    for node, measured in zip(graph.nodes, found, strict=True):
        if node.needs_grad and node.grad is not None:
            expected = np.linalg.norm(node.grad.numpy().astype(np.float64))
            assert measured.norm == pytest.approx(expected, rel=1e-4, abs=1e-9), node
        else:
            assert measured is None or measured.norm == 0


def test_gradients_are_measured_after_the_graph_was_freed_and_change_nothing():
    loss = n.recurrent()
    before = viz.draw(loss, gradients=True)
    numbers = dict(before.diagram.heat.numbers)
    loss.backward()
    leaves = [node for node in ancestors([loss.node]) if node.primitive is None and node.needs_grad]
    kept = [node.grad.numpy().copy() for node in leaves]
    after = viz.draw(loss, gradients=True).diagram.heat.numbers
    assert after == numbers
    assert all(np.array_equal(node.grad.numpy(), old) for node, old in zip(leaves, kept, strict=True))


@pytest.mark.parametrize(("factor", "verdict"), [(0.5, "vanishing"), (1.0, ""), (2.0, "exploding")])
def test_r11_heat_falls_for_a_contractive_matrix_and_rises_for_an_expansive_one(factor, verdict):
    drawing = viz.draw(n.orthogonal(T=20, factor=factor), gradients=True)
    (flow,) = drawing.diagram.heat.flows
    norms = [norm for _, norm in flow.norms]
    for earlier, later in pairwise(norms):
        assert earlier / later == pytest.approx(factor, rel=1e-9)
    assert flow.ratio == pytest.approx(factor**19, rel=1e-9)
    assert flow.verdict == verdict
    if verdict:
        assert THRESHOLD == 1e3, "which is what the picture says"
        assert flow.beyond == 9, "2**10 is the first power of two beyond 1000"
        assert f"{verdict}: ratio" in drawing.svg
        assert f"from t = {flow.beyond}" in drawing.svg
    shares = [drawing.diagram.heat.share(b.id) for b in drawing.diagram.boxes if b.path == "l0" and b.kind == "module"]
    assert shares == pytest.approx(sorted(shares, reverse=factor > 1), rel=1e-12), (
        "but for rounding where all are equal"
    )


def test_r11_the_strip_has_a_bar_for_every_step_also_of_those_left_out():
    drawing = viz.draw(n.last_state_loss(T=48), gradients=True)
    strip = drawing.svg[drawing.svg.index('class="stripe"') :]
    bars = strip[: strip.index('class="axis"')].count("v-")
    assert bars == 48
    assert sum(not c.hidden for c in drawing.diagram.columns) < 10


def drawn_colours(drawing):
    """The colours of the cells of the first layer, and of the bars, by step."""
    cells = re.findall(
        r'<g class="n module[^>]*><title>module l0[^<]*t = (\d+).*?fill:(#[0-9a-f]{6})', drawing.svg, re.S
    )
    bars = {}
    for colour, path in re.findall(r'class="bar" style="stroke:(#[0-9a-f]{6})[^>]*d="([^"]*)"', drawing.svg):
        bars.update((float(x), colour) for x in re.findall(r"M([\d.]+) ", path))
    return [colour for _, colour in sorted((int(t), c) for t, c in cells)], [c for _, c in sorted(bars.items())]


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_r11_bars_have_the_colours_of_the_cells_above_them(cell):
    cells, bars = drawn_colours(viz.draw(n.last_state_loss(T=10, cell=cell), gradients=True))
    assert len(cells) == 10
    assert cells == bars
    assert len(set(cells)) > 5, "as smooth as the norms"


def test_r11_many_bars_are_few_paths():
    drawing = viz.draw(n.last_state_loss(T=1000), gradients=True)
    assert drawing.svg.count('class="bar"') <= SHADES


def test_r11_it_is_said_what_L_is_and_what_the_ratio_divides():
    svg = viz.draw(n.last_state_loss(T=10), gradients=True).svg
    assert "L is the output “sum”, a scalar<" in svg
    assert re.search(r">ratio 0\.\d+, the norm at t = 0 over that at t = 9<", svg)
    assert "‖∂L/∂h‖ l0" in svg
    module, x = library(nn.LSTM)
    svg = viz.draw(module, x, gradients=True).svg
    assert "L is the sum of all entries of the output “head · Linear”, 5×2×5<" in svg
    assert "‖∂L/∂(c, h)‖ l0" in svg
    svg = viz.draw(nn.LSTM(3, 4, bidirectional=True), x, gradients=True).svg
    assert "L is the sum of all entries of the outputs “" in svg
    assert ">ratio" in svg
    assert "the norm at t = 4 over that at t = 0<" in svg, "the reverse direction begins at the end"


def test_r11_backward_edges_run_against_the_forward_ones():
    drawing = viz.draw(n.recurrent(T=3), backward=True)
    assert drawing.svg.count('class="backward"') > 8
    assert 'class="backward"' not in viz.draw(n.recurrent(T=3)).svg
    measured = viz.draw(n.last_state_loss(T=4), gradients=True)
    assert measured.svg.count('class="backward"') == 3, "only the states, when gradients are coloured"


@pytest.mark.parametrize("level", ["ops", "modules"])
def test_r11_every_parameter_gets_its_gradient_shared_ones_too(level):
    drawing = viz.draw(*library(nn.LSTM), backward=True, level=level)
    ends = re.findall(r'class="backward"[^>]* d="[^"]*?([\d.]+) ([\d.]+)"', drawing.svg)
    buses = [bus for bus in drawing.picture.buses if bus.box.kind == "parameter" or level == "ops"]
    assert len(buses) >= 3
    for bus in buses:
        x, y = bus.points[0][0]
        assert any(abs(float(a) - x) < 0.1 and abs(float(b) - y) < 5 for a, b in ends), bus.box.title
    module, x = library(nn.LSTM)
    for parameter in module.rnn.parameters():
        parameter.requires_grad = False
    frozen = viz.draw(module, x, backward=True, level=level).svg
    assert re.findall(r'class="bus"', frozen)
    assert not re.findall(r'class="bus".*\n<path class="backward"', frozen), "no gradient is wanted"


def test_a_graph_without_gradients_is_refused():
    make = n.Maker(0)
    from tinygrad_rnn.state import record_everything

    with record_everything():
        y = make.data(3) * make.data(3)
    with pytest.raises(ValueError, match="nothing that was drawn requires a gradient"):
        viz.draw(y, gradients=True)


def test_measures():
    found = measure(np.array([3.0, -4.0, 0.0, np.nan]))
    assert (found.norm, found.largest, found.low, found.high) == (5.0, 4.0, -4.0, 3.0)
    assert found.zeros == pytest.approx(1 / 3)
    assert found.broken == 0.25
    assert measure(np.full(2, 1e200)).norm == pytest.approx(math.sqrt(2) * 1e200)
    assert measure(np.zeros(0)) is None


def test_scales():
    assert common_scale([0.02, 30.0]) == Scale(-2, 2)
    assert common_scale([1.0]) == Scale(-1, 0)
    assert common_scale([0.0]) == Scale(-1, 0)
    assert common_scale([1e-300, 1.0]) == Scale(-16, 0)
    scale = Scale(-2, 2)
    assert [scale.share(v) for v in (0, 1e-9, 1e-2, 1.0, 1e2, math.inf)] == [0, 0, 0, 0.5, 1, 1]
