"""Graphs nobody laid out for us: attention, feedback, skips through time, loops in loops, second gradients, chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
import viz
from tests.viz import networks as n
from tests.viz.geometry import overlapping_boxes, shown_texts_outside
from tests.viz.test_svg import inert
from tinygrad_rnn import nn
from tinygrad_rnn.state import record_everything, scope


def data(*shape):
    return n.Maker(0).data(*shape)


def gradient_of_a_gradient():
    make, h = n.Maker(0), tg.zeros(2, 4)
    U, W, x = make.parameter("U", 4, 4), make.parameter("W", 3, 4), make.data(4, 2, 3)
    with scope("cell"):
        for t in range(4):
            with scope(t=t):
                h = tg.tanh(x[t] @ W + h @ U)
    (g,) = tg.autograd.grad((h * h).sum(), [U], create_graph=True)
    return (g * g).sum()


def unequal_lengths():
    rnn = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    return rnn(data(5, 3, 3), lengths=tg.tensor(np.array([5, 3, 2])))[0].sum()


def encoder_and_decoder_with_feedback():
    encoder, decoder, head = nn.GRUCell(3, 4), nn.GRUCell(5, 4), nn.Linear(4, 5)
    x, h, total, said = data(4, 2, 3), tg.zeros(2, 4), tg.zeros(()), tg.zeros(2, 5)
    with record_everything():
        for t in range(4):
            with scope("encoder", t=t):
                h = encoder(x[t], h)
        for t in range(3):
            with scope("decoder", t=t):
                h = decoder(said, h)
                z = head(h)
                said, total = tg.softmax(z, -1), total + z.sum()
    return total


def attention():
    encoder, decoder = nn.RNNCell(3, 4), nn.RNNCell(4, 4)
    x, h, states, out = data(4, 2, 3), tg.zeros(2, 4), [], []
    with record_everything():
        for t in range(4):
            with scope("encoder", t=t):
                h = encoder(x[t], h)
                states.append(h)
        memory = tg.stack(states)
        for t in range(4):
            with scope("decoder", t=t):
                weight = tg.softmax((memory * h).sum(-1), 0)
                h = decoder((weight[:, :, None] * memory).sum(0), h)
                out.append(h)
        return tg.stack(out).sum()


def skips_through_time():
    make, states = n.Maker(0), [tg.zeros(2, 4), tg.zeros(2, 4)]
    U, W, x = make.parameter("U", 4, 4), make.parameter("W", 3, 4), make.data(6, 2, 3)
    with record_everything(), scope("cell"):
        for t in range(6):
            with scope(t=t):
                states.append(tg.tanh(x[t] @ W + states[-1] @ U + states[-2]))
    return states[-1].sum()


def loops_in_loops():
    outer, inner = nn.RNNCell(4, 4), nn.RNNCell(3, 4)
    x, state = data(3, 3, 2, 3), tg.zeros(2, 4)
    with record_everything():
        for s in range(3):
            with scope("sentence", t=s):
                h = tg.zeros(2, 4)
                for t in range(3):
                    with scope("words", t=t):
                        h = inner(x[s, t], h)
                state = outer(h, state)
    return state.sum()


def two_cells_in_a_plain_loop():
    one, other = nn.LSTMCell(3, 4), nn.LSTMCell(4, 4)
    x, a, b = data(4, 2, 3), None, None
    with record_everything():
        for t in range(4):
            a = one(x[t], a)
            b = other(a[0], b)
    return b[0].sum()


def characters():
    """Embedding, two layers with dropout, head and cross entropy."""
    embedding, rnn, head = nn.Embedding(30, 8), nn.LSTM(8, 16, num_layers=2, dropout=0.2), nn.Linear(16, 30)
    rng = np.random.default_rng(0)
    tokens, target = (tg.tensor(rng.integers(0, 30, (6, 2))) for _ in range(2))
    with record_everything():
        with scope("embedding"):
            x = embedding(tokens)
        with scope("rnn"):
            y, _ = rnn(x)
        with scope("head"):
            z = head(y)
        return nn.functional.cross_entropy(z.reshape(-1, 30), target.reshape(-1))


ODD = [
    gradient_of_a_gradient,
    unequal_lengths,
    encoder_and_decoder_with_feedback,
    attention,
    skips_through_time,
    loops_in_loops,
    two_cells_in_a_plain_loop,
    characters,
]


@pytest.mark.parametrize("level", ["ops", "modules", "layers"])
@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_boxes_keep_apart_and_texts_inside(make, level):
    drawing = viz.draw(make(), level=level)
    assert overlapping_boxes(drawing.picture) == []
    assert shown_texts_outside(drawing.svg) == []
    inert(drawing.svg)


def test_steps_of_cells_in_a_plain_loop_are_inferred():
    assert viz.draw(two_cells_in_a_plain_loop()).diagram.length == 4


def test_a_recorded_sweep_is_told_from_the_forward_part():
    drawing = viz.draw(gradient_of_a_gradient())
    assert {b.title for b in drawing.diagram.boxes if b.backward and b.kind == "module"} == {"∂ cell"}
    assert " back" in drawing.svg


def test_parameters_of_a_head_stand_beside_it_and_those_of_an_embedding_below_it():
    places = {}
    for p in viz.draw(characters()).picture.placed:
        places.setdefault(p.box.title, []).append(p)
    (head,), (bar,) = places["head"], places["embedding"]
    above, below = sorted(places["weight"], key=lambda p: p.y)
    assert head.y < above.y < bar.y < below.y
    assert bar.width > 5 * head.width, "the sequence is a bar over all its steps"


@st.composite
def programs(draw):
    """A random program: ops on values made before, in random modules and steps."""
    length = draw(st.integers(1, 14))
    steps = []
    for k in range(length):
        op = draw(st.sampled_from(["add", "mul", "tanh", "leaf", "parameter", "index"]))
        parents = draw(st.tuples(st.integers(0, k), st.integers(0, k)))
        place = draw(st.tuples(st.sampled_from([None, "a", "b"]), st.sampled_from([None, 0, 1, 2, 3])))
        steps.append((op, parents, place))
    return steps


OPS = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "tanh": lambda a, _: tg.tanh(a),
    "index": lambda a, _: a[:],
}


def run(steps):
    make = n.Maker(0)
    values = [make.parameter("start", 2, 2)]
    with record_everything():
        for op, (i, j), (name, t) in steps:
            a, b = values[i], values[j]
            with scope(name, t=t):
                if op == "leaf":
                    values.append(make.data(2, 2))
                elif op == "parameter":
                    values.append(make.parameter(f"p{len(values)}", 2, 2))
                else:
                    values.append(OPS[op](a, b))
        return sum((v.sum() for v in values[1:]), values[0].sum())


@given(programs(), st.sampled_from(["ops", "modules", "layers"]), st.sampled_from(["auto", 2, None]))
def test_any_program_is_drawn(steps, level, elide):
    drawing = viz.draw(run(steps), level=level, elide=elide)
    inert(drawing.svg)
    assert overlapping_boxes(drawing.picture) == []
    columns = drawing.diagram.columns
    assert sum(c.count for c in columns) >= len(columns)
    graph = drawing.diagram.graph
    drawn = [b.main for b in drawing.diagram.boxes if b.kind == "parameter"]
    assert len(drawn) == len(set(drawn))
    if level != "layers":
        assert len(drawn) == sum(graph.is_parameter(i) for i in range(len(graph.nodes)))
