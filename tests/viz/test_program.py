"""The compiler's view: passes side by side, batched groups, lifetimes."""

import re
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tg
import viz
from tests.viz.geometry import text_on_text
from tests.viz.test_svg import inert
from viz.program import ProgramDrawing, draw_program

T, B, D, H = 6, 2, 3, 4


@pytest.fixture(scope="module")
def compiled():
    rng = np.random.default_rng(0)
    W, U, V = (tg.tensor(rng.standard_normal(s) * 0.3, requires_grad=True) for s in ((D, H), (H, H), (H, D)))

    @tg.compile
    def loss(x):
        h, total = tg.zeros(B, H, dtype=tg.float64), 0.0
        for t in range(T):
            h = tg.tanh(x[t] @ W + h @ U)
            total = total + ((h @ V - x[t]) ** 2).sum()
        return total

    return loss, tg.tensor(rng.standard_normal((T, B, D)))


def test_each_pass_that_changes_something_is_a_column(compiled):
    loss, x = compiled
    drawing = viz.draw(loss, x)
    names = [name for name, _ in drawing.stages]
    assert names[0] == "recorded"
    assert "batching" in names
    for name, instructions in drawing.stages:
        assert f">{name}<" in drawing.svg
        assert f">{len(instructions)} instructions, " in drawing.svg
    counts = [len(instructions) for _, instructions in drawing.stages]
    assert counts[-1] < counts[0]


def test_batched_groups_are_seen_as_one_wide_tile(compiled):
    loss, x = compiled
    drawing = viz.draw(loss, x)
    assert drawing.svg.count(" batched") > 1
    assert f">×{T}<" in drawing.svg
    assert f"does the work of {T} instructions at once" in drawing.svg
    assert f"(×{T}" in drawing.text


def test_every_instruction_is_drawn_and_the_buffers_below(compiled):
    loss, x = compiled
    drawing = viz.draw(loss, x)
    tiles = drawing.svg.count('tabindex="0"')
    assert tiles == sum(len(instructions) for _, instructions in drawing.stages)
    bars = drawing.svg.count('<g class="n op') - tiles
    assert bars == len(drawing.stages[-1][1])
    assert "alive at once" in drawing.svg
    assert ">backward<" in drawing.svg


def test_buffers_have_names_sizes_and_an_axis_of_instructions(compiled):
    loss, x = compiled
    drawing = viz.draw(loss, x)
    below = drawing.svg[drawing.svg.index("Buffers: at most") :]
    names = re.findall(r'<text class="name" x="[\d.]+" y="([\d.]+)">([^<]+)<', below)
    sizes = re.findall(r'<text class="name r"[^>]*>([^<]+)<', below)
    assert len(names) == len(sizes) > 5
    assert any(name.startswith("tanh") for _, name in names)
    heights = sorted(float(y) for y, _ in names)
    assert all(b - a >= 12.9 for a, b in pairwise(heights)), "no name stands on another"
    assert ">instruction<" in below
    ticks = [int(text) for text in re.findall(r'<text class="tick"[^>]*>(\d+)<', below)]
    count = len(drawing.stages[-1][1])
    assert ticks == list(range(0, count, ticks[1]))
    assert 3 < len(ticks) <= 12
    assert below.count(">backward<") == 1
    assert re.search(r"alive at once, at instruction \d+\.", below)


def test_the_picture_is_inert_and_readable(compiled, tmp_path):
    loss, x = compiled
    drawing = viz.draw(loss, x, theme="light")
    assert isinstance(drawing, ProgramDrawing)
    root = inert(drawing.svg)
    assert root.get("role") == "img"
    assert text_on_text(drawing.svg) == []
    assert drawing.save(tmp_path / "program.svg").read_text() == drawing.svg
    assert viz.draw(loss, x, theme="light").svg == drawing.svg


class Scope(NamedTuple):
    path: str = "cell"
    t: int | None = None


class Primitive(NamedTuple):
    kind: str = "elementwise"


class Instruction(NamedTuple):
    """As much of an instruction as a drawing reads."""

    op: str
    shape: tuple
    args: tuple = ()
    dtype: str = "float64"
    nbytes: int = 64
    backward: bool = False
    scope: Scope = Scope()
    primitive: Primitive = Primitive()


class Program(NamedTuple):
    instructions: list


def test_a_group_is_known_by_its_longer_or_new_first_axis():
    recorded = Program([Instruction(op, (2, 4)) for op in ("tanh", "exp", "add") for _ in range(5)])
    batched = Program([Instruction("tanh", (5, 2, 4)), Instruction("exp", (10, 4)), Instruction("add", (2, 4))])
    drawing = draw_program([("recorded", recorded), ("batching", batched)])
    lines = {line.split()[0]: line.split()[-1] for line in drawing.text.splitlines()[3:]}
    assert lines == {"tanh": "(×5)", "exp": "(×5)", "add": "1"}


def test_no_program_is_refused():
    with pytest.raises(ValueError, match="has no program"):
        draw_program([])
