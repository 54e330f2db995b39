"""A function beside its compiled form, in float64: results, gradients, what they draw and what they write in place.

The bound is 1e-12 of the largest entry of an array. Sums are taken in another order than eagerly, so an entry that
cancels to little is known no better than what it was summed from; and an array that cancels as a whole, such as the
gradient of a bias in front of a normalisation, no better than FLOOR times the largest entry of all gradients.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.compiler.signature import fill, flatten

BOUND = 1e-12
FLOOR = 1e-3


class Subject(NamedTuple):
    """function: what is compiled. args: of every call; Tensors among them that require grad are differentiated. module:
    its parameters are differentiated, its whole state compared after the calls; None if there is none.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    module: nn.Module | None = None


def tensor(*shape: int, seed: int = 0, low: float | None = None, high: float = 1.0) -> tg.Tensor:
    """A leaf of normal numbers, or of even ones from low to high."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=shape) if low is None else rng.uniform(low, high, size=shape)
    return tg.tensor(drawn, requires_grad=True)


def assert_same(make: Callable[[], Subject], *, order: int = 1, floor: float = 0.0) -> float:
    """Call both forms three times, from the same state of the default generator; returns the largest relative
    difference. The second call has the arguments of the first, the third the same numbers in another order: what the
    recording has baked in would show.

    make: builds the subject anew, for each form its own. order: with 2, the gradients are differentiated again, inside
    of what is compiled. floor: the size of the numbers that are summed, where the results may all cancel.
    """
    worst = 0.0
    eager, compiled = (_prepared(make(), order) for _ in range(2))
    replay = tg.compile(compiled.function)
    for call in range(3):
        if call == 2:
            eager, compiled = (s._replace(args=_turned(s.args)) for s in (eager, compiled))
        expected, got = _outcome(eager, eager.function, call), _outcome(compiled, replay, call)
        largest = max((np.abs(a).max(initial=0) for a in expected.gradients if a is not None), default=0.0)
        for what, ours, theirs, least in (
            ("result", got.results, expected.results, floor),
            ("gradient", got.gradients, expected.gradients, max(floor, FLOOR * largest)),
        ):
            assert len(ours) == len(theirs), f"{len(ours)} {what}s compiled, {len(theirs)} eagerly"
            for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
                worst = max(worst, _apart(f"{what} {i} of call {call}", a, b, least))
    states = [{} if s.module is None else s.module.state_dict() for s in (compiled, eager)]
    for name, value in states[1].items():
        worst = max(worst, _apart(f"state {name}", states[0][name].numpy(), value.numpy(), floor))
    return worst


class _Outcome(NamedTuple):
    results: list[np.ndarray]
    gradients: list[np.ndarray | None]


def _prepared(subject: Subject, order: int) -> Subject:
    if order == 1:
        return subject
    leaves, count = _leaves(subject), len(_float_leaves(subject.args))
    inner = subject.function

    def penalised(*args: Any) -> Any:
        """The squared gradient of a sum of all results; an argument that is a leaf is its stand-in while recording."""
        own = [*_float_leaves(args), *leaves[count:]]
        loss = _weighted(_tensors(inner(*args)))
        if not loss.requires_grad:
            return loss
        found = tg.autograd.grad(loss, own, create_graph=True, allow_unused=True)
        return sum((g * g).sum() for g in found if g is not None)

    return subject._replace(function=penalised)


def _turned(args: Any) -> Any:
    """The arrays with their entries in reverse order."""
    found: list[Any] = []
    template = flatten(args, found, [])

    def turned(x: Any) -> Any:
        if not isinstance(x, tg.Tensor):
            return x.reshape(-1)[::-1].reshape(x.shape).copy()
        return tg.tensor(turned(x.detach().numpy()), requires_grad=x.requires_grad)

    return fill(template, [turned(x) for x in found])


def _outcome(subject: Subject, function: Callable[..., Any], seed: int) -> _Outcome:
    tg.manual_seed(seed)
    results = _tensors(function(*subject.args))
    leaves = _leaves(subject)
    gradients: Sequence[Any] = [None] * len(leaves)
    if any(r.requires_grad for r in results):
        gradients = tg.autograd.grad(_weighted(results), leaves, allow_unused=True)
    return _Outcome([r.detach().numpy() for r in results], [None if g is None else g.numpy() for g in gradients])


def _float_leaves(args: Any) -> list[tg.Tensor]:
    found: list[Any] = []
    flatten(args, found, [])
    return list({id(x): x for x in found if isinstance(x, tg.Tensor) and x.requires_grad}.values())


def _leaves(subject: Subject) -> list[Any]:
    parameters = [] if subject.module is None else [p for p in subject.module.parameters() if p.requires_grad]
    return [*_float_leaves(subject.args), *parameters]


def _tensors(result: Any) -> list[tg.Tensor]:
    found: list[Any] = []
    flatten(result, found, [])
    return [x for x in found if isinstance(x, tg.Tensor)]


def _weighted(results: Sequence[tg.Tensor]) -> tg.Tensor:
    """A number that every entry of every result counts in differently."""
    total: Any = tg.zeros(())
    for i, r in enumerate(results):
        if r.requires_grad:
            total = total + (r * np.cos(np.arange(r.numel()) + i).reshape(r.shape)).sum()
    return total


def _apart(what: str, a: np.ndarray | None, b: np.ndarray | None, floor: float) -> float:
    if a is None or b is None:  # no gradient at all, and one of zeros, are told apart neither by optimisers nor here
        assert a is b or not np.any(b if a is None else a), f"{what}: {a} compiled, {b} eagerly"
        return 0.0
    assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{what}: {a.dtype}{a.shape} compiled, {b.dtype}{b.shape} eagerly"
    if a.dtype.kind != "f":
        assert np.array_equal(a, b), f"{what} differs"
        return 0.0
    wild = ~np.isfinite(b)
    assert np.array_equal(a[wild], b[wild], equal_nan=True), f"{what}: other infinities and NaNs"
    scale = max(float(np.abs(b[~wild]).max(initial=0)), floor)
    apart = float(np.abs(a[~wild] - b[~wild]).max(initial=0))
    assert apart <= BOUND * scale, f"{what} differs by {apart:.3g} where the largest entry is {scale:.3g}"
    return apart / scale if scale else 0.0
