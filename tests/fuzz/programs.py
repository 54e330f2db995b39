"""Random programs over the primitives, as data: drawn with any chooser, run on any side.

A program is a list of steps; each applies a primitive to values made before it, or writes to one in place. While it
is drawn it is also computed in NumPy, so that arguments stay in the domain of the op that is chosen.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rnn.primitive import PRIMITIVES

from .moves import BINARY, GUARDED, KINKED, KINKED_UNARY, MOVES, SMOOTH

Chooser = Callable[[int], int]
"""`choose(n)` gives an int in [0, n)."""


class Step(NamedTuple):
    """`values.append(primitive(*args, **params))`, or with `into` the write `values[into] op= args[0]`.

    args: ints are positions of earlier values, everything else is a constant. t: the time scope it is recorded in.
    """

    primitive: str
    args: tuple[Any, ...]
    params: dict[str, Any]
    t: int
    into: int | None = None


class Value(NamedTuple):
    """Stands for the value at a position, so that positions and integer constants cannot be confused."""

    i: int


class Program(NamedTuple):
    """leaves: the arrays to differentiate by. steps: what is done. weights: of each value in the scalar result."""

    leaves: tuple[np.ndarray, ...]
    steps: tuple[Step, ...]
    weights: tuple[float, ...]

    def __str__(self) -> str:
        lines = [f"v{i} = leaf {list(a.shape)}" for i, a in enumerate(self.leaves)]
        n = len(lines)
        for step in self.steps:
            args = ", ".join(f"v{a.i}" if isinstance(a, Value) else repr(a).replace("\n", "") for a in step.args)
            params = "".join(f", {k}={v}" for k, v in step.params.items())
            if step.into is None:
                lines.append(f"v{n} = {step.primitive}({args}{params})  # t={step.t}")
                n += 1
            else:
                lines.append(f"v{step.into} {step.primitive}= {args}  # t={step.t}")
        return "\n".join(lines)


class Sketch:
    """A program while it is being drawn."""

    def __init__(self, choose: Chooser, inplace: bool) -> None:
        self.choose = choose
        self.inplace = inplace
        self.arrays: list[np.ndarray] = []
        self.leaves: list[np.ndarray] = []
        self.steps: list[Step] = []
        self.t = 0

    def pick(self, options: Any) -> Any:
        """One of several."""
        return options[self.choose(len(options))]

    def number(self) -> float:
        """A number in (-1.5, 1.5) that meets no other: nothing ties by accident."""
        return (self.choose(2**20) + 0.5) / 2**20 * 3 - 1.5

    def array(self, shape: tuple[int, ...]) -> np.ndarray:
        """Such numbers, shaped."""
        rng = np.random.default_rng(self.choose(2**31))
        return rng.uniform(-1.5, 1.5, shape)

    def value(self) -> Value:
        """One of the values so far, the later ones more often."""
        floats = [i for i, a in enumerate(self.arrays) if a.dtype.kind == "f"]
        back = min(self.choose(len(floats)), self.choose(len(floats)))
        return Value(floats[-1 - back])

    def of(self, value: Value) -> np.ndarray:
        """The array that stands behind a value now."""
        return self.arrays[value.i]

    def do(self, primitive: str, *args: Any, **params: Any) -> Value:
        """Append a step, and compute it."""
        arrays = [np.array(self.of(a)) if isinstance(a, Value) else a for a in args]
        result = np.asarray(PRIMITIVES[primitive].forward(*arrays, **params))
        self.steps.append(Step(primitive, args, params, self.t))
        self.arrays.append(np.array(result))
        return Value(len(self.arrays) - 1)

    def write(self, primitive: str, into: Value, operand: Any) -> None:
        """Append an in-place step. Views are not followed here; the value is only used to stay in domains."""
        operand_array = self.of(operand) if isinstance(operand, Value) else operand
        self.arrays[into.i] = np.array(PRIMITIVES[primitive].forward(self.of(into), operand_array))
        self.steps.append(Step(primitive, (operand,), {}, self.t, into.i))

    def tamed(self, value: Value) -> Value:
        """A value of moderate size: itself, or its tanh."""
        a = self.of(value)
        return value if not a.size or np.max(np.abs(a)) < 3 else self.do("tanh", value)


def draw_program(choose: Chooser, length: int, *, inplace: bool = False, kinks: bool = True) -> Program:
    """A program of about `length` steps. inplace: with in-place writes. kinks: with ops that have ties and kinks."""
    s = Sketch(choose, inplace)
    shapes = [(3,), (2, 3), (1, 3), (), (2, 2), (2, 1, 3), (4,), (3, 3)]
    for _ in range(2 + choose(2)):
        s.leaves.append(s.array(s.pick(shapes)))
        s.arrays.append(s.leaves[-1].copy())
    moves = [m for m in MOVES if kinks or m not in KINKED]
    while len(s.steps) < length:
        s.t = choose(3)
        kind = choose(10)
        if kind < 3:
            name = s.pick(SMOOTH + (KINKED_UNARY if kinks else ()))
            s.do(name, GUARDED.get(name, Sketch.tamed)(s, s.value()))
        elif kind < 6:
            _binary(s, kinks)
        elif inplace and kind == 6 and len(s.arrays) > len(s.leaves):
            _write(s)
        else:
            s.pick(moves)(s)
    # with views and in-place steps among them, to read every value would be refused nearly always
    weights = tuple(0.0 if inplace and choose(3) else s.number() for _ in s.arrays)
    return Program(tuple(s.leaves), tuple(s.steps), weights)


def _binary(s: Sketch, kinks: bool) -> None:
    name = s.pick([n for n in BINARY if kinks or n not in ("maximum", "minimum", "remainder", "floor_divide")])
    a = s.tamed(s.value())
    b: Any = s.number()
    if s.choose(4):
        fitting = [
            Value(i) for i, x in enumerate(s.arrays) if x.dtype.kind == "f" and _broadcasts(s.of(a).shape, x.shape)
        ]
        b = s.tamed(s.pick(fitting)) if fitting else b
    if name in ("divide", "remainder", "floor_divide"):
        b = abs(b) + 0.4 if isinstance(b, float) else s.do("add", s.do("square", b), 0.4)
    if name == "power":
        a = s.do("add", s.do("square", a), 0.3)
    if s.choose(2) and name not in ("divide", "remainder", "floor_divide", "power"):
        a, b = b, a
    s.do(name, a, b)


def _write(s: Sketch) -> None:
    into = Value(len(s.leaves) + s.choose(len(s.arrays) - len(s.leaves)))
    if s.of(into).dtype.kind != "f":
        return
    shape = s.of(into).shape
    fitting = [Value(i) for i, a in enumerate(s.arrays) if a.dtype.kind == "f" and _into(a.shape, shape)]
    operand = s.pick([*fitting, s.number()]) if fitting else s.number()
    s.write(s.pick(("add", "subtract", "multiply")), into, operand)


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return np.prod(np.broadcast_shapes(a, b)) <= 60
    except ValueError:
        return False


def _into(a: tuple[int, ...], target: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(a, target) == target
    except ValueError:
        return False
