"""Several ranks train to the weights of one process, by one Allreduce a step."""

import numpy as np
import pytest

from tests.distributed.launch import launch

pytest.importorskip("mpi4py")
from tests.distributed import cases

pytestmark = pytest.mark.mpi
RELATIVE = 1e-12


@pytest.fixture(scope="module", params=[1, 2, 3, 4])
def trained(request, tmp_path_factory):
    """The weights of every case after training on 1 to 4 ranks, and what was counted."""
    path = tmp_path_factory.mktemp("weights") / "weights.npz"
    launch(request.param, "tests.distributed.cases", path)
    return request.param, np.load(path)


@pytest.fixture(scope="module")
def references():
    """The weights of one process, by case."""
    return {case: cases.alone(case) for case in cases.CASES}


@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_the_weights_are_those_of_one_process(trained, references, case):
    _, found = trained
    for name, expected in references[case].items():
        scale = np.abs(expected).max()
        assert np.abs(found[f"{case}|{name}"] - expected).max() <= RELATIVE * scale, name


@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_training_has_changed_every_weight_that_the_loss_depends_on(references, case):
    start = {name: tensor.detach().numpy() for name, tensor in cases.built(case)[0].named_parameters()}
    for name, expected in references[case].items():
        assert np.array_equal(start[name], expected) is (name == "idle")


@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_a_step_costs_one_allreduce_little_larger_than_the_parameters(trained, references, case):
    ranks, found = trained
    calls, nbytes, gatherings, taken = found[f"{case}|calls"]
    assert taken == cases.STEPS or case.rule == "LBFGS"  # which evaluates the loss several times in a step
    assert calls == (taken if ranks > 1 else 0)
    assert gatherings <= 2
    parameters = sum(array.nbytes for array in references[case].values())
    assert nbytes <= 1.02 * parameters * calls
