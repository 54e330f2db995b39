"""Run one random model in every way that there is, and say whether they agree, or all refuse.

The ways: the eager sweep, the recorded sweep, the gradient of that, central differences of values and of gradients, the
compiled loss on three calls, the compiled gradient of the gradient, compiled training steps, and PyTorch where it is
installed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.errors import GraphError

from .models import Model, simpler
from .network import Run
from .numeric import AGREED, KINK, REFUSED, Disagreement, differences, dot, same

# What a user's mistake may raise; anything else is a mistake of ours.
MISTAKES = (ValueError, RuntimeError, TypeError, IndexError, NotImplementedError)
# What is refused of models without a flaw: one example has no variance, and two options of Embedding are not there.
KNOWN = ("more than 1 value per channel", "scale_grad_by_freq=True and sparse=True are not supported")
Named = dict[str, np.ndarray]


class Calls(NamedTuple):
    """What three calls gave: the second has other arguments, the third the other mode of training.

    values: of each call. gradients: of each call, by name. kept: what is in the modules after them.
    """

    values: list[np.ndarray]
    gradients: list[Named]
    kept: Named


def check_model(model: Model, torch: Any = None, *, compiled: bool = True, tally: Counter[str] | None = None) -> str:
    """AGREED, REFUSED (by all), or KINK (agreed, but differences meet a kink). Raises Disagreement otherwise.

    tally: counts the comparisons made, by kind.
    """
    with np.errstate(all="raise", under="ignore"):
        return _Check(model, torch, compiled, Counter() if tally is None else tally).outcome()


def smallest(model: Model, torch: Any, compiled: bool, budget: int = 300) -> Model:
    """The smallest model near this one that still fails, found by leaving out one thing at a time."""

    def fails(candidate: Model) -> bool:
        try:
            check_model(candidate, torch, compiled=compiled)
        except Exception:  # noqa: BLE001  (whatever went wrong at first, any failure is worth the look)
            return True
        return False

    found: Model | None = model
    while found is not None:
        model, found = found, None
        for candidate in simpler(model):
            budget -= 1
            if budget < 0:
                break
            if fails(candidate):
                found = candidate
                break
    return model


class _Check:
    """One model on its way through all comparisons.

    exact: how far rounding may reach. eager: what all else is held to. weights: a direction, by name; the gradient of
    the product of gradients and weights is the second order.
    """

    def __init__(self, model: Model, torch: Any, compiled: bool, tally: Counter[str]) -> None:
        self.model, self.torch, self.compiled, self.tally = model, torch, compiled, tally
        single = model.dtype != "float64" or model.flaw == "inputs of another dtype"  # some of it, then, at least
        self.exact = 3e-4 if single else 1e-11
        self.eager = Calls([], [], {})
        self.weights: Named = {}
        self.second: Named = {}

    def outcome(self) -> str:
        """Make all comparisons that the model allows."""
        try:
            run = _started(self.model)
            self.eager = _called(run, run)
        except MISTAKES as error:
            self.all_refuse(error)
            return REFUSED
        self.recorded_sweep()
        if self.compiled:
            self.compiled_loss()
        mixed = self.model.flaw == "inputs of another dtype"  # promoted as NumPy does, where PyTorch refuses
        if self.torch is not None and not _drops(self.model) and not mixed:
            self.pytorch()
        if mixed or self.model.dtype == "float32" or _shrinks(self.model):
            return AGREED
        return self.central_differences()

    def same(self, what: str, a: np.ndarray, b: np.ndarray, times: float = 1) -> None:
        """Raise Disagreement unless both are equal up to so many times the usual rounding."""
        same(self.model, what, a, b, times * self.exact)

    def direction(self, seed: int) -> Named:
        """Random numbers for every gradient; 0 in the row of a table that is not trained, which has none."""
        rng = np.random.default_rng(seed)
        found = {name: rng.standard_normal(g.shape) for name, g in self.eager.gradients[0].items()}
        row = self.model.parts[0].options.get("padding_idx")
        if row is not None and "0.weight" in found:
            found["0.weight"][row] = 0
        return found

    def recorded_sweep(self) -> None:
        """The recorded gradients equal the plain ones; take the second order from them."""
        run, plain = _started(self.model), self.eager.gradients[0]
        self.weights = self.direction(self.model.seed + 1)
        found = tg.autograd.grad(run(*run.inputs()), list(run.leaves.values()), create_graph=True, allow_unused=True)
        for (name, expected), g in zip(plain.items(), found, strict=True):
            recorded = np.zeros(expected.shape) if g is None else g.detach().numpy()
            self.same(f"plain and recorded sweep differ for {name}", recorded, expected)
        self.tally["recorded sweep"] += 1
        total = self.product(found)
        if total.requires_grad:
            total.backward()
        self.second = _taken(run.leaves)

    def product(self, found: Sequence[Any]) -> Any:
        """The product of gradients and weights."""
        pairs = zip(found, self.weights.values(), strict=True)
        return sum(((g * tg.tensor(w, dtype=g.dtype)).sum() for g, w in pairs if g is not None), tg.zeros(()))

    def compiled_loss(self) -> None:
        """Three calls of the compiled loss; for a part of the models second order, or training steps, as well."""
        run = _started(self.model)
        try:
            calls = _called(run, tg.compile(run.function()))
        except GraphError as error:
            if "compil" not in str(error):
                raise
            self.tally["compiler refuses"] += 1
            return
        for call, (value, expected) in enumerate(zip(calls.values, self.eager.values, strict=True)):
            self.same(f"the compiled value differs at call {call}", value, expected)
            for name, g in self.eager.gradients[call].items():
                what = f"the compiled gradient of {name} differs at call {call}"
                self.same(what, calls.gradients[call][name], g, 10)
        for name, b in self.eager.kept.items():
            self.same(f"the compiled call leaves another {name}", calls.kept[name], b)
        self.tally["compiled"] += 1
        if self.model.seed % 4 == 0:
            self.compiled_second_order()
        elif self.model.seed % 4 == 1:
            self.compiled_steps()

    def compiled_second_order(self) -> None:
        """The gradient of the gradient, recorded once and replayed."""
        run = _started(self.model)
        parts = run.parts
        if not any(g.any() for g in self.second.values()):
            return

        def product(*inputs: Any) -> Any:
            leaves = run.named(inputs) if parts else {}
            found = tg.autograd.grad(run(*inputs), list(leaves.values()), create_graph=True, allow_unused=True)
            return self.product(found)

        compiled = tg.compile(product)
        for call in range(1 if self.model.draws == "own" and _drops(self.model) else 2):
            tg.manual_seed(self.model.seed)
            compiled(*run.inputs()).backward()
            for name, g in _taken(run.leaves).items():
                self.same(f"the compiled second gradient of {name} differs at call {call}", g, self.second[name], 1e3)
        self.tally["compiled second order"] += 1

    def compiled_steps(self) -> None:
        """Three training steps, eager and compiled whole."""
        (losses, state), (others, there) = (self.trained(whole) for whole in (False, True))
        self.same("losses of compiled training steps differ", others, losses, 1e3)
        for name, b in state.items():
            self.same(f"compiled training steps leave another {name}", there[name], b, 1e3)
        self.tally["compiled steps"] += 1

    def trained(self, whole: bool) -> tuple[np.ndarray, Named]:
        """Losses of three clipped steps, and what is in the modules after them."""
        run = _started(self.model)
        trained = [p for p in run.parts.parameters() if p.requires_grad]
        sgd = self.model.seed % 8 == 1
        optimizer = tg.optim.SGD(trained, lr=0.05, momentum=0.9) if sgd else tg.optim.Adam(trained, lr=0.01)
        inputs, losses = [x.detach() for x in run.inputs()], []
        step = tg.compile_step(run.function(), optimizer, clip=1.0) if whole else None
        for _ in range(3):
            if step is not None:
                losses.append(step(*inputs).item())
                continue
            optimizer.zero_grad()
            loss = run(*inputs)
            loss.backward()
            tg.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            losses.append(loss.item())
        return np.array(losses), _kept(run)

    def pytorch(self) -> None:
        """Value, gradients and second order of PyTorch, from the same numbers."""
        run, plain = Run(self.torch, self.model), self.eager.gradients[0]
        leaves = list(run.leaves.values())
        if list(run.leaves) != list(plain):
            raise Disagreement(f"PyTorch has parameters {list(run.leaves)}, and we have {list(plain)}\n{self.model}")
        try:
            y = run(*run.inputs())
        except MISTAKES as error:
            raise Disagreement(f"PyTorch refuses: {error}\n{self.model}") from error
        self.same("PyTorch's value differs", self.eager.values[0], y.detach().numpy(), 10)
        found = self.torch.autograd.grad(y, leaves, create_graph=True, allow_unused=True)
        for (name, ours), g in zip(plain.items(), found, strict=True):
            expected = np.zeros(ours.shape) if g is None else g.detach().numpy()
            self.same(f"PyTorch's gradient of {name} differs", ours, expected, 100)
        self.tally["PyTorch"] += 1
        pairs = zip(found, self.weights.values(), strict=True)
        total = sum((g * self.torch.from_numpy(w).to(g.dtype)).sum() for g, w in pairs if g is not None)
        if not getattr(total, "requires_grad", False):
            return
        again = self.torch.autograd.grad(total, leaves, allow_unused=True)
        for (name, ours), g in zip(self.second.items(), again, strict=True):
            expected = np.zeros(ours.shape) if g is None else g.numpy()
            self.same(f"PyTorch's second gradient of {name} differs", ours, expected, 1e4)
        self.tally["PyTorch second order"] += 1

    def central_differences(self) -> str:
        """Slopes of the loss and of the product of gradients and weights, along one direction."""
        moves = self.direction(self.model.seed + 2)

        def value(scale: float) -> float:
            with tg.no_grad():
                run = _started(self.model, moves, scale)
                return run(*run.inputs()).item()

        def sloped(scale: float) -> float:
            run = _started(self.model, moves, scale)
            run(*run.inputs()).backward()
            return dot(list(_taken(run.leaves).values()), list(self.weights.values()))

        self.tally["central differences"] += 1
        for what, function, gradients in (("loss", value, self.eager.gradients[0]), ("gradient", sloped, self.second)):
            slope = dot(list(gradients.values()), list(moves.values()))
            if differences(self.model, what, function, slope) == KINK:
                return KINK
        return AGREED

    def all_refuse(self, error: Exception) -> None:
        """Hold the others to refusing, too; and the refusal to be that of a flaw, or one that is known."""
        if not self.model.flaw and not any(text in str(error) for text in KNOWN):
            raise Disagreement(f"a model without a flaw is refused: {error}\n{self.model}") from error
        for name, way in self.others(error):
            try:
                way()
            except MISTAKES:
                self.tally["refusals alike"] += 1
                continue
            told = f"{type(error).__name__}: {error}"
            raise Disagreement(f"{name} does not refuse what eager refuses: {told}\n{self.model}") from error

    def others(self, error: Exception) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Who else must refuse."""
        if self.compiled:
            yield (
                "the compiled call",
                lambda: (run := _started(self.model)) and _called(run, tg.compile(run.function())),
            )
        # PyTorch has what we do not; and it does not look at the width of packed sequences, but reads behind their end
        if self.torch is None or isinstance(error, NotImplementedError) or self.model.flaw == "one feature too many":
            return
        yield "PyTorch", lambda: (run := Run(self.torch, self.model)) and run(*run.inputs())


def _drops(model: Model) -> bool:
    """Whether entries are dropped at random: PyTorch then draws others."""
    shares = [
        part.options.get("dropout", part.options.get("p", 0.5) if "Dropout" in part.kind else 0) for part in model.parts
    ]
    return model.training and any(0 < p < 1 for p in shares)


def _shrinks(model: Model) -> bool:
    """Whether a table is changed when it is read, which has no gradient."""
    return any("max_norm" in part.options for part in model.parts)


def _started(model: Model, moves: Named | None = None, scale: float = 0.0) -> Run:
    run = Run(tg, model, moves, scale)
    tg.manual_seed(model.seed)
    return run


def _called(run: Run, function: Callable[..., Any]) -> Calls:
    """Call a function of a run three times, each with a sweep."""
    values, gradients = [], []
    for inputs, training in zip(
        (run.inputs(), run.others(), run.inputs()), (run.model.training,) * 2 + (not run.model.training,), strict=True
    ):
        run.parts.train(training)
        y = function(*inputs)
        y.backward()
        values.append(y.detach().numpy().copy())
        gradients.append(_taken(run.named(inputs)))
    return Calls(values, gradients, _kept(run))


def _taken(leaves: dict[str, Any]) -> Named:
    """The gradients that a sweep left, zeros where there are none; they are reset."""
    found = {}
    for name, x in leaves.items():
        found[name] = np.zeros(x.shape) if x.grad is None else x.grad.numpy().copy()
        x.grad = None
    return found


def _kept(run: Run) -> Named:
    """What a call may change besides: running statistics, and a shrunk table."""
    return {name: b.detach().numpy().copy() for name, b in run.parts.state_dict().items()}
