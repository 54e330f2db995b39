"""The machine-checkable rules of a good picture: no overlaps, straight states, equal heights, time to the right."""

from itertools import pairwise

import pytest

import tinygrad_rnn as tg
import viz
from tests.viz import networks as n
from tests.viz.geometry import crossings, lines_through_boxes, overlapping_boxes, shown_texts_outside, text_on_text
from tests.viz.samples import SAMPLES
from tinygrad_rnn import nn
from tinygrad_rnn.state import scope

IN_TIME = [name for name in SAMPLES if name not in ("layers", "feedforward", "feedforward_ops", "tree", "expression")]


@pytest.mark.parametrize("name", SAMPLES)
def test_boxes_do_not_overlap(name):
    assert overlapping_boxes(SAMPLES[name]().picture) == []


@pytest.mark.parametrize("name", SAMPLES)
def test_no_line_runs_through_a_box(name):
    assert lines_through_boxes(SAMPLES[name]().picture) == []


@pytest.mark.parametrize("name", SAMPLES)
def test_texts_stay_inside_their_boxes_and_off_each_other(name):
    svg = SAMPLES[name]().svg
    assert shown_texts_outside(svg) == []
    assert text_on_text(svg) == []


@pytest.mark.parametrize("name", SAMPLES)
def test_everything_is_on_the_page(name):
    picture = SAMPLES[name]().picture
    for placed in picture.placed:
        assert placed.x - placed.width / 2 >= 0
        assert placed.x + placed.width / 2 <= picture.width
        assert placed.y - placed.height / 2 >= 0
        assert placed.y + placed.height / 2 <= picture.height
    for wire in picture.wires:
        assert all(0 <= x <= picture.width and 0 <= y <= picture.height for x, y in wire.points)


@pytest.mark.parametrize("name", IN_TIME)
def test_r4_x_increases_strictly_with_t(name):
    picture = SAMPLES[name]().picture
    middles = [band.x + band.width / 2 for band in picture.bands]
    assert middles == sorted(set(middles))
    columns = [band.column for band in picture.bands]
    assert [c.first for c in columns] == sorted(c.first for c in columns)
    edges = [(band.x, band.x + band.width) for band in picture.bands]
    assert all(right < left for (_, right), (left, _) in pairwise(edges))
    for placed in picture.placed:
        if placed.box.column is not None:
            left, right = edges[placed.box.column]
            assert left - 0.1 <= placed.x - placed.width / 2
            assert placed.x + placed.width / 2 <= right + 0.1


@pytest.mark.parametrize("name", IN_TIME)
def test_r5_the_same_role_has_the_same_height_in_all_columns(name):
    heights = {}
    for placed in SAMPLES[name]().picture.placed:
        if placed.box.column is not None:
            heights.setdefault(placed.box.role, set()).add(round(placed.y, 3))
    assert heights
    assert all(len(found) == 1 for found in heights.values())


@pytest.mark.parametrize(
    "name", ["vanilla", "two_layers", "lstm", "gru", "bidirectional", "nn_rnn", "detached", "elided"]
)
def test_states_travel_in_straight_horizontal_lines(name):
    drawing = SAMPLES[name]()
    states = [w for w in drawing.picture.wires if w.edge.kind in ("recurrent", "cut")]
    assert states
    for wire in states:
        (x0, y0), (x1, y1) = wire.points
        assert y0 == y1
        reverse = "reverse" in wire.edge.source.path
        assert (x1 < x0) if reverse else (x1 > x0)


@pytest.mark.parametrize("name", ["vanilla_ops", "nn_rnn", "plain_loop_ops", "lstm_ops", "gru_ops"])
def test_r6_a_state_runs_straight_through_the_ops_of_its_cell(name):
    straight = [w for w in SAMPLES[name]().picture.wires if w.edge.kind == "recurrent" and len(w.points) == 2]
    assert straight, "one state of each cell (h of a tanh cell and of a GRU, c of an LSTM) is a line without a bend"


def test_r5_inputs_below_layers_below_outputs():
    placed = {(p.box.title, p.box.column): p.y for p in SAMPLES["two_layers"]().picture.placed}
    column = [placed["input[2]", 2], placed["l0", 2], placed["l1", 2], placed["rnn", None], placed["head", None]]
    assert column == sorted(column, reverse=True)
    assert placed["mean", None] < placed["head", None]


def dropped(level="modules"):
    """A loss on two bidirectional layers with dropout between them, and an embedding below."""
    tg.manual_seed(0)
    embedding, rnn = nn.Embedding(9, 3), nn.LSTM(3, 4, num_layers=2, bidirectional=True, dropout=0.5)
    with scope("embedding"):
        x = embedding(tg.tensor([[1, 2]] * 5))
    with scope("rnn"):
        y, _ = rnn(x)
    return viz.draw((y * y).sum(), level=level)


def test_r5_a_dropout_mask_has_its_name_and_stands_right_below_its_reader():
    drawing = dropped()
    places = {p.box.id: p for p in drawing.picture.placed}
    masks = [b for b in drawing.diagram.boxes if b.title == "dropout mask"]
    assert len(masks) == 5
    below = [places[b.id].y for b in drawing.diagram.boxes if b.title == "l0_reverse"]
    for mask in masks:
        (reader,) = [e.target for e in drawing.diagram.edges if e.source is mask]
        assert places[reader.id].x == places[mask.id].x
        assert places[reader.id].y < places[mask.id].y < min(below)
    for wire in drawing.picture.wires:
        if wire.edge.source in masks:
            assert len(wire.points) == 2, "straight up, past no state"


def test_what_steps_cut_out_of_a_module_is_no_input_where_time_is_folded_away():
    drawing = dropped("layers")
    titles = {b.title: b for b in drawing.diagram.boxes}
    assert [b.title for b in drawing.diagram.boxes if b.kind == "input"] == ["input", "dropout mask"]
    edges = {(e.source.title, e.target.title) for e in drawing.diagram.edges}
    assert {("embedding", "l0 × 5"), ("embedding", "l0_reverse × 5")} <= edges
    assert titles["embedding"].detail.startswith("take · 5×2×3")


def test_initial_states_stand_left_and_those_of_a_reverse_direction_right():
    picture = SAMPLES["bidirectional"]().picture
    first, last = picture.bands[0].x, picture.bands[-1].x + picture.bands[-1].width
    starts = {w.edge.target.path: w.points[0][0] for w in picture.wires if w.edge.source.initial}
    assert len(starts) == 4
    for path, x in starts.items():
        assert (x > last) if "reverse" in path else (x < first)


@pytest.mark.parametrize("name", SAMPLES)
def test_r7_one_box_for_each_parameter(name):
    drawing = SAMPLES[name]()
    graph = drawing.diagram.graph
    parameters = [i for i in range(len(graph.nodes)) if graph.is_parameter(i)]
    boxes = [p.box.main for p in drawing.picture.placed if p.box.kind == "parameter"]
    assert boxes == sorted(set(boxes), key=boxes.index)
    assert sorted(boxes) == ([] if drawing.diagram.level == "layers" else parameters)


def test_r7_a_shared_weight_says_how_often_it_is_used():
    drawing = viz.draw(n.recurrent(T=7))
    uses = {box.title: box.uses for box in drawing.diagram.boxes if box.kind == "parameter"}
    assert uses == {"weight_ih_l0": 7, "weight_hh_l0": 7, "bias_ih_l0": 7, "bias_hh_l0": 7, "weight": 1, "bias": 1}
    assert drawing.svg.count(">×7<") == 4


def test_r7_a_frozen_weight_stands_among_the_others():
    model = nn.RNN(2, 3)
    model.bias_hh_l0.requires_grad_(False)
    drawing = viz.draw(model, tg.ones(4, 1, 2))
    parameters = {box.title: box.uses for box in drawing.diagram.boxes if box.kind == "parameter"}
    assert parameters == dict.fromkeys(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), 4)


@pytest.mark.parametrize("name", ["vanilla", "nn_rnn", "elided", "gradients", "lstm", "gru"])
def test_no_crossings_in_a_one_layer_network(name):
    assert crossings(SAMPLES[name]().picture) == 0


def test_r8_modules_open_and_close():
    loss = n.recurrent(T=3, layers=2)
    closed = viz.draw(loss)
    opened = viz.draw(loss, expand=["rnn.l0"])
    merged = viz.draw(loss, collapse=["rnn"])
    paths = {b.path for b in opened.diagram.boxes if b.kind == "op" and b.column is not None}
    assert paths == {"rnn.l0"}
    assert sum(b.kind == "module" and b.column is not None for b in closed.diagram.boxes) == 6
    assert sum(b.kind == "module" and b.column is not None for b in merged.diagram.boxes) == 3
    assert {f.title for f in opened.picture.frames} == {"rnn", "l0"}


def test_r8_paths_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"expand names the module 'rn'; the graph has head, rnn, rnn\.l0"):
        viz.draw(n.recurrent(), expand=["rn"])
    with pytest.raises(TypeError, match=r"expand='rnn' is one string; give a list of module paths: expand=\['rnn'\]"):
        viz.draw(n.recurrent(), expand="rnn")


def test_frames_nest():
    picture = SAMPLES["vanilla_ops"]().picture
    outer = next(f for f in picture.frames if f.title == "rnn")
    inner = [f for f in picture.frames if f.title == "l0"]
    assert len(inner) == 3
    for f in inner:
        assert outer.x < f.x
        assert f.x + f.width < outer.x + outer.width
        assert outer.y < f.y
        assert f.y + f.height < outer.y + outer.height
