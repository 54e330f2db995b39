"""What losses and lookups refuse, without PyTorch beside them: a wrong shape must not become a wrong number."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.nn import functional as F


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_weights_of_another_number_of_classes_are_refused(name: str, size: int):
    scores, classes = tg.zeros(2, 3), tg.tensor([0, 1])
    with pytest.raises(ValueError, match=rf"{name}.*for all 3 classes.*\[{size}\]"):
        getattr(F, name)(scores, classes, weight=tg.ones(size))
    getattr(F, name)(scores, classes, weight=tg.ones(3))


def test_weights_of_another_number_of_classes_are_refused_for_shares_too():
    with pytest.raises(ValueError, match="for all 3 classes"):
        F.cross_entropy(tg.zeros(2, 3), tg.ones(2, 3) / 3, weight=tg.ones(1))


@pytest.mark.parametrize("option", ["weight", "pos_weight"])
def test_weights_that_multiply_the_entries_are_refused(option: str):
    x = tg.full((4,), 0.5)
    with pytest.raises(ValueError, match=r"broadcasts to \[4\], got \[2, 4\]"):
        F.binary_cross_entropy_with_logits(x, x, **{option: tg.ones(2, 4)})
    if option == "weight":
        with pytest.raises(ValueError, match=r"broadcasts to \[4\], got \[2, 4\]"):
            F.binary_cross_entropy(x, x, weight=tg.ones(2, 4))


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_that_is_not_there_is_refused_when_replayed_as_well(row: int):
    table = tg.nn.Embedding(3, 2)
    compiled = tg.compile(lambda rows: table(rows).sum())
    np.testing.assert_allclose(compiled(tg.tensor([0, 2])).item(), table(tg.tensor([0, 2])).sum().item(), rtol=1e-6)
    for lookup in (table, compiled):
        with pytest.raises(IndexError, match=r"out of (range|bounds)"):
            lookup(tg.tensor([0, row]))


def test_negative_numbers_count_from_the_end_where_an_array_is_indexed():
    x = tg.arange(3)
    assert tg.compile(lambda rows: x[rows])(tg.tensor([-1, 0])).tolist() == [2, 0]
