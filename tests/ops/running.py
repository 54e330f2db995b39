"""Run a sample: on Tensors, on torch's tensors, and pull cotangents back."""

from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tests.samples import CONSTANT, TABLE, Sample, rng_of
from tinygrad_rnn.primitive import PRIMITIVES

CASES = [(name, sample) for name, op in TABLE.items() for sample in op.samples]
IDS = [f"{name}({sample})" for name, sample in CASES]


def differentiable(name: str, sample: Sample) -> list[int]:
    """The positions of the arguments that have a gradient: all float arrays. The op itself is not asked."""
    floats = [i for i, a in enumerate(sample.args) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    return [] if name in CONSTANT else floats


def with_gradient(name: str, sample: Sample) -> bool:
    """Whether there is anything to differentiate: float in, float out, and a rule. It asks the oracle, not the op."""
    if not differentiable(name, sample):
        return False
    return np.asarray(TABLE[name].numpy(*sample.args, **sample.params)).dtype.kind == "f"


def arguments(name: str, sample: Sample, dtype: Any = np.float64) -> list[Any]:
    """The arguments as Tensors, floats in `dtype`; those with a gradient require it."""
    wanted = differentiable(name, sample)
    result: list[Any] = []
    for i, a in enumerate(sample.args):
        if isinstance(a, np.ndarray):
            t = tg.Tensor(np.array(a, dtype=dtype) if a.dtype.kind == "f" else a.copy())
            t.requires_grad = i in wanted
            result.append(t)
        else:
            result.append(a)
    return result


def run(name: str, sample: Sample, dtype: Any = np.float64) -> tuple[list[Any], tg.Tensor]:
    """(arguments, result) of the sample on Tensors."""
    args = arguments(name, sample, dtype)
    result = PRIMITIVES[name](*args, **sample.params)
    return args, result if isinstance(result, tg.Tensor) else tg.Tensor(result)


def sources(name: str, sample: Sample, args: list[Any]) -> list[tg.Tensor]:
    """Those of the arguments that have a gradient."""
    return [args[i] for i in differentiable(name, sample)]


def seed_for(name: str, sample: Sample, shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """A cotangent, always the same for the same sample."""
    return rng_of("seed", name, str(sample), shape).uniform(0.5, 1.5, shape).astype(dtype)


def gradients(name: str, sample: Sample, dtype: Any = np.float64, create_graph: bool = False) -> list[np.ndarray]:
    """The gradients of all arguments that have one, for the cotangent of `seed_for`."""
    args, y = run(name, sample, dtype)
    seed = tg.Tensor(seed_for(name, sample, y.shape, dtype))
    grads = tg.autograd.grad(y, sources(name, sample, args), seed, create_graph=create_graph, allow_unused=True)
    ours = sources(name, sample, args)
    return [np.zeros(x.shape, dtype) if g is None else g.detach().numpy() for g, x in zip(grads, ours, strict=True)]
