"""What an op is: a NumPy function, how to run it, and one rule per argument that pulls a cotangent back.

Floor 1. NumPy is the vocabulary that everybody shares: a primitive is registered under the NumPy function that it
stands for, so ops never import `Tensor` and `Tensor` never imports ops. The idea of one statement an op follows
Autograd's `defvjp` (HIPS/autograd, `numpy/numpy_vjps.py`); calling a primitive as a function, on whatever kind of
array comes, follows Autodidax.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from .errors import DTypeError

Rule = Callable[..., Any]


_MANY = 1 << 20
_PLAIN = frozenset({int, bool, float, tuple, str, type(None)})


class Primitive:
    """One op: `primitive(*arrays, **params)` runs it on arrays, and records it on Tensors.

    name: what errors, drawings and programs call it.
    forward: the array function; arrays come positionally and everything else (axes, shapes) by keyword.
    kind: "elementwise", "reduce", "contract", "shape", "index", "random" or "custom"; readers of graphs switch on it.
        Of a custom op the compiler knows only that equal arguments give equal results.
    vjps: one rule per array argument, `rule(g, y, *inputs, **params)`: the cotangent of the output in, that of the
        argument out. `None` where the argument has no derivative (an index, a mask).
    every: instead of `vjps`, for ops with any number of arguments: `every(i, g, y, *inputs, **params)` for argument i.
    joint: instead of `vjps`, one rule that returns the cotangents of all arguments at once.
    scatter: `scatter(buffer, g, *other_inputs, **params)` adds the cotangent of the first argument into a buffer in
        place, for ops that read a part of it: T reads of one array then cost one buffer and not T.
    fill: `fill(buffer, g, filled, **params)` does the same and may know that all but a part of the buffer is zero. It
        returns what part that is afterwards, to be told the next time: () none of it, None perhaps all.
    factors: `(i, rule)`, where the cotangent of argument i is a product of matrices: `rule(g, y, *inputs, **params)` is
        `(left, right)`, equally long, with the cotangent left.T @ right, or None where only that of `vjps` will do.
        The cotangents that T nodes have for one array then take a few products and not T; see `totals`.
    differentiable: whether any argument has a rule; the output of an op without one never requires grad.
    saves: the residuals, that is which values the rules read: "y" for the output, the position of each input ("y0",
        "01"), "*" for all inputs, "1*" for all but the first.
        A rule is handed a stand-in that knows only shape and dtype for everything else, so a forgotten residual cannot
        go unseen.
    """

    __slots__ = (
        "differentiable", "every", "factors", "fill", "forward", "joint", "kind", "name", "plain", "saves",
        "saves_inputs", "saves_output", "scatter", "vjps",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        kind: str,
        vjps: Sequence[Rule | None] = (),
        every: Rule | None = None,
        joint: Rule | None = None,
        scatter: Callable[..., None] | None = None,
        fill: Callable[..., Any] | None = None,
        factors: tuple[int, Rule] | None = None,
        saves: str = "",
    ) -> None:
        self.name = name
        self.forward = forward
        self.kind = kind
        self.vjps = tuple(vjps)
        self.every = every
        self.joint = joint
        self.scatter = scatter
        self.fill = fill
        self.factors = factors
        self.saves = saves
        self.differentiable = bool(every or joint or any(self.vjps))
        self.plain = every is None and joint is None and scatter is None and factors is None
        self.saves_output = "y" in saves
        # the inputs that rules read, by position; None for all of them
        positions = [int(c) for c in saves if c.isdigit()]
        self.saves_inputs: Collection[int] | None = frozenset(positions)
        if "*" in saves:
            self.saves_inputs = range(positions[0], _MANY) if positions else None
        elif self.saves_inputs and len(self.saves_inputs) == len(self.vjps):
            self.saves_inputs = None

    def __call__(self, *arrays: Any, **params: Any) -> Any:
        for array in arrays:
            # Tensors bring their own way of applying a primitive, so this floor needs to know nothing of them.
            apply = getattr(array.__class__, "__apply_primitive__", None)
            if apply is not None:
                for name, value in params.items():
                    for part in value if isinstance(value, (tuple, list)) else (value,):
                        self._refuse_hidden(name, part)
                return apply(self, arrays, params)
        for name, value in params.items():
            if value.__class__ not in _PLAIN:
                self._refuse_hidden(name, value)
        return self.forward(*arrays, **params)

    def _refuse_hidden(self, name: str, value: Any) -> None:
        """Raise DTypeError for a Tensor among the params: no gradient would reach it, and nobody would notice."""
        if hasattr(type(value), "__apply_primitive__"):
            raise DTypeError(
                f"{self.name}: expected a plain value for the parameter {name!r}, got a Tensor, to which no gradient "
                f"would flow from there. Pass {name}=t.item(), or use an op that takes it as an argument."
            )

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


REGISTRY: dict[Callable[..., Any], Callable[..., Any]] = {}
"""NumPy function -> what runs in its place when a Tensor is among its arguments. Filled at import and never changed
after."""

PRIMITIVES: dict[str, Primitive] = {}
"""Every primitive by name, in order of registration: what the table of op samples is held against."""


def primitive(
    function: Callable[..., Any],
    *,
    kind: str,
    vjp: Rule | Sequence[Rule | None] | None = None,
    every: Rule | None = None,
    joint: Rule | None = None,
    scatter: Callable[..., None] | None = None,
    fill: Callable[..., Any] | None = None,
    factors: tuple[int, Rule] | None = None,
    saves: str = "",
    name: str | None = None,
    stands_for: Iterable[Callable[..., Any]] | None = None,
) -> Primitive:
    """Declare an op, once: `tanh = primitive(np.tanh, kind="elementwise", saves="y", vjp=lambda g, y, x: g * (1 - y *
    y))`.

    function: the array function that computes it; if it is a NumPy ufunc the primitive is registered under it.
    stands_for: NumPy functions with the same call signature (arrays first, our params as keywords) that it also
    replaces. Raises AssertionError if the name is taken.
    """
    name = name or function.__name__
    assert name not in PRIMITIVES, f"primitive {name!r} is declared twice"
    rules = vjp if isinstance(vjp, Sequence) else (vjp,)
    made = Primitive(name, function, kind, rules, every, joint, scatter, fill, factors, saves)
    PRIMITIVES[name] = made
    if stands_for is None:
        stands_for = (function,) if type(function).__name__ == "ufunc" else ()
    for numpy_function in stands_for:
        REGISTRY[numpy_function] = made
    return made


def implements(*numpy_functions: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a Python function, written in primitives, as the meaning of NumPy functions on Tensors.

    It carries NumPy's own signature as far as we support it; an argument that it lacks is refused by name.
    """

    def register(replacement: Callable[..., Any]) -> Callable[..., Any]:
        for function in numpy_functions:
            REGISTRY[function] = replacement
        return replacement

    return register
