"""Arguments and results as flat lists: arrays apart from the static values around them, and what selects a program: the
structure of the arguments, shapes and dtypes of arrays, which of them require grad, and the values of all else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import get_default_dtype
from ..errors import GraphError
from ..state import current
from ..tensor import Tensor

Key = tuple[Any, ...]
MOST_PROGRAMS = 64
"""So many programs of one function are kept."""
ATOMS = (int, float, str, bytes, type(None), complex)


class Slot:
    """The place of array number `i` in a structure."""

    __slots__ = ("i",)

    def __init__(self, i: int) -> None:
        self.i = i


def flatten(x: Any, leaves: list[Any], key: list[Any]) -> Any:
    """Take a structure apart: arrays and Tensors go into `leaves`, everything else into `key`; returns the template.

    Lists, tuples, named tuples and dicts are structure. Raises GraphError for a static value that cannot be compared.
    """
    if type(x) is Tensor:
        key.append((x.array.shape, x.array.dtype, x.requires_grad))
        leaves.append(x)
        return Slot(len(leaves) - 1)
    if isinstance(x, (Tensor, np.ndarray)):
        key.append((x.shape, x.dtype, isinstance(x, Tensor) and x.requires_grad))
        leaves.append(x)
        return Slot(len(leaves) - 1)
    if isinstance(x, (list, tuple)):
        key.append((type(x), len(x)))
        parts = [flatten(part, leaves, key) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    if isinstance(x, dict):
        key.append((type(x), tuple(x)))
        return {name: flatten(part, leaves, key) for name, part in x.items()}
    if isinstance(x, ATOMS):
        key.append((type(x), x))
        return x
    try:
        hash(x)
    except TypeError:
        raise GraphError(
            f"compile: an argument of type {type(x).__name__} is neither an array nor a value that can be "
            f"compared with the next one. Pass its arrays, or let the function close over it."
        ) from None
    key.append((type(x), x))
    return x


def fill(template: Any, arrays: Sequence[Any]) -> Any:
    """The structure again, with `arrays` in the places of what was taken out."""
    if isinstance(template, Slot):
        return arrays[template.i]
    if isinstance(template, (list, tuple)):
        parts = [fill(part, arrays) for part in template]
        return type(template)(*parts) if hasattr(template, "_fields") else type(template)(parts)
    if isinstance(template, dict):
        return {name: fill(part, arrays) for name, part in template.items()}
    return template


def settings() -> Key:
    """What a recording depends on besides its arguments: whether gradients are recorded, and the default dtype."""
    return (current().recording, get_default_dtype())
