"""Each primitive as ONNX operators: a function `(builder, node) -> name of the value`, in one table.

Imports `graph`, and primitives by name only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import MissingRuleError
from ..graph import Node
from ..ops.index import Slot
from .graph import Builder
from .sizes import Size, solve

Rule = Callable[[Builder, Node], str]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a function into the table under names of primitives."""

    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return enter


def emit(b: Builder, node: Node) -> str:
    """Write the operators of a node. Raises MissingRuleError, by name, if it has no ONNX form."""
    found = RULES.get(node.op)
    if found is None:
        hint = (
            " It draws at random: call model.eval() first."
            if node.primitive and node.primitive.kind == "random"
            else ""
        )
        raise MissingRuleError(f"export: {node.describe()} has no ONNX form.{hint}")
    return found(b, node)


def _inputs(b: Builder, node: Node, dtype: Any = None) -> list[str]:
    """The arguments, all of one dtype: that of the output unless told."""
    return [b.value(p, node.dtype if dtype is None else dtype) for p in node.parents]


SAME = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "negative": "Neg", "power": "Pow",
    "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "absolute": "Abs", "reciprocal": "Reciprocal", "sign": "Sign",
    "floor": "Floor", "ceil": "Ceil", "rint": "Round", "sin": "Sin", "cos": "Cos", "tan": "Tan", "arctan": "Atan",
    "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "softplus": "Softplus",
    "erf": "Erf", "maximum": "Max", "minimum": "Min", "matmul": "MatMul", "positive": "Identity", "copy": "Identity",
    "stop_gradient": "Identity", "logical_not": "Not", "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor",
}  # fmt: skip
COMPARED = {
    "equal": "Equal", "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
}  # fmt: skip


@rule(*SAME)
def _same(b: Builder, node: Node) -> str:
    return b.add(SAME[node.op], *_inputs(b, node))


def _common(node: Node) -> Any:
    """The dtype that arguments of a comparison have in common; a Python number has none of its own."""
    own = [p.dtype for p in node.parents if not isinstance(p.value, bool | int | float)]
    return np.result_type(*own)


@rule(*COMPARED)
def _compared(b: Builder, node: Node) -> str:
    return b.add(COMPARED[node.op], *_inputs(b, node, _common(node)))


@rule("not_equal")
def _not_equal(b: Builder, node: Node) -> str:
    return b.add("Not", b.add("Equal", *_inputs(b, node, _common(node))))


@rule("isnan")
def _isnan(b: Builder, node: Node) -> str:
    return b.add("IsNaN", b.value(node.parents[0]))


def _number(b: Builder, node: Node, value: float) -> str:
    return b.constant(value, node.dtype)


@rule("square")
def _square(b: Builder, node: Node) -> str:
    (x,) = _inputs(b, node)
    return b.add("Mul", x, x)


@rule("expm1")
def _expm1(b: Builder, node: Node) -> str:
    return b.add("Sub", b.add("Exp", *_inputs(b, node)), _number(b, node, 1))


@rule("log1p")
def _log1p(b: Builder, node: Node) -> str:
    return b.add("Log", b.add("Add", *_inputs(b, node), _number(b, node, 1)))


@rule("gelu")
def _gelu(b: Builder, node: Node) -> str:
    (x,) = _inputs(b, node)
    bell = b.add("Erf", b.add("Mul", x, _number(b, node, 0.5**0.5)))
    return b.add("Mul", x, b.add("Mul", b.add("Add", bell, _number(b, node, 1)), _number(b, node, 0.5)))


@rule("zeros_like", "ones_like")
def _constant_like(b: Builder, node: Node) -> str:
    scalar = _number(b, node, 1 if node.op == "ones_like" else 0)
    return b.add("Expand", scalar, b.shape(b.shape_of(node)))


@rule("where")
def _where(b: Builder, node: Node) -> str:
    condition, x, y = node.parents
    return b.add("Where", b.value(condition, np.dtype(np.bool_)), b.value(x, node.dtype), b.value(y, node.dtype))


@rule("clip")
def _clip(b: Builder, node: Node) -> str:
    low, high = (node.params.get(k) for k in ("low", "high"))
    bounds = ["" if n is None else _number(b, node, n) for n in (low, high)]
    return b.add("Clip", *_inputs(b, node), *bounds)


@rule("astype")
def _astype(b: Builder, node: Node) -> str:
    return b.add("Cast", b.value(node.parents[0]), to=b.element(node.dtype))


# reductions
REDUCED = {
    "sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin", "prod": "ReduceProd",
    "logsumexp": "ReduceLogSumExp",
}  # fmt: skip


@rule(*REDUCED)
def _reduced(b: Builder, node: Node) -> str:
    (x,) = _inputs(b, node)
    axes = list(node.params["axis"])
    if not axes:
        return b.add("Identity", x)
    keep = int(node.params["keepdims"])
    if node.op == "sum" or b.opset >= 18:
        return b.add(REDUCED[node.op], x, b.integers(axes), keepdims=keep)
    return b.add(REDUCED[node.op], x, axes=axes, keepdims=keep)


@rule("softmax", "log_softmax")
def _softmax(b: Builder, node: Node) -> str:
    (axis,) = node.params["axis"]
    return b.add({"softmax": "Softmax", "log_softmax": "LogSoftmax"}[node.op], *_inputs(b, node), axis=axis)


@rule("argmax", "argmin")
def _argmax(b: Builder, node: Node) -> str:
    x, axis, keep = b.value(node.parents[0]), node.params["axis"], int(node.params["keepdims"])
    if axis is None:
        x, axis, keep = b.add("Reshape", x, b.integers([-1])), 0, 0
    return b.add({"argmax": "ArgMax", "argmin": "ArgMin"}[node.op], x, axis=axis, keepdims=keep)


@rule("cumsum")
def _cumsum(b: Builder, node: Node) -> str:
    return b.add("CumSum", *_inputs(b, node), b.constant(node.params["axis"], np.int64))


@rule("einsum")
def _einsum(b: Builder, node: Node) -> str:
    return b.add("Einsum", *_inputs(b, node), equation=node.params["subscripts"])


# shapes
@rule("reshape")
def _reshape(b: Builder, node: Node) -> str:
    return b.add("Reshape", *_inputs(b, node), b.shape(b.shape_of(node)))


@rule("broadcast_to")
def _expand(b: Builder, node: Node) -> str:
    return b.add("Expand", *_inputs(b, node), b.shape(b.shape_of(node)))


@rule("transpose")
def _transpose(b: Builder, node: Node) -> str:
    return b.add("Transpose", *_inputs(b, node), perm=list(node.params["axes"]))


@rule("concatenate")
def _concatenate(b: Builder, node: Node) -> str:
    return b.add("Concat", *_inputs(b, node), axis=node.params["axis"])


@rule("stack")
def _stack(b: Builder, node: Node) -> str:
    axis = b.integers([node.params["axis"]])
    return b.add("Concat", *(b.add("Unsqueeze", x, axis) for x in _inputs(b, node)), axis=node.params["axis"])


@rule("flip")
def _flip(b: Builder, node: Node) -> str:
    axes = list(node.params["axis"])
    last, first = [-1] * len(axes), [np.iinfo(np.int64).min] * len(axes)
    return b.add("Slice", *_inputs(b, node), *map(b.integers, (last, first, axes, last)))


@rule("pad")
def _pad(b: Builder, node: Node) -> str:
    before, after = zip(*node.params["width"], strict=True)
    return b.add("Pad", *_inputs(b, node), b.integers([*before, *after]), _number(b, node, node.params["value"]))


@rule("tril", "triu")
def _tri(b: Builder, node: Node) -> str:
    k = b.constant(node.params["k"], np.int64)
    return b.add("Trilu", *_inputs(b, node), k, upper=int(node.op == "triu"))


# reading parts
@rule("getitem")
def _getitem(b: Builder, node: Node) -> str:
    x, shape = b.value(node.parents[0]), node.parents[0].shape
    parts, others = (_spelt_out(n.params["index"], len(shape)) for n in (node, b.twins[node]))
    starts, stops, axes, steps, dropped, added = [], [], [], [], [], []
    axis = place = 0
    for part, other in zip(parts, others, strict=True):
        if part is None:
            added.append(place)
            place += 1
            continue
        if isinstance(part, int):
            start = _bound(b, part, other, node)
            starts.append(start)
            stops.append(_after(start))
            axes.append(axis)
            steps.append(1)
            dropped.append(axis)
        else:
            if part != slice(None):
                step = part.step or 1
                ends = (0, np.iinfo(np.int64).max) if step > 0 else (-1, np.iinfo(np.int64).min)
                starts.append(ends[0] if part.start is None else _bound(b, part.start, other.start, node))
                stops.append(ends[1] if part.stop is None else _bound(b, part.stop, other.stop, node))
                axes.append(axis)
                steps.append(step)
            place += 1
        axis += 1
    if axes:
        x = b.add("Slice", x, b.shape(starts), b.shape(stops), b.integers(axes), b.integers(steps))
    if dropped:
        x = b.add("Squeeze", x, b.integers(dropped))
    return b.add("Unsqueeze", x, b.integers(added)) if added else x if axes else b.add("Identity", x)


def _spelt_out(index: tuple[Any, ...], ndim: int) -> list[Any]:
    """An index with slices in place of `...` and of what is left out."""
    taken = sum(part is not None and part is not Ellipsis for part in index)
    fill = [slice(None)] * (ndim - taken)
    if Ellipsis not in index:
        return [*index, *fill]
    at = index.index(Ellipsis)
    return [*index[:at], *fill, *index[at + 1 :]]


def _bound(b: Builder, first: Any, second: Any, node: Node) -> int | Size:
    return solve(int(first), int(second), b.axes, f"the index of {node.describe()}")


def _after(start: int | Size) -> int | Size:
    if isinstance(start, Size):
        return start._replace(offset=start.offset + 1)
    return np.iinfo(np.int64).max if start == -1 else start + 1


@rule("take")
def _take(b: Builder, node: Node) -> str:
    *lead, slot = node.params["pattern"]
    if not isinstance(slot, Slot) or any(part != slice(None) for part in lead) or node.parents[1].dtype.kind == "b":
        raise MissingRuleError(
            f"export: {node.describe()}: ONNX has a form for one index array of integers, along one axis."
        )
    return b.add("Gather", b.value(node.parents[0]), b.value(node.parents[1], np.int64), axis=len(lead))


@rule("take_along_axis")
def _gather(b: Builder, node: Node) -> str:
    x, index = node.parents
    rows = b.value(index, np.int64)
    if index.shape != node.shape:
        rows = b.add("Expand", rows, b.shape(b.shape_of(node)))
    return b.add("GatherElements", b.value(x), rows, axis=node.params["axis"])
