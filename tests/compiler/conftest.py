"""What tests of the compiler share: the machines that it may find itself on."""

import pytest

from tests.compiler.machines import MACHINES, on_machine


@pytest.fixture(params=MACHINES, ids=str)
def machine(request):
    """Each of the machines in turn, whatever this one is."""
    with on_machine(request.param):
        yield request.param
