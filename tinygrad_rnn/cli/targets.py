"""What `draw`, `compare` and `doctor` work on: a built-in model by name, or `module:function` of the user's."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .console import RefusedError

__all__ = ["NAMES", "Problem", "call", "problem"]

NAMES = ("regression", "classifier", "charmodel", "sentiment", "nextword", "rnn", "lstm", "gru")


class Problem(NamedTuple):
    """loss_fn: dict of Tensors -> loss. params: names -> float64 arrays. by_hand: params -> (loss,) gradients, or None.

    data: what the loss is taken on, of built-in models.
    """

    loss_fn: Callable[..., Any]
    params: dict[str, Any]
    by_hand: Any
    data: tuple[Any, ...] = ()


def problem(target: str, *, steps: int = 8, seed: int = 0) -> Problem:
    """The gradients to compare. Raises RefusedError for a name that is neither built in nor `module:function`.

    A function of the user's returns (loss_fn, params) or (loss_fn, params, gradients).
    """
    if ":" not in target:
        return _built_in(target, steps, np.random.default_rng(seed))
    found = call(target)
    if not isinstance(found, tuple) or len(found) not in (2, 3) or not callable(found[0]):
        got = f"a tuple of {len(found)}" if isinstance(found, tuple) else type(found).__name__
        raise RefusedError(
            f"{target}: expected it to return (loss_fn, params) or (loss_fn, params, gradients), got {got}."
        )
    loss_fn, params, *rest = found
    if not hasattr(params, "items"):
        raise RefusedError(f"{target}: expected params as a dict of names -> arrays, got {type(params).__name__}.")
    return Problem(guarded(loss_fn, target), dict(params), rest[0] if rest else None)


def call(target: str) -> Any:
    """What `module:function`, called without arguments, returns; modules are also looked for in the current folder.

    Raises RefusedError, with the line of the user's file, for whatever goes wrong in it.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise RefusedError(f"{target!r}: expected module:function, such as mymodel:loss.")
    module_name = module_name.removesuffix(".py")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise RefusedError(
            f"{target}: expected the name of a module, such as mymodel or folder.mymodel, got {module_name!r}. Modules "
            f"are looked for here ({os.getcwd()}): change into the folder of yours first."
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and module_name.startswith(error.name):
            raise RefusedError(
                f"{target}: there is no module {module_name!r} here ({os.getcwd()}) or installed."
            ) from error
        raise RefusedError(_where(target, error)) from error
    except Exception as error:
        raise RefusedError(_where(target, error)) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise RefusedError(f"{target}: {module_name} has no function {name!r}.{_others(module, name)}")
    return guarded(function, target)()


def _others(module: Any, name: str) -> str:
    """What the module has instead: all of a few names, the nearest of many."""
    has = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
    if len(has) <= 8:
        return f" It has: {', '.join(has) or 'none'}."
    near = difflib.get_close_matches(name, has)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def guarded(function: Callable[..., Any], target: str) -> Callable[..., Any]:
    """The function, of whose exceptions the last line in the user's code is told and no traceback."""

    def run(*args: Any) -> Any:
        try:
            return function(*args)
        except Exception as error:
            raise RefusedError(_where(target, error)) from error

    return run


def _where(target: str, error: BaseException) -> str:
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((package, "<frozen"))]
    place = f" at {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""
    return f"{target} raised {type(error).__name__}{place}: {error}"


def _built_in(target: str, T: int, rng: np.random.Generator) -> Problem:
    from .. import models
    from ..manual import charmodel, classifier, gated, nextword, regression, rnn, sentiment

    B, D, H, C = 3, 2, 5, 4

    def drawn(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
        return {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}

    def words(parameters: Any, *data: Any) -> Any:
        listed = {name: np.asarray(value).tolist() for name, value in parameters.items()}
        loss, gradients = nextword.loss_and_gradients(listed, *data)
        return loss, {name: np.array(value) for name, value in gradients.items()}

    twin: Any
    data: Any
    by_hand: Any
    if target == "regression":
        twin, by_hand = models.Regression, regression.loss_and_gradients
        params = drawn(Wh=(H, H), Wi=(H, 1), Wo=(1, H), bias=(H, 1))
        data = rng.standard_normal((T, 1)), rng.standard_normal((T, 1))
    elif target == "classifier":
        twin, by_hand = models.SequenceClassifier, classifier.loss_and_gradients
        params = drawn(Wx=(D, H), Wh=(H, H), Wy=(H, C), Bh=(H,), By=(C,))
        data = rng.standard_normal((B, T, D)), rng.standard_normal((B, C))
    elif target == "charmodel":
        twin, by_hand = models.CharModel, charmodel.loss_and_gradients
        params = drawn(Waa=(H, H), Wax=(H, C), Wya=(C, H), ba=(H, 1), by=(C, 1))
        data = (np.moveaxis(np.eye(C)[rng.integers(0, C, (B, T))], 2, 0) for _ in range(2))
    elif target == "sentiment":
        twin, by_hand = models.Sentiment, sentiment.loss_and_gradients
        params = drawn(Wxh=(H, C), Whh=(H, H), Why=(2, H), bh=(H, 1), by=(2, 1))
        data = np.eye(C)[rng.integers(0, C, T)], 1
    elif target == "nextword":
        twin, by_hand = models.NextWord, words
        params = drawn(Wx=(H, C), Wh=(H, H), Wy=(C, H), bh=(H,), by=(C,))
        data = (rng.integers(0, C, T).tolist() for _ in range(2))
    elif target in ("rnn", "lstm", "gru"):
        twin, by_hand, gates = {
            "rnn": (models.TanhModel, rnn.loss_and_gradients, 1),
            "lstm": (models.LSTMModel, gated.lstm_loss_and_gradients, 4),
            "gru": (models.GRUModel, gated.gru_loss_and_gradients, 3),
        }[target]
        params = rnn.initialize_parameters(D, H, C, rng, gates=gates)
        data = rng.standard_normal((T, B, D)), rng.integers(0, C, (T, B))
    else:
        raise RefusedError(f"{target!r}: expected one of {', '.join(NAMES)}, or module:function.")
    drawn_data: tuple[Any, ...] = tuple(data)
    loss_fn = twin.from_manual(params).loss_fn(*drawn_data)
    return Problem(loss_fn, params, lambda p: by_hand(p, *drawn_data), drawn_data)
