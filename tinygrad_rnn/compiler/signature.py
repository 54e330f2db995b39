"""Arguments and results as flat lists: arrays apart from the static values around them, and what selects a program: the
structure of the arguments, shapes and dtypes of arrays, which of them require grad, and the values of all else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np

from ..dtypes import get_default_dtype
from ..errors import GraphError
from ..state import current
from ..tensor import Tensor
from .program import refuse

Key = tuple[Any, ...]
MOST_PROGRAMS = 64
"""So many programs of one function are kept."""
ATOMS = (int, float, str, bytes, type(None), complex)


def make_room(kept: dict[Any, Any]) -> None:
    """Forget the oldest of what is kept for programs, so that one more is not too many."""
    while len(kept) >= MOST_PROGRAMS:
        kept.pop(next(iter(kept)))


class Slot:
    """The place of array number `i` in a structure."""

    __slots__ = ("i",)

    def __init__(self, i: int) -> None:
        self.i = i


def flatten(
    x: Any, leaves: list[Any], key: list[Any], other: Callable[[Any], Any] = id, above: tuple[int, ...] = ()
) -> Any:
    """Take a structure apart: arrays and Tensors go into `leaves`, everything else into `key`; returns the template.

    Lists, tuples, named tuples and dicts are structure. other: is called with each static value that is no plain one.
    above: the ids of what x lies in. Raises GraphError for a static value that cannot be compared, and for a list or
    dict that holds itself.
    """
    if type(x) is Tensor:
        key.append((x.array.shape, x.array.dtype, x.requires_grad))
        leaves.append(x)
        return Slot(len(leaves) - 1)
    if isinstance(x, (Tensor, np.ndarray)):
        key.append((x.shape, x.dtype, isinstance(x, Tensor) and x.requires_grad))
        leaves.append(x)
        return Slot(len(leaves) - 1)
    if isinstance(x, (list, tuple, dict)):
        if id(x) in above:
            raise refuse(
                f"a {type(x).__name__} that holds itself has no end when it is taken apart into arrays.",
                "Pass and return the tensors in it, or let the function close over it.",
            )
        above = (*above, id(x))
        if isinstance(x, dict):
            key.append((type(x), tuple(map(_name, x)), getattr(x, "default_factory", None)))
            return _like(x, {name: flatten(part, leaves, key, other, above) for name, part in x.items()})
        key.append((type(x), len(x)))
        parts = [flatten(part, leaves, key, other, above) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    if isinstance(x, (*ATOMS, np.generic)):
        key.append(_name(x))
        return x
    if not (isinstance(x, (np.dtype, Enum)) or (isinstance(x, type) and issubclass(x, np.generic))):
        other(x)
    try:
        hash(x)
    except TypeError:
        raise GraphError(
            f"compile: an argument of type {type(x).__name__} is neither an array nor a value that can be "
            f"compared with the next one. Pass its arrays, or let the function close over it."
        ) from None
    key.append((type(x), x))
    return x


def refuse_result(x: Any) -> None:
    """Raise GraphError for a result that would be returned as it was when it was recorded, whatever is in it."""
    raise refuse(
        f"a result of type {type(x).__name__} would be the same at every call, with the values of the first.",
        "Return its tensors in a tuple or dict, and make the object from them outside.",
    )


def _name(x: Any) -> Any:
    """A plain value or the name of an entry for the key: 1, 1.0 and True are equal, and so are 0.0 and -0.0."""
    if type(x) is str:
        return x
    if isinstance(x, tuple):
        return (type(x), *map(_name, x))
    return type(x), repr(x) if isinstance(x, (float, complex, np.generic)) else x


def fill(template: Any, arrays: Sequence[Any]) -> Any:
    """The structure again, with `arrays` in the places of what was taken out."""
    if isinstance(template, Slot):
        return arrays[template.i]
    if isinstance(template, (list, tuple)):
        parts = [fill(part, arrays) for part in template]
        return type(template)(*parts) if hasattr(template, "_fields") else type(template)(parts)
    if isinstance(template, dict):
        return _like(template, {name: fill(part, arrays) for name, part in template.items()})
    return template


def _like(x: dict[Any, Any], entries: dict[Any, Any]) -> dict[Any, Any]:
    """A dict of the kind of x with other values."""
    if type(x) is dict:
        return entries
    made = copy.copy(x)  # an OrderedDict, a defaultdict and what it makes new entries with
    for name, value in entries.items():
        made[name] = value
    return made


def settings() -> Key:
    """What a recording depends on besides its arguments: whether gradients are recorded, and the default dtype."""
    return (current().recording, get_default_dtype())
