"""A short run of the fuzzer; the long one is `python -m tests.fuzz --minutes 10`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn.primitive import PRIMITIVES

from .agreement import check
from .numeric import AGREED, KINK, REFUSED, Disagreement
from .programs import Program, draw_program


def seeded(seed: int, length: int, inplace: bool) -> Program:
    rng = np.random.default_rng(seed)
    return draw_program(lambda n: int(rng.integers(n)), length, inplace=inplace)


# One number stands for a program: Hypothesis then finds the shortest one that fails, and does not pick it to pieces.
seeds = st.integers(0, 2**32 - 1)


@given(st.integers(2, 14), seeds)
@settings(max_examples=60)
def test_random_programs_agree_in_every_way(length: int, seed: int):
    assert check(seeded(seed, length, False)) in (AGREED, KINK)


@given(st.integers(3, 12), seeds)
@settings(max_examples=60)
def test_random_programs_with_in_place_steps_agree_or_are_refused(length: int, seed: int):
    assert check(seeded(seed, length, True)) in (AGREED, KINK, REFUSED)


@pytest.mark.peers
@pytest.mark.parametrize("inplace", [False, True])
def test_random_programs_agree_with_pytorch(inplace: bool):
    torch = pytest.importorskip("torch")
    outcomes = [check(seeded(seed, 3 + seed % 15, inplace), torch, compiled=False) for seed in range(150)]
    assert outcomes.count(AGREED) > (60 if inplace else 120)


def test_the_programs_reach_nearly_every_primitive():
    seen = {step.primitive for seed in range(400) for step in seeded(seed, 20, False).steps}
    # without: what has no gradient to be wrong, or is reached through the sweep only
    missing = {name for name, p in PRIMITIVES.items() if p.differentiable} - seen
    assert missing <= {
        "positive",
        "astype",
        "stop_gradient",
        "binary_cross_entropy",
        "place",
        "put",
        "scatter_along_axis",
    } | {name for name in missing if name.startswith("fused")}


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch):
    tanh = PRIMITIVES["tanh"]
    monkeypatch.setattr(tanh, "vjps", (lambda g, y, x: g * (1 - y),))
    with pytest.raises(Disagreement, match="central differences of the value differ"):
        check(seeded(0, 5, False), compiled=False)
