"""Nested dicts, lists and tuples with arrays at the tips, as an outline that JSON can hold and a flat dict of arrays.

Floor 1: imports `errors` only. It is how states that are no flat dicts (of optimisers, of training runs) go into
checkpoint files. Nothing is ever rebuilt but the types named here: no code can come out of a file.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rnn.errors import CheckpointError, explain

__all__ = ["gather", "plant"]

_MARK = "?"  # the key that tells an object of ours from a dict of the user
_DTYPES = {"float32", "float64", "float16", "complex64", "bool"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}

Spell = Callable[[Any], str | None]


def gather(tree: Any, *, root: str = "", spell: Spell = lambda value: None) -> tuple[Any, dict[str, np.ndarray]]:
    """Take the arrays out of a tree.

    tree: dicts (keys: strings, numbers, bools, None), lists, tuples; None, bools, ints, floats, strings; NumPy arrays,
        scalars and dtypes; Tensors (anything with `detach` and `numpy`). Named tuples and other dicts lose their names.
    root: what the names of the arrays begin with.
    spell: the name of an object that is to be stored by its name, such as a function; None for all others.
    Returns the outline and the arrays by path, such as "optimizer/state/0/exp_avg".
    Raises CheckpointError for anything else, naming its path, and for a tree that contains itself.
    """
    arrays: dict[str, np.ndarray] = {}
    try:
        return _outline(tree, root, _Taken(arrays, spell)), arrays
    except RecursionError as error:
        raise CheckpointError(explain(root or "tree", expected="a tree", got="one nested too deeply")) from error


def plant(
    outline: Any,
    arrays: Mapping[str, np.ndarray],
    *,
    tensor: Callable[[np.ndarray], Any] = np.asarray,
    look_up: Callable[[str], Any] | None = None,
) -> Any:
    """Put the arrays back: the inverse of `gather`, with equal types, dtypes and shapes.

    tensor: makes of an array what had been a Tensor. look_up: finds what had been stored by name, or raises; without
        it a name is an error.
    Raises CheckpointError if outline and arrays do not fit, and what `look_up` raises.
    """
    try:
        return _planted(outline, _Given(arrays, tensor, look_up))
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        got = f"{type(error).__name__}: {str(error)[:80]!r}"
        raise CheckpointError(explain("outline", expected="one that fits the arrays", got=got)) from error


class _Taken(NamedTuple):
    arrays: dict[str, np.ndarray]
    spell: Spell

    def hold(self, array: np.ndarray, path: str) -> str:
        name = path.removeprefix("/") or "array"
        while name in self.arrays:  # {"a/b": ...} beside {"a": {"b": ...}}
            name += "'"
        self.arrays[name] = array
        return name


class _Given(NamedTuple):
    arrays: Mapping[str, np.ndarray]
    tensor: Callable[[np.ndarray], Any]
    look_up: Callable[[str], Any] | None


def _outline(tree: Any, path: str, taken: _Taken) -> Any:
    if tree is None or type(tree) in (bool, int, float, str):
        return tree
    if isinstance(tree, list):
        return [_outline(value, f"{path}/{i}", taken) for i, value in enumerate(tree)]
    if isinstance(tree, tuple):
        return {_MARK: "tuple", "of": _outline(list(tree), path, taken)}
    if isinstance(tree, Mapping):
        return _branches(tree, path, taken)
    if isinstance(tree, np.generic):
        return {_MARK: "scalar", "at": taken.hold(np.asarray(tree), path)}
    if isinstance(tree, np.ndarray):
        return {_MARK: "array", "at": taken.hold(tree, path)}
    if isinstance(tree, np.dtype) and tree.name in _DTYPES:
        return {_MARK: "dtype", "name": tree.name}
    detach: Any = getattr(tree, "detach", None)
    if detach is not None and hasattr(tree, "numpy") and not isinstance(tree, type):
        return {_MARK: "tensor", "at": taken.hold(detach().numpy(), path)}
    name = taken.spell(tree)
    if name is not None:
        return {_MARK: "name", "of": name}
    expected = "numbers, text, arrays, and dicts, lists and tuples of them"
    got = f"{type(tree).__module__}.{type(tree).__qualname__}"
    raise CheckpointError(explain(path or "tree", expected=expected, got=got))


def _branches(tree: Mapping[Any, Any], path: str, taken: _Taken) -> dict[str, Any]:
    branches = {key: _outline(value, f"{path}/{key}", taken) for key, value in tree.items()}
    if all(type(key) is str for key in branches) and _MARK not in branches:
        return branches
    for key in branches:
        if key is not None and type(key) not in (bool, int, float, str):
            got = f"{type(key).__name__} {key!r}"
            do = "Use strings or numbers as keys."
            raise CheckpointError(explain(path or "tree", expected="plain keys", got=got, do=do))
    return {_MARK: "dict", "of": [list(pair) for pair in branches.items()]}


def _planted(outline: Any, given: _Given) -> Any:
    if isinstance(outline, list):
        return [_planted(value, given) for value in outline]
    if not isinstance(outline, dict):
        return outline
    match outline.get(_MARK):
        case None:
            return {key: _planted(value, given) for key, value in outline.items()}
        case "tuple":
            return tuple(_planted(value, given) for value in outline["of"])
        case "dict":
            return {key: _planted(value, given) for key, value in outline["of"]}
        case "array":
            return given.arrays[outline["at"]]
        case "scalar":
            return given.arrays[outline["at"]][()]
        case "tensor":
            return given.tensor(given.arrays[outline["at"]])
        case "dtype" if outline["name"] in _DTYPES:
            return np.dtype(outline["name"])
        case "name" if given.look_up is not None and isinstance(outline["of"], str):
            return given.look_up(outline["of"])
        case other:
            raise ValueError(f"unknown kind {other!r}")
