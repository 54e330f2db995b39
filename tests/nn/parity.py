"""One recurrent layer of ours beside one of PyTorch's, from the same weights: what the parity tests share."""

from typing import Any

import numpy as np
import torch

import tinygrad_rnn.nn as nn
from tinygrad_rnn.tensor import Tensor


def twins(kind: str, dtype: Any = np.float64, seed: int = 0, **options: Any) -> tuple[nn.RNNBase, torch.nn.RNNBase]:
    """A layer of ours and PyTorch's of the same kind, options and weights."""
    rng = np.random.default_rng(seed)
    theirs = getattr(torch.nn, kind)(**options, dtype=torch.float64)
    state = {name: rng.normal(size=tuple(p.shape)) * 0.5 for name, p in theirs.named_parameters()}
    theirs.load_state_dict({name: torch.tensor(a) for name, a in state.items()}, strict=False)
    ours = getattr(nn, kind)(**options, dtype=dtype)
    ours.load_state_dict(state, strict=False)
    return ours, theirs


def flat(result: Any) -> list[Any]:
    """Every tensor in nested tuples, PackedSequences included, in order."""
    if isinstance(result, Tensor | torch.Tensor):
        return [result]
    if hasattr(result, "data") and hasattr(result, "batch_sizes"):
        return [result.data]
    return [] if result is None else [t for part in result for t in flat(part)]


def weighted(outputs: list[Any], weights: list[np.ndarray], wrap: Any) -> Any:
    """A scalar that depends on every entry of every output differently."""
    total = None
    for output, weight in zip(outputs, weights, strict=True):
        term = (output * wrap(weight)).sum()
        total = term if total is None else total + term
    return total


def assert_close(ours: Any, theirs: Any, what: str, rtol: float = 1e-9) -> None:
    """Relative to the size of the whole array: single entries may cancel."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape} here, {theirs.shape} there"
    scale = max(float(np.abs(theirs).max(initial=0)), 1e-30)
    worst = float(np.abs(ours - theirs).max(initial=0)) / scale
    assert worst <= rtol, f"{what}: differs by {worst:.2e} of its largest entry"


def compare(ours: Any, theirs: Any, inputs: dict[str, np.ndarray], call: Any, call_theirs: Any, seed: int = 0) -> None:
    """Run both, and compare outputs, states, and the gradients of inputs and parameters.

    inputs: arrays that become leaves on both sides. call, call_theirs: (layer, leaves) -> result, nested as it likes.
    """
    mine = {name: Tensor(a.copy(), requires_grad=True) for name, a in inputs.items()}
    yours = {name: torch.tensor(a, requires_grad=True) for name, a in inputs.items()}
    results, expected = flat(call(ours, mine)), flat(call_theirs(theirs, yours))
    assert len(results) == len(expected)
    for i, (a, b) in enumerate(zip(results, expected, strict=True)):
        assert_close(a.array, b.detach().numpy(), f"result {i}")
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=tuple(b.shape)) for b in expected]
    weighted(results, weights, Tensor).backward()
    weighted(expected, weights, torch.tensor).backward()
    for name in inputs:
        assert_close(mine[name].grad.array, yours[name].grad.numpy(), f"gradient of {name}")
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert_close(p.grad.array, q.grad.numpy(), f"gradient of {name}")
