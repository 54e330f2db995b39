"""The longer error messages of the engine: what did not fit, what went NaN, what has no rule. Arrays and nodes only.

Floor 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import AnomalyError, DTypeError, MissingRuleError, ShapeError, explain
from .graph import Node
from .primitive import Primitive
from .state import call_site, current


def mismatch(
    primitive: Primitive, arrays: list[Any], params: dict[str, Any], where: str, error: Exception
) -> Exception:
    """NumPy's complaint about the arguments of an op, with the place and all shapes in it."""
    given = "".join(f", {name}={value!r}" for name, value in params.items())
    hint = _matmul_hint(arrays) if primitive.name == "matmul" else ""
    kind = ShapeError if isinstance(error, ValueError) else DTypeError
    return kind(f"{primitive.name}{where}: got {', '.join(map(brief, arrays))}{given};{hint} {error}")


def _matmul_hint(arrays: list[Any]) -> str:
    a, b = (list(np.shape(x)) for x in arrays)
    if not a or not b:
        return " expected arrays of one axis or more."
    inner = b[-2] if len(b) > 1 else b[0]
    return f" inner sizes {a[-1]} and {inner} differ." + (
        " Did you mean x @ W.T?" if len(b) > 1 and a[-1] == b[-1] else ""
    )


def brief(a: Any) -> str:
    """An array as dtype and shape, anything else as it prints."""
    return f"{a.dtype}{list(a.shape)}" if isinstance(a, np.ndarray) else repr(a)


def no_gradient(dtype: np.dtype, value: Any) -> DTypeError:
    """For a tensor that cannot require grad, or a `requires_grad` that is no flag."""
    if value not in (True, False):
        do = "For a tensor of these sizes use zeros() or empty()."
        return DTypeError(explain("requires_grad", expected="True or False", got=repr(value), do=do))
    return DTypeError(
        f"Only Tensors of floating point dtype can require gradients, got {dtype}. Convert with .float() or .double()."
    )


def caster(dtype: np.dtype) -> str:
    """The method that converts to a float dtype, as it is to be typed: "float()" or "double()"."""
    return "double()" if dtype.itemsize == 8 else "float()"


def no_tensor(name: str, what: str, given: Any) -> DTypeError:
    """For a list, number or pair where an op of `nn` expects a Tensor. what: which argument it is."""
    do = f"Convert it: tensor({what})."
    if isinstance(given, tuple) and given and hasattr(given[0], "shape"):
        do = "A recurrent layer returns (output, state): hand on the first of the two."
    where = f"{name}{current().scope.where()}, {what}"
    return DTypeError(explain(where, expected="a Tensor", got=type(given).__name__, do=do))


def raise_if_born_forward(primitive: Primitive, arrays: list[Any], out: np.ndarray, where: str) -> None:
    """Raise AnomalyError for the first NaN or Inf of a forward pass: `out` has one and no input had."""
    if out.dtype.kind != "f" or np.isfinite(out).all() or not all(map(_finite, arrays)):
        return
    raise AnomalyError(
        f"{primitive.name}{where} at {call_site()}: the first NaN or Inf is born here ({_count(out)}); all inputs are "
        "finite: "
        f"{', '.join(brief(a) + _span(a) for a in arrays)}."
    )


def raise_if_born_backward(contribution: Any, g: Any, node: Node, i: int) -> None:
    """The same for the cotangent that `node` hands to its argument `i`."""
    array = getattr(contribution, "array", contribution)
    if _finite(array) or not _finite(getattr(g, "array", g)):
        return
    raise AnomalyError(
        f"backward through {node.describe()}: the gradient of argument {i} is the first with NaN or Inf "
        f"({_count(array)}); the "
        f"gradient that came in was finite. The sweep was started at {call_site()}."
    )


def _finite(a: Any) -> bool:
    return not isinstance(a, (np.ndarray, float)) or bool(np.isfinite(a).all())


def _count(array: Any) -> str:
    return f"{int(np.isnan(array).sum())} NaN and {int(np.isinf(array).sum())} Inf of {np.size(array)}"


def _span(a: Any) -> str:
    return (
        f" from {a.min():.4g} to {a.max():.4g}" if isinstance(a, np.ndarray) and a.size and a.dtype.kind == "f" else ""
    )


def no_rule(name: str, what: str = "") -> MissingRuleError:
    """For a NumPy function, or a way of calling one, that has no meaning on Tensors here."""
    return MissingRuleError(
        f"{name}: {what or 'it'} has no rule for Tensors and is refused, for NumPy's own result would carry no "
        "gradient. For values "
        f"alone use x.detach().numpy(); for a gradient of your own, subclass autograd.Function."
    )
