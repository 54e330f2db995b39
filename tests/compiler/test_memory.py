"""What a compiled training step keeps in memory, beside the step that an expert writes by hand, and that it keeps no
more from step to step.
"""

import gc

import pytest

import tinygrad_rnn as tg
from tests.benchmarks.memory import BOUND, measure
from tests.benchmarks.workloads import WORKLOADS
from tests.compiler.loops import batch, loss_of, weights
from tinygrad_rnn.compiler.program import Instruction

QUICK = ("W1", "W2", "W9")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in WORKLOADS]
)
def test_buffers_are_little_more_than_the_experts_and_none_is_added(name):
    expert = measure("manual", name).kept
    assert expert > sum(array.nbytes for array in WORKLOADS[name].parameters().values())
    for side in ("compiled", "compiled-step"):
        found = measure(side, name)
        assert found.kept <= BOUND * expert, f"{side}: {found.kept:,} bytes against {expert:,}"
        assert found.grown == 0, f"{side}: {found.grown} bytes more in arrays"
        assert found.objects < 2000, f"{side}: {found.objects} bytes more in objects"


def test_what_compiling_made_is_not_searched_for_garbage_while_it_is_young():
    compiled = tg.compile(loss_of("lstm", weights("lstm")))
    compiled(*batch()).backward()
    young = [x for generation in (0, 1) for x in gc.get_objects(generation=generation)]
    assert not any(isinstance(x, Instruction) for x in young)


def test_what_the_user_keeps_from_being_searched_stays_so():
    mine = [[] for _ in range(1000)]
    gc.freeze()
    try:
        tg.compile(loss_of("tanh", weights("tanh")))(*batch())
        assert gc.get_freeze_count() >= len(mine)
    finally:
        gc.unfreeze()
