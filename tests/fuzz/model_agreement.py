"""Run one random model in every way that there is, and say whether they agree, or all refuse.

The ways: the eager sweep, the recorded sweep, the gradient of that, central differences of values and of gradients, the
compiled loss on two calls, the compiled gradient of the gradient, compiled training steps, and PyTorch where installed.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.errors import GraphError

from .models import Model, simpler
from .network import Run
from .numeric import AGREED, KINK, REFUSED, Disagreement, differences, dot, same

# What a user's mistake may raise; anything else is a mistake of ours.
MISTAKES = (ValueError, RuntimeError, TypeError, IndexError, NotImplementedError)
Named = dict[str, np.ndarray]


def check_model(model: Model, torch: Any = None, *, compiled: bool = True, tally: Counter[str] | None = None) -> str:
    """AGREED, REFUSED (by all), or KINK (agreed, but differences meet a kink). Raises Disagreement otherwise.

    tally: counts the comparisons made, by kind.
    """
    tally = Counter() if tally is None else tally
    exact = 1e-11 if model.dtype == "float64" else 3e-4
    with np.errstate(all="raise", under="ignore"):
        try:
            value, plain, after = _eager(model)
        except MISTAKES as error:
            _all_refuse(model, error, torch, compiled, tally)
            return REFUSED
        recorded, second, weights = _recorded(model, plain)
        for name, g in plain.items():
            same(model, f"plain and recorded sweep differ for {name}", recorded[name], g, exact)
        tally["recorded sweep"] += 1
        if compiled:
            _compiles(model, value, plain, after, second, weights, exact, tally)
        # mixed dtypes are promoted here as NumPy does, where PyTorch refuses them
        if torch is not None and not _drops(model) and model.flaw != "inputs of another dtype":
            _equals_torch(torch, model, value, plain, second, weights, tally)
        if model.dtype == "float32" or _shrinks(model):
            return AGREED
        tally["central differences"] += 1
        return _differences(model, plain, second, weights)


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


def _taken(leaves: dict[str, Any]) -> Named:
    """The gradients that a sweep left, zeros where there are none; they are reset."""
    found = {}
    for name, x in leaves.items():
        found[name] = np.zeros(x.shape) if x.grad is None else x.grad.numpy().copy()
        x.grad = None
    return found


def _buffers(run: Run) -> Named:
    """What a call may change besides: running statistics, and a shrunk table."""
    return {name: b.detach().numpy().copy() for name, b in run.parts.state_dict().items()}


def _twice(run: Run, function: Callable[..., Any]) -> tuple[list[np.ndarray], list[Named], Named]:
    """Values and gradients of two calls, the second with other arguments, and what then is in the modules."""
    values, gradients = [], []
    for inputs in (run.inputs(), run.others()):
        y = function(*inputs)
        y.backward()
        values.append(y.detach().numpy().copy())
        gradients.append(_taken(run.named(inputs)))
    return values, gradients, _buffers(run)


def _eager(model: Model) -> tuple[list[np.ndarray], Named, tuple[list[Named], Named]]:
    run = _started(model)
    values, gradients, buffers = _twice(run, run)
    return values, gradients[0], (gradients, buffers)


def _recorded(model: Model, plain: Named) -> tuple[Named, Named, Named]:
    """The recorded gradients, random weights, and the gradient of their product."""
    run = _started(model)
    rng = np.random.default_rng(model.seed + 1)
    weights = {name: _kept(model, name, rng.standard_normal(g.shape)) for name, g in plain.items()}
    names, leaves = list(run.leaves), list(run.leaves.values())
    found = tg.autograd.grad(run(*run.inputs()), leaves, create_graph=True, allow_unused=True)
    recorded = {
        n: np.zeros(x.shape) if g is None else g.detach().numpy() for n, g, x in zip(names, found, leaves, strict=True)
    }
    total = _product(found, weights)
    if not total.requires_grad:
        return recorded, {name: np.zeros(g.shape) for name, g in plain.items()}, weights
    total.backward()
    return recorded, _taken(run.leaves), weights


def _product(found: Sequence[Any], weights: Named) -> Any:
    """The product of gradients and weights, by which the second order is taken."""
    products = [
        (g * tg.tensor(w, dtype=g.dtype)).sum() for g, w in zip(found, weights.values(), strict=True) if g is not None
    ]
    return sum(products, tg.zeros(()))


def _kept(model: Model, name: str, a: np.ndarray) -> np.ndarray:
    """A direction without the row that is not trained: it acts on the loss, but has no gradient."""
    row = model.parts[0].options.get("padding_idx")
    if row is not None and name == "0.weight":
        a[row] = 0
    return a


def _compiles(
    model: Model,
    values: Any,
    plain: Named,
    after: Any,
    second: Named,
    weights: Named,
    exact: float,
    tally: Counter[str],
) -> None:
    run = _started(model)
    try:
        got, gradients, buffers = _twice(run, tg.compile(run.function()))
    except GraphError as error:
        if "compil" in str(error):
            tally["compiler refuses"] += 1
            return
        raise
    for call in range(2):
        same(model, f"the compiled value differs at call {call}", got[call], values[call], exact)
        for name, g in after[0][call].items():
            same(model, f"the compiled gradient of {name} differs at call {call}", gradients[call][name], g, 10 * exact)
    for name, b in after[1].items():
        same(model, f"the compiled call leaves another {name}", buffers[name], b, exact)
    tally["compiled"] += 1
    if model.seed % 4 == 0:
        _compiles_twice(model, second, weights, exact, tally)
    elif model.seed % 4 == 1:
        _steps(model, exact, tally)


def _compiles_twice(model: Model, second: Named, weights: Named, exact: float, tally: Counter[str]) -> None:
    """The gradient of the gradient, recorded once and replayed."""
    run = _started(model)
    if not any(g.any() for g in second.values()):
        return

    parts = run.parts

    def product(*inputs: Any) -> Any:
        leaves = run.named(inputs) if parts else {}
        found = tg.autograd.grad(run(*inputs), list(leaves.values()), create_graph=True, allow_unused=True)
        return _product(found, weights)

    compiled = tg.compile(product)
    for call in range(2):
        tg.manual_seed(model.seed)
        if model.draws == "own" and call and _drops(model):
            return  # its generator has moved on
        compiled(*run.inputs()).backward()
        for name, g in _taken(run.leaves).items():
            same(
                model,
                f"the compiled second gradient of {name} differs at call {call}",
                g,
                second[name],
                1e3 * exact,
            )
    tally["compiled second order"] += 1


def _steps(model: Model, exact: float, tally: Counter[str]) -> None:
    """Three training steps, eager and compiled whole."""
    results = []
    for whole in (False, True):
        run = _started(model)
        trained = [p for p in run.parts.parameters() if p.requires_grad]
        optimizer = (
            tg.optim.SGD(trained, lr=0.05, momentum=0.9) if model.seed % 8 == 1 else tg.optim.Adam(trained, lr=0.01)
        )
        inputs = [x.detach() for x in run.inputs()]
        losses = []
        if whole:
            step = tg.compile_step(run.function(), optimizer, clip=1.0)
            losses = [step(*inputs).item() for _ in range(3)]
        else:
            for _ in range(3):
                optimizer.zero_grad()
                loss = run(*inputs)
                loss.backward()
                tg.nn.utils.clip_grad_norm_(trained, 1.0)
                optimizer.step()
                losses.append(loss.item())
        results.append((np.array(losses), _buffers(run)))
    (losses, state), (others, there) = results
    same(model, "losses of compiled training steps differ", others, losses, 1e3 * exact)
    for name, b in state.items():
        same(model, f"compiled training steps leave another {name}", there[name], b, 1e3 * exact)
    tally["compiled steps"] += 1


def _equals_torch(
    torch: Any, model: Model, values: Any, plain: Named, second: Named, weights: Named, tally: Counter[str]
) -> None:
    run = Run(torch, model)
    if list(run.leaves) != list(plain):
        raise Disagreement(f"PyTorch has parameters {list(run.leaves)}, and we have {list(plain)}\n{model}")
    tolerance = 1e-9 if model.dtype == "float64" else 1e-3
    try:
        y = run(*run.inputs())
    except MISTAKES as error:
        raise Disagreement(f"PyTorch refuses: {error}\n{model}") from error
    same(model, "PyTorch's value differs", values[0], y.detach().numpy(), tolerance)
    leaves = list(run.leaves.values())
    found = torch.autograd.grad(y, leaves, create_graph=True, allow_unused=True)
    for name, g in zip(plain, found, strict=True):
        expected = np.zeros(plain[name].shape) if g is None else g.detach().numpy()
        same(model, f"PyTorch's gradient of {name} differs", plain[name], expected, 10 * tolerance)
    tally["PyTorch"] += 1
    products = [
        (g * torch.from_numpy(weights[n]).to(g.dtype)).sum() for n, g in zip(plain, found, strict=True) if g is not None
    ]
    total = sum(products, torch.zeros(()))
    if not total.requires_grad:
        return
    again = torch.autograd.grad(total, leaves, allow_unused=True)
    for name, g in zip(plain, again, strict=True):
        expected = np.zeros(plain[name].shape) if g is None else g.numpy()
        same(model, f"PyTorch's second gradient of {name} differs", second[name], expected, 1e3 * tolerance)
    tally["PyTorch second order"] += 1


def _differences(model: Model, plain: Named, second: Named, weights: Named) -> str:
    rng = np.random.default_rng(model.seed + 2)
    moves = {name: _kept(model, name, rng.standard_normal(g.shape)) for name, g in plain.items()}

    def value(scale: float) -> float:
        with tg.no_grad():
            run = _started(model, moves, scale)
            return run(*run.inputs()).item()

    def sloped(scale: float) -> float:
        run = _started(model, moves, scale)
        run(*run.inputs()).backward()
        found = _taken(run.leaves)
        return dot(list(found.values()), [weights[name] for name in found])

    def along(gradients: Named) -> float:
        return dot(list(gradients.values()), [moves[name] for name in gradients])

    if differences(model, "loss", value, along(plain)) == KINK:
        return KINK
    return differences(model, "gradient", sloped, along(second))


def _all_refuse(model: Model, error: Exception, torch: Any, compiled: bool, tally: Counter[str]) -> None:
    """Hold the others to refusing, too."""
    if isinstance(error, NotImplementedError):
        torch = None  # it is we who do not have it
    elif model.flaw == "one feature too many":
        torch = None  # it does not look at packed sequences' width, and reads where it should not
    elif not model.flaw and torch is None:
        return  # whether there is a fault, PyTorch decides
    ways: list[tuple[str, Callable[[], Any]]] = []
    if compiled:
        ways.append(
            ("the compiled call", lambda: (lambda run: tg.compile(run.function())(*run.inputs()))(_started(model)))
        )
    if torch is not None:
        ways.append(("PyTorch", lambda: (lambda run: run(*run.inputs()))(Run(torch, model))))
    for name, way in ways:
        try:
            way()
        except MISTAKES:
            tally["refusals alike"] += 1
        else:
            raise Disagreement(
                f"{name} does not refuse what eager refuses: {type(error).__name__}: {error}\n{model}"
            ) from error
