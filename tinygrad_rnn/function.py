"""`autograd.Function`: an op of the user's own, with a handwritten backward.

Floor 8. The subclass becomes a primitive of kind "custom" whose joint rule calls its `backward`, so such an op stands
in the graph
like any other: it is drawn, checked and swept. In a second-order sweep `backward` itself runs on Tensors and is
recorded. A compiler records both `forward` and `backward` op by op, so they may read no values (`x.numpy()`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import GraphError, ShapeError
from .primitive import Primitive
from .state import current, enable_grad, is_grad_enabled, no_grad
from .tensor import Tensor, apply, make


class Context:
    """What `forward` leaves for `backward`: saved tensors, and any attribute that it sets.

    needs_input_grad: a bool for each argument of `forward`.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._saved: tuple[Any, ...] = ()
        self._fixed: list[Tensor] = []
        self._known: dict[int, Tensor] = {}  # arrays whose history backward must see: inputs and outputs

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors (inputs or outputs of this op, or None) for `backward`."""
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors of `save_for_backward`."""
        return tuple(self._known.get(id(t.array), t) if isinstance(t, Tensor) else t for t in self._saved)

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that no gradient flows through these outputs."""
        self._fixed.extend(outputs)

    def set_materialize_grads(self, value: bool) -> None:
        """Accepted for PyTorch's sake: missing gradients are always zeros here."""


class Function:
    """Base of an op with a backward of its own.

    Subclasses define two static methods: `forward(ctx, *args)` returns a Tensor or a tuple of them; `backward(ctx,
    *grads)` takes one gradient per output and returns one gradient, or None, per argument of `forward`. Use it as
    `Square.apply(x)`.
    """

    _primitive: Primitive | None = None

    @staticmethod
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("Function: define the static method forward(ctx, *args).")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradients of the arguments."""
        raise NotImplementedError("Function: define the static method backward(ctx, *grads).")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and record it. Raises GraphError later, in backward, if `backward` returns too few or many
        gradients."""
        if cls.__dict__.get("_primitive") is None:
            cls._primitive = Primitive(cls.__name__, _run, "custom", joint=_pull_back, saves="y*")
        ctx = Context(tuple(isinstance(a, Tensor) and a.requires_grad for a in args))
        with no_grad():
            outputs = cls.forward(ctx, *args)
        if not (is_grad_enabled() and any(ctx.needs_input_grad)):
            return outputs
        many = isinstance(outputs, tuple)
        listed = list(outputs) if many else [outputs]
        fixed = {id(t) for t in ctx._fixed}
        flowing = [
            i for i, t in enumerate(listed) if isinstance(t, Tensor) and t.dtype.kind == "f" and id(t) not in fixed
        ]
        if not flowing:
            return outputs
        # One op has one output here: several are laid end to end, and cut out again below.
        traced = bool(current().tracing)
        arrays = [listed[i] if traced else listed[i].array for i in flowing]
        packed = arrays[0] if len(arrays) == 1 else np.concatenate([a.reshape(-1) for a in arrays])
        call = _Call(cls, ctx, args, [a.shape for a in arrays], flowing, len(listed), packed)
        tensors = [a for a in args if isinstance(a, Tensor)]
        assert cls._primitive is not None
        # A compiler records what forward does, op by op; the node that stands for it adds the backward to its result.
        result = apply(*((_traced, [packed, *tensors]) if traced else (cls._primitive, tensors)), {"call": call})
        call.ready = None
        start = 0
        for i, shape in zip(flowing, call.shapes, strict=True):
            size = math.prod(shape)
            cut = result if len(flowing) == 1 else result[start : start + size].reshape(shape)
            start += size
            listed[i] = cut
        return tuple(listed) if many else listed[0]


class _Call:
    """The params of one application: which Function, its context, and how its outputs were packed."""

    def __init__(
        self,
        function: type[Function],
        ctx: Context,
        args: tuple[Any, ...],
        shapes: list[tuple[int, ...]],
        flowing: list[int],
        outputs: int,
        ready: Any,
    ) -> None:
        self.function, self.ctx, self.shapes, self.flowing, self.outputs = function, ctx, shapes, flowing, outputs
        # tensors among the arguments are parents of the node, and must not be held twice
        self.template = [None if isinstance(a, Tensor) else (a,) for a in args]
        self.ready: Any = ready

    def __repr__(self) -> str:
        return f"{self.function.__name__}.apply"


def _run(*arrays: np.ndarray, call: _Call) -> np.ndarray:
    """The forward of the primitive; on the first run the result is there already, on a replay `forward` is called
    again."""
    if call.ready is not None:
        return call.ready
    tensors = iter(arrays)
    args = [make(next(tensors)) if part is None else part[0] for part in call.template]
    with no_grad():
        outputs = call.function.forward(Context(call.ctx.needs_input_grad), *args)
    listed = list(outputs) if isinstance(outputs, tuple) else [outputs]
    kept = [listed[i].array for i in call.flowing]
    return kept[0] if len(kept) == 1 else np.concatenate([a.reshape(-1) for a in kept])


def _pull_back(g: Any, y: Any, *inputs: Any, call: _Call) -> list[Any]:
    """The joint rule: unpack the cotangent, call `backward`, and keep the gradients of the tensors among the
    arguments."""
    recorded = isinstance(g, Tensor)
    cotangent = g if recorded else make(np.asarray(g))
    grads: list[Any] = [None] * call.outputs
    start = 0
    for i, shape in zip(call.flowing, call.shapes, strict=True):
        size = math.prod(shape)
        grads[i] = cotangent if len(call.flowing) == 1 else cotangent[start : start + size].reshape(shape)
        start += size
    ctx = call.ctx
    if recorded:  # saved tensors get their history back, so that second derivatives are right
        ctx._known = {id(t.array): t for t in (y, *inputs) if isinstance(t, Tensor)}
    with enable_grad() if recorded else no_grad():
        result = call.function.backward(ctx, *grads)
    ctx._known = {}
    results = list(result) if isinstance(result, tuple) else [result]
    if len(results) != len(call.template):
        raise GraphError(
            f"{call.function.__name__}.backward: expected {len(call.template)} gradients, one for each argument of "
            "forward (None where "
            f"there is none), got {len(results)}."
        )
    kept = [r for r, part in zip(results, call.template, strict=True) if part is None]
    for i, r in enumerate(kept):
        if r is not None and not isinstance(r, (Tensor, np.ndarray)):
            raise ShapeError(
                f"{call.function.__name__}.backward: gradient {i} must be a Tensor or None, got {type(r).__name__}."
            )
    return kept if recorded else [r.array if isinstance(r, Tensor) else r for r in kept]


def _pull_back_traced(g: Any, y: Any, result: Any, *inputs: Any, call: _Call) -> list[Any]:
    """As `_pull_back`; nothing flows into what `forward` did."""
    return [None, *_pull_back(g, y, *inputs, call=call)]


_traced = Primitive("traced", lambda result, *_, call: result, "alias", joint=_pull_back_traced, saves="y*")
