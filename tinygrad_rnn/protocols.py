"""NumPy's two protocols (NEP 13, NEP 18): `np.tanh(t)` and `np.stack([t, u])` find our rules, and nothing else passes.

Below Tensor, which inherits this: it looks functions up in the registry and needs to know nothing else of tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .complaints import no_rule
from .errors import GraphError, MissingRuleError
from .primitive import REGISTRY, Primitive
from .writes import mutated

_REDUCTIONS = {
    (np.add, "reduce"): REGISTRY[np.sum],
    (np.multiply, "reduce"): REGISTRY[np.prod],
    (np.maximum, "reduce"): REGISTRY[np.max],
    (np.minimum, "reduce"): REGISTRY[np.min],
}


class NumpyProtocols:
    """What makes NumPy functions work on Tensors, and refuses by name those that have no rule."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__":
            rule = REGISTRY.get(ufunc)
            if len(inputs) > 1:
                # a NumPy scalar is a number and must not widen a tensor: np.sqrt(2) * t is t * np.sqrt(2)
                inputs = tuple([x.item() if isinstance(x, np.generic) else x for x in inputs])
            if type(rule) is Primitive and not kwargs:
                return type(self).__apply_primitive__(rule, inputs, {})  # type: ignore[attr-defined]
        else:
            rule = _REDUCTIONS.get((ufunc, method))
            kwargs.setdefault("axis", 0)  # where np.sum takes all axes, np.add.reduce takes the first
        out = kwargs.pop("out", (None,))[0]
        if rule is None or (kwargs and method == "__call__"):
            what = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
            raise no_rule(what, f"the argument {next(iter(kwargs))!r}" if rule else "")
        result = rule(*inputs, **kwargs)
        return result if out is None else _write_out(out, result)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        rule = REGISTRY.get(function)
        name = f"{(function.__module__ or 'numpy')}.{function.__name__}"
        if rule is None:
            raise no_rule(name)
        out = kwargs.pop("out", None)
        try:
            result = rule(*args, **kwargs)
        except TypeError as error:
            if "argument" in str(error) and not isinstance(error, MissingRuleError):
                raise no_rule(name, f"calling it this way ({str(error).rpartition('() ')[2]})") from error
            raise
        return result if out is None else _write_out(out, result)


def _write_out(out: Any, result: Any) -> Any:
    """Honour `out=` (and `array += tensor`)."""
    if not isinstance(out, np.ndarray):
        return out.rewrite(result if isinstance(result, type(out)) else type(out)(result))
    if result.requires_grad:
        raise GraphError(
            "out=: a plain array cannot hold a tensor that requires grad; detach() it, or let out be a Tensor."
        )
    np.copyto(out, result.array, casting="same_kind")
    mutated(out)
    return out
