"""Nested dicts, lists and tuples with arrays at the tips, as an outline that JSON can hold and a flat dict of arrays.

Floor 1: imports `errors` only. It is how states that are no flat dicts (of optimisers, of training runs) go into
checkpoint files. Nothing is ever rebuilt but the types named here: no code can come out of a file.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_rnn.errors import CheckpointError, explain

__all__ = ["gather", "plant"]

_MARK = "?"  # the key that tells an object of ours from a dict of the user


def gather(tree: Any, *, root: str = "") -> tuple[Any, dict[str, np.ndarray]]:
    """Take the arrays out of a tree.

    tree: dicts (keys: strings, numbers, bools, None), lists, tuples; None, bools, ints, floats, strings; NumPy arrays
        and scalars; Tensors (anything with `detach` and `numpy`). Named tuples and other dicts lose their names.
    root: what the names of the arrays begin with.
    Returns the outline and the arrays by path, such as "optimizer/state/0/exp_avg".
    Raises CheckpointError for anything else, naming its path, and for a tree that contains itself.
    """
    arrays: dict[str, np.ndarray] = {}
    try:
        return _outline(tree, root, arrays), arrays
    except RecursionError as error:
        raise CheckpointError(explain(root or "tree", expected="a tree", got="one nested too deeply")) from error


def plant(outline: Any, arrays: Mapping[str, np.ndarray], *, tensor: Callable[[np.ndarray], Any] = np.asarray) -> Any:
    """Put the arrays back: the inverse of `gather`, with equal types, dtypes and shapes.

    tensor: makes of an array what had been a Tensor. Raises CheckpointError if outline and arrays do not fit.
    """
    try:
        return _planted(outline, arrays, tensor)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        got = f"{type(error).__name__}: {str(error)[:80]!r}"
        raise CheckpointError(explain("outline", expected="one that fits the arrays", got=got)) from error


def _outline(tree: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    kind = type(tree)
    if tree is None or kind in (bool, int, float, str):
        return tree
    if isinstance(tree, list):
        return [_outline(value, f"{path}/{i}", arrays) for i, value in enumerate(tree)]
    if isinstance(tree, tuple):
        return {_MARK: "tuple", "of": _outline(list(tree), path, arrays)}
    if isinstance(tree, Mapping):
        branches = {key: _outline(value, f"{path}/{key}", arrays) for key, value in tree.items()}
        if all(type(key) is str for key in branches) and _MARK not in branches:
            return branches
        odd = next((key for key in branches if key is not None and type(key) not in (bool, int, float, str)), None)
        if odd is None:
            return {_MARK: "dict", "of": [list(pair) for pair in branches.items()]}
        do = "Use strings or numbers as keys."
        raise CheckpointError(
            explain(path or "tree", expected="plain keys", got=f"{type(odd).__name__} {odd!r}", do=do)
        )
    if isinstance(tree, np.generic):
        return {_MARK: "scalar", "at": _held(np.asarray(tree), path, arrays)}
    if isinstance(tree, np.ndarray):
        return {_MARK: "array", "at": _held(tree, path, arrays)}
    if not isinstance(tree, type) and hasattr(tree, "detach") and hasattr(tree, "numpy"):
        return {_MARK: "tensor", "at": _held(tree.detach().numpy(), path, arrays)}
    expected = "numbers, text, arrays, and dicts, lists and tuples of them"
    raise CheckpointError(explain(path or "tree", expected=expected, got=f"{kind.__module__}.{kind.__qualname__}"))


def _held(array: np.ndarray, path: str, arrays: dict[str, np.ndarray]) -> str:
    name = path.removeprefix("/") or "array"
    while name in arrays:  # {"a/b": ...} beside {"a": {"b": ...}}
        name += "'"
    arrays[name] = array
    return name


def _planted(outline: Any, arrays: Mapping[str, np.ndarray], tensor: Callable[[np.ndarray], Any]) -> Any:
    if isinstance(outline, list):
        return [_planted(value, arrays, tensor) for value in outline]
    if not isinstance(outline, dict):
        return outline
    match outline.get(_MARK):
        case None:
            return {key: _planted(value, arrays, tensor) for key, value in outline.items()}
        case "tuple":
            return tuple(_planted(value, arrays, tensor) for value in outline["of"])
        case "dict":
            return {key: _planted(value, arrays, tensor) for key, value in outline["of"]}
        case "array":
            return arrays[outline["at"]]
        case "scalar":
            return arrays[outline["at"]][()]
        case "tensor":
            return tensor(arrays[outline["at"]])
        case other:
            raise ValueError(f"unknown kind {other!r}")
