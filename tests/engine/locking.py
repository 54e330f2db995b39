"""What the tests of read-only residuals share: a leaf, and the check that every lock is given back."""

import gc
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import protection

READ_ONLY = "read-only"


@pytest.fixture(autouse=True)
def nothing_stays_locked():
    yield
    gc.collect()
    assert not protection.locks, "arrays stay read-only though no graph needs them"


def leaf(*values: float) -> Any:
    return tg.Tensor(np.array(values), requires_grad=True)
