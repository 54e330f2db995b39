"""Run one program in every way that there is, and say whether they agree.

The ways: the eager sweep, the recorded sweep, the gradient of that, central differences of values and of gradients, the
replay of the recorded graph, the compiled program, and PyTorch where it is installed.
"""

from collections import Counter
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tests.samples import TABLE
from tinygrad_rnn import graph
from tinygrad_rnn.compiler import compile
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.primitive import PRIMITIVES

from .numeric import KINK, REFUSED, Disagreement, differences, dot, same
from .programs import Program, Value


def run(program: Program, leaves: list[tg.Tensor]) -> tg.Tensor:
    """The program on Tensors: a scalar."""
    values: list[Any] = list(leaves)
    for step in program.steps:
        args = [values[a.i] if isinstance(a, Value) else a for a in step.args]
        with tg.scope("cell", t=step.t):
            if step.into is None:
                y = PRIMITIVES[step.primitive](*args, **step.params)
                values.append(y if isinstance(y, tg.Tensor) else tg.Tensor(y))
            elif step.primitive == "add":
                values[step.into] += args[0]
            elif step.primitive == "subtract":
                values[step.into] -= args[0]
            else:
                values[step.into] *= args[0]
    total = tg.Tensor(np.zeros(()))
    for weight, v in zip(program.weights, values, strict=True):
        if weight and v.dtype.kind == "f":
            total = total + np.sum(np.tanh(v)) * weight
    return total


def run_torch(torch: Any, program: Program, leaves: list[Any]) -> Any:
    """The same on torch's tensors."""
    values = list(leaves)
    for step in program.steps:
        args = [values[a.i] if isinstance(a, Value) else a for a in step.args]
        args = [torch.from_numpy(np.array(a)) if isinstance(a, np.ndarray) else a for a in args]
        if step.into is None:
            values.append(TABLE[step.primitive].torch(torch, *args, **step.params))
        else:
            name = {"add": "add_", "subtract": "sub_", "multiply": "mul_"}[step.primitive]
            getattr(values[step.into], name)(args[0])
    total = torch.zeros((), dtype=torch.float64)
    for weight, v in zip(program.weights, values, strict=True):
        if weight and v.is_floating_point():
            total = total + torch.tanh(v).sum() * weight
    return total


def tensors(program: Program, moves: list[np.ndarray] | None = None, scale: float = 0.0) -> list[tg.Tensor]:
    """Fresh leaves, moved by scale * moves."""
    offsets = moves or [np.zeros(a.shape) for a in program.leaves]
    return [tg.Tensor(a + scale * m, requires_grad=True) for a, m in zip(program.leaves, offsets, strict=True)]


def gradients(program: Program, leaves: list[tg.Tensor], create_graph: bool = False) -> list[Any]:
    """Gradients with respect to the leaves; zeros where there is none."""
    y = run(program, leaves)
    if not y.requires_grad:
        return [tg.Tensor(np.zeros(x.shape)) for x in leaves]
    found = tg.autograd.grad(y, leaves, create_graph=create_graph, allow_unused=True)
    return [tg.Tensor(np.zeros(x.shape)) if g is None else g for g, x in zip(found, leaves, strict=True)]


def check(program: Program, torch: Any = None, *, compiled: bool = True, tally: Counter[str] | None = None) -> str:
    """AGREED, REFUSED (an in-place step that we refuse), or KINK (agreed, but differences meet a kink).

    Raises Disagreement otherwise. tally: counts the comparisons made, by kind.
    """
    tally = Counter() if tally is None else tally
    with np.errstate(all="raise", under="ignore"):
        leaves = tensors(program)
        try:
            plain = [g.numpy() for g in gradients(program, leaves)]
            recorded = gradients(program, tensors_again := tensors(program), create_graph=True)
        except GraphError as error:
            if any(step.into is not None for step in program.steps) and (
                "inplace" in str(error) or "in-place" in str(error)
            ):
                return REFUSED
            raise Disagreement(f"refused without an in-place step: {error}\n{program}") from error
        for x, a in zip(leaves, program.leaves, strict=True):
            same(program, "a leaf was changed", x.array, a, 0.0)
        for g, h in zip(plain, recorded, strict=True):
            same(program, "plain and recorded sweep differ", h.detach().numpy(), g, 1e-11)
        tally["recorded sweep"] += 1
        rng = np.random.default_rng(len(program.steps))
        moves = [rng.standard_normal(a.shape) for a in program.leaves]
        weights = [rng.standard_normal(a.shape) for a in program.leaves]
        second = _second(recorded, tensors_again, weights)
        _replays(program, tally)
        if compiled:
            _compiles(program, plain, tally)
        if torch is not None:
            _equals_torch(torch, program, plain, second, weights, tally)
        tally["central differences"] += 1
        return _differences(program, plain, second, moves, weights)


def _second(recorded: list[Any], leaves: list[tg.Tensor], weights: list[np.ndarray]) -> list[np.ndarray]:
    """The gradient of <gradient, weights>."""
    total = tg.Tensor(np.zeros(()))
    for g, w in zip(recorded, weights, strict=True):
        total = total + (g * w).sum()
    if not total.requires_grad:
        return [np.zeros(x.shape) for x in leaves]
    found = tg.autograd.grad(total, leaves, allow_unused=True)
    return [np.zeros(x.shape) if h is None else h.numpy() for h, x in zip(found, leaves, strict=True)]


def _replays(program: Program, tally: Counter[str]) -> None:
    if any(step.into is not None for step in program.steps):
        return  # a recording says what was computed, not that it was written over something
    with tg.record_everything():
        y = run(program, tensors(program))
    if y.node is None:
        return  # no float value has a weight
    same(program, "the replay differs", graph.replay([y.node])[y.node], y.array, 0.0)
    tally["replay"] += 1


def _compiles(program: Program, plain: list[np.ndarray], tally: Counter[str]) -> None:
    """The compiled program, called twice: value and gradients, recorded and replayed."""
    if not any(program.weights):
        return
    leaves = tensors(program)
    expected = run(program, leaves).item()
    compiled = compile(lambda *xs: run(program, list(xs)))
    for _ in range(2):
        try:
            y = compiled(*leaves)
        except GraphError as error:
            # refused while recording: what has no shape of its own, such as a read through a mask; and what is written
            # through another tensor, history or not, since no replay would repeat it
            if str(error).startswith("compile: ") or "through another tensor by an inplace" in str(error):
                tally["compiler refuses"] += 1
                return
            raise
        same(program, "the compiled value differs", y.detach().numpy(), np.asarray(expected), 1e-11)
        if y.requires_grad:
            for x in leaves:
                x.grad = None
            y.backward()
            grads = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in leaves]
            for g, h in zip(grads, plain, strict=True):
                same(program, "the compiled gradient differs", g, h, 1e-10)
    tally["compiled"] += 1


def _equals_torch(torch: Any, program: Program, plain: Any, second: Any, weights: Any, tally: Counter[str]) -> None:
    leaves = [torch.from_numpy(a.copy()).requires_grad_() for a in program.leaves]
    try:
        y = run_torch(torch, program, leaves)
        if not y.requires_grad:
            return
        grads = torch.autograd.grad(y, leaves, create_graph=True, allow_unused=True)
    except RuntimeError as error:
        if any(step.into is not None for step in program.steps):
            return  # PyTorch refuses the in-place step; differences decide
        raise Disagreement(f"PyTorch refuses: {error}\n{program}") from error
    for g, h in zip(plain, grads, strict=True):
        same(program, "PyTorch's gradient differs", g, np.zeros(g.shape) if h is None else h.detach().numpy(), 1e-8)
    tally["PyTorch"] += 1
    total = sum((h * torch.from_numpy(w)).sum() for h, w in zip(grads, weights, strict=True) if h is not None)
    if getattr(total, "requires_grad", False):
        again = torch.autograd.grad(total, leaves, allow_unused=True)
        if any(h is not None and h.isnan().any() for h in again):
            return  # where a deviation is 0, ours has a second derivative and PyTorch has NaN
        for g, h in zip(second, again, strict=True):
            expected = np.zeros(g.shape) if h is None else h.numpy(force=True)
            same(program, "PyTorch's second gradient differs", g, expected, 1e-6)
        tally["PyTorch second order"] += 1


def _differences(program: Program, plain: Any, second: Any, moves: Any, weights: Any) -> str:
    """Directional derivatives of the value and of <gradient, weights>."""

    def value(scale: float) -> float:
        with tg.no_grad():
            return run(program, tensors(program, moves, scale)).item()

    def sloped(scale: float) -> float:
        return dot([g.numpy() for g in gradients(program, tensors(program, moves, scale))], weights)

    if differences(program, "value", value, dot(plain, moves)) == KINK:
        return KINK
    return differences(program, "gradient", sloped, dot(second, moves))
