"""What a compiled training step keeps in memory, beside the step that an expert writes by hand, and that it keeps no
more from step to step.
"""

import pytest

from tests.benchmarks.memory import BOUND, measure
from tests.benchmarks.workloads import WORKLOADS

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
