"""Time: recorded, inferred, left out where it repeats itself and shown where it does not."""

import numpy as np
import pytest

import tinygrad_rnn as tg
import viz
from tests.viz import networks as n
from tinygrad_rnn.state import record_everything, record_sources, scope
from viz.model.record import Recording


def steps_of(loss):
    """(op, step) of every recorded op that has a step."""
    graph = Recording([loss.node])
    ops = [(node, t) for node, t in zip(graph.nodes, graph.step, strict=True) if node.primitive is not None]
    return [(node.op, t) for node, t in ops if t is not None]


@pytest.mark.parametrize("with_sources", [False, True])
def test_r2_steps_of_a_plain_loop_are_inferred(with_sources):
    if with_sources:
        with record_sources():
            loss = n.plain_loop(T=6)
    else:
        loss = n.plain_loop(T=6)
    found = steps_of(loss)
    for op in ("tanh", "add", "getitem"):
        assert [t for name, t in found if name == op] == list(range(6))
    assert [t for name, t in found if name == "matmul"] == [t for t in range(6) for _ in range(2)]
    assert {name for name, _ in found} == {"tanh", "add", "getitem", "matmul"}, "the loss after the loop has no step"


def test_r2_inferred_and_recorded_steps_give_the_same_columns():
    make = n.Maker(0)
    W, U = make.parameter("W", 3, 4), make.parameter("U", 4, 4)
    h, x = tg.zeros(2, 4), make.data(5, 2, 3)
    with record_everything():
        for t in range(5):
            with scope(t=t):
                h = tg.tanh(x[t] @ W + h @ U)
        told = viz.draw((h * h).sum())
    guessed = viz.draw(n.plain_loop())
    assert [c.title for c in told.diagram.columns] == [c.title for c in guessed.diagram.columns]
    assert sorted(b.title for b in told.diagram.boxes) == sorted(b.title for b in guessed.diagram.boxes)


def test_r2_a_weight_shared_without_a_loop_makes_no_time():
    assert steps_of(n.tree()) == []
    assert not viz.draw(n.tree()).diagram.timed


def test_r2_an_accumulated_loss_stays_in_its_step():
    make = n.Maker(0)
    W, U, V = make.parameter("W", 3, 4), make.parameter("U", 4, 4), make.parameter("V", 4, 2)
    h, total, x = tg.zeros(2, 4), tg.zeros(()), make.data(4, 2, 3)
    with record_everything():
        for t in range(4):
            h = tg.tanh(x[t] @ W + h @ U)
            total = total + (h @ V).sum()
    assert [t for op, t in steps_of(total) if op == "sum"] == [0, 1, 2, 3]


@pytest.mark.parametrize("T", [1, 2, 12, 13, 50, 500])
@pytest.mark.parametrize("level", ["ops", "modules"])
def test_elided_and_shown_steps_are_all_steps(T, level):
    columns = viz.draw(n.recurrent(T=T), level=level).diagram.columns
    covered = [t for c in columns for t in range(c.first, c.last + 1)]
    assert covered == list(range(T))
    assert all(c.count == 1 for c in columns if not c.hidden)
    if T >= 13:
        assert [(c.first, c.last, c.hidden) for c in columns] == [
            (0, 0, False), (1, 1, False), (2, 2, False), (3, T - 2, True), (T - 1, T - 1, False),
        ]  # fmt: skip


def test_r9_what_is_left_out_is_said():
    drawing = viz.draw(n.recurrent(T=50))
    assert "t = 3 … 48" in drawing.svg
    assert ">46 steps<" in drawing.svg
    assert "46 equal ones left out" in drawing.svg


def test_r9_steps_are_chosen_by_slice_and_number():
    loss = n.recurrent(T=50)

    def shown(**options):
        return [c.first for c in viz.draw(loss, **options).diagram.columns if not c.hidden]

    assert shown(steps=slice(20, 23)) == [20, 21, 22]
    assert shown(steps=slice(0, 50, 10)) == [0, 10, 20, 30, 40]
    assert shown(steps=[3, -1]) == [3, 49]
    assert shown(steps=7) == [7]
    assert shown(elide=None) == list(range(50))
    assert shown(elide=50) == list(range(50))
    with pytest.raises(IndexError, match=r"steps=\[60\] asks for step 60, but the graph has steps 0 to 49"):
        viz.draw(loss, steps=[60])


def test_r9_a_step_of_another_shape_or_with_other_ops_is_never_left_out():
    make = n.Maker(0)
    W, U = make.parameter("W", 3, 4), make.parameter("U", 4, 4)
    h, x = tg.zeros(2, 4), make.data(40, 2, 3)
    with record_everything(), scope("l0"):
        for t in range(40):
            with scope(t=t):
                h = tg.tanh(x[t] @ W + h @ U)
                if t == 17:
                    h = tg.exp(h)
                if t == 30:
                    h = h[:1]
    drawing = viz.draw(h.sum())
    shown = {c.first for c in drawing.diagram.columns if not c.hidden}
    assert {0, 1, 2, 17, 39} <= shown
    assert {*range(31, 40)} <= shown or {30} <= shown
    assert 10 not in shown


def test_r9_a_step_with_nan_is_never_left_out():
    make = n.Maker(0)
    U, h = make.parameter("U", 4, 4), tg.zeros(2, 4)
    data = np.ones((40, 2, 4), np.float32)
    data[25] = np.nan
    total = tg.zeros(())
    with record_everything(), np.errstate(invalid="ignore"):
        for t in range(40):
            with scope("l0"), scope(t=t):
                h = tg.tanh(h @ U)
                y = tg.tanh(h * tg.tensor(data[t]))
            with scope(t=t):
                total = total + y.sum()
    shown = {c.first for c in viz.draw(total).diagram.columns if not c.hidden}
    assert shown == {0, 1, 2, 25, 39}


def test_r10_a_detached_state_is_drawn_as_a_cut_and_its_step_is_shown():
    drawing = viz.draw(n.detached(T=30, at=15))
    cuts = [e for e in drawing.diagram.edges if e.kind == "cut"]
    assert [(e.source.column is not None, e.target.column is not None) for e in cuts] == [(True, True)]
    assert 15 in {c.first for c in drawing.diagram.columns if not c.hidden}
    assert drawing.svg.count('<path class="cutmark"') == 1
    assert [b.title for b in drawing.diagram.boxes if b.initial] == ["initial state"]


def test_five_hundred_steps_stay_within_five_megabytes_and_elided_within_a_third_of_one():
    loss = n.recurrent("lstm", T=500)
    assert len(viz.draw(loss, level="ops", elide=None).svg) < 5_000_000
    assert len(viz.draw(loss, level="ops").svg) < 300_000


def test_r3_thousands_of_steps_need_no_recursion():
    drawing = viz.draw(n.recurrent(T=5000), level="ops")
    assert drawing.diagram.length == 5000
    assert len(drawing.svg) < 300_000
