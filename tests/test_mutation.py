"""The op tests catch every rule that is made wrong on purpose; `python -m tests.mutation` prints the table."""

import pytest

from tests.mutation import SAMPLES, caught, mutants, survey
from tinygrad_rnn.primitive import PRIMITIVES

FLAT = {"floor", "ceil", "trunc", "rint", "sign", "floor_divide"}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_mutant_of_the_rules_is_caught(name: str):
    counts, missed = survey([name])
    assert not missed, f"mutants that the op tests do not notice: {[m.kind for m in missed]}"
    # a rule whose gradient is zero can only be broken by taking it away
    assert counts["caught"] >= (1 if name in FLAT else 5)


def test_every_primitive_with_a_rule_is_mutated():
    # the gradient of stop_gradient is a lie on purpose, which differences would call one
    assert {name for name, p in PRIMITIVES.items() if p.differentiable} - set(SAMPLES) == {"stop_gradient"}


def test_a_mutant_that_changes_nothing_is_called_equivalent():
    (removed,) = [m for m in mutants(["add"]) if m.kind == "rule removed, argument 1"]
    (swapped,) = [m for m in mutants(["add"]) if m.kind == "parents swapped"]
    assert caught(removed) is True
    assert caught(swapped) is None
