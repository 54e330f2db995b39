"""Training and validation parts of a data set.

Floor 0: imports `errors` only.
"""

from typing import Any, Protocol, TypeVar

import numpy as np

from tinygrad_rnn.errors import DataError, explain

__all__ = ["random_split", "split"]


class _Slices(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, stretch: slice, /) -> Any: ...


Sliced = TypeVar("Sliced", bound=_Slices)


def split(series: Sliced, *, validation: float = 0.1) -> tuple[Sliced, Sliced]:
    """Cut a text, stream or series in two, the end for validation: what comes later is never trained on.

    series: anything that slices, of length N. validation: its share, above 0 and below 1, rounded, at least one
        element.
    Returns (training, validation), slices of what was given. Raises DataError if a part would be empty.
    """
    cut = len(series) - _count(len(series), validation)
    return series[:cut], series[cut:]


def random_split(
    count: int, *, validation: float = 0.1, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw which of `count` independent samples are for validation.

    Returns the indices for training and for validation, two (n,) int64 arrays in rising order without a common element.
    Raises DataError if a part would be empty.
    """
    chosen = generator.permutation(count)
    held = _count(count, validation)
    return np.sort(chosen[held:]), np.sort(chosen[:held])


def _count(total: int, share: float) -> int:
    if not 0 < share < 1:
        raise DataError(explain("split", expected="a validation share between 0 and 1", got=repr(share)))
    if total < 2:
        raise DataError(explain("split", expected="at least 2 elements", got=str(total)))
    return min(max(round(total * share), 1), total - 1)
