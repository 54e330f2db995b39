"""The doctor examined on mistakes that it did not make itself: see `wrong.py` for the patients and `bars.py` for the
figures.
"""

import pytest

from tests.compare import bars, exam, wrong

CASES = [(cell, name) for cell in wrong.GATES for name in exam.mistakes_of(cell)]


@pytest.mark.parametrize(("cell", "name"), CASES)
def test_one_mistake_is_named(cell, name):
    result = bars.singles(cell, name, count=2, seed=3)
    assert result.named == result.of, result.failures


@pytest.mark.parametrize("cell", wrong.GATES)
def test_pairs_are_named_exactly(cell):
    result = bars.several(cell, 2, count=4, seed=4)
    assert result.named >= 3, result.failures


def test_right_gradients_are_never_accused():
    assert bars.accused(36, seed=5) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "name"), CASES)
def test_one_mistake_is_named_in_thirty_models(cell, name):
    result = bars.singles(cell, name, count=30)
    assert result.named >= 0.98 * result.of - 1, result.failures


@pytest.mark.slow
def test_singles_and_pairs_over_all_cells():
    results = [bars.singles(cell, name, count=10, seed=6) for cell, name in CASES]
    assert sum(r.named for r in results) >= 0.98 * sum(r.of for r in results), [r.failures for r in results]
    pairs = [bars.several(cell, 2, count=60, seed=7) for cell in wrong.GATES]
    assert sum(r.named for r in pairs) >= 0.9 * sum(r.of for r in pairs), [r.failures for r in pairs]


@pytest.mark.slow
def test_five_hundred_right_gradients():
    assert bars.accused(500) == 0
