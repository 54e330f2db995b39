"""Batches with a place that can be saved, whether or not they keep one themselves.

Imports `errors`. Here too: the states of generators, which the place of shuffled batches depends on.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_rnn.errors import CheckpointError, DataError, explain

__all__ = ["Feed", "restorer", "states"]

_NO_MORE = object()


class Feed:
    """An iterable that gives an epoch each time it is iterated, and can be left and taken up in mid-epoch.

    batches: with `state_dict` and `load_state_dict` they keep their own place (as those of `data` do). Otherwise, as
        for a list or a DataLoader, the order is drawn again from the generators as they were when the epoch began,
        and what was seen is passed over: right whenever all drawing is done at the beginning of an epoch.
    generators: all that the batches and the model draw from.
    """

    def __init__(self, batches: Iterable[Any], generators: Sequence[np.random.Generator]) -> None:
        self.batches: Any = batches
        self.generators = generators
        self._keeps_place = hasattr(batches, "state_dict") and hasattr(batches, "load_state_dict")
        self._taken = 0
        self._began: list[Any] = []

    def __len__(self) -> int:
        """Batches in an epoch. Raises TypeError if the batches do not know."""
        return len(self.batches)

    def rest(self) -> Iterator[Any]:
        """What is left of the present epoch; when it is all taken, the next call gives the next epoch."""
        if self._keeps_place:
            yield from self.batches
            return
        for batch in self._again() if self._taken else self._anew():
            self._taken += 1
            yield batch
        self._taken = 0

    def state_dict(self) -> dict[str, Any]:
        """The place, without the states of the generators as they are now."""
        if self._keeps_place:
            return {"batches": self.batches.state_dict()}
        return {"taken": self._taken, "began": self._began}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the place. Raises DataError if it is of batches of another kind, and what the batches raise."""
        if ("batches" in state) is not self._keeps_place:
            expected, got = "batches of the kind that the run began with", type(self.batches).__name__
            raise DataError(explain("resumed run", expected=expected, got=got))
        if self._keeps_place:
            self.batches.load_state_dict(state["batches"])
        else:
            self._taken, self._began = state["taken"], state["began"]

    def _anew(self) -> Iterator[Any]:
        self._began = states(self.generators)
        return iter(self.batches)

    def _again(self) -> Iterator[Any]:
        now = states(self.generators)
        restorer(self.generators, self._began, "resumed run")()
        rest = iter(self.batches)
        for passed in range(self._taken):
            if next(rest, _NO_MORE) is _NO_MORE:
                do = "Resume with the data that the run began with."
                expected = f"at least {self._taken} batches"
                raise DataError(explain("resumed run", expected=expected, got=str(passed), do=do))
        restorer(self.generators, now, "resumed run")()
        return rest


def states(generators: Sequence[np.random.Generator]) -> list[Any]:
    """What each generator needs to draw on from here."""
    return [generator.bit_generator.state for generator in generators]


def restorer(generators: Sequence[np.random.Generator], saved: Sequence[Any], where: str) -> Callable[[], None]:
    """Check that states fit the generators, in number and kind; the function returned puts them in.

    Raises CheckpointError, which begins with `where`.
    """
    kinds = [type(generator.bit_generator).__name__ for generator in generators]
    given = [state.get("bit_generator") if isinstance(state, dict) else None for state in saved]
    if kinds != given:
        do = "Pass the generators that the run began with."
        raise CheckpointError(explain(f"{where}, generators", expected=str(kinds), got=str(given), do=do))

    def restore() -> None:
        for generator, state in zip(generators, saved, strict=True):
            generator.bit_generator.state = state

    return restore
