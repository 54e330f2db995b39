"""What the handwritten gradients are held against: central differences, and random shapes to try them on."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

SHAPES = 50


def random_shapes(
    names: str, seed: int, low: int = 1, high: int = 6
) -> Iterator[tuple[np.random.Generator, list[int]]]:
    """Yield 50 times a generator and one random size per letter of `names`; the first time all sizes are 1."""
    yield np.random.default_rng(seed), [1] * len(names)
    for k in range(1, SHAPES):
        rng = np.random.default_rng([seed, k])
        yield rng, [int(size) for size in rng.integers(low, high, len(names))]


def assert_is_gradient(
    loss: Callable[[dict[str, np.ndarray]], float],
    parameters: Mapping[str, np.ndarray],
    gradients: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    tolerance: float = 1e-8,
) -> None:
    """Compare <gradient, v> with a five-point difference of the loss along v, for every parameter and two random v.

    Float64. The stencil is exact to the fourth order, so what is left is rounding, 1e-16 of the loss over the step.
    """
    assert set(gradients) == set(parameters), "one gradient for each parameter, under its name"
    step = 2e-4
    for name, value in parameters.items():
        assert gradients[name].shape == value.shape, name
        for _ in range(2):
            v = rng.standard_normal(value.shape)
            at = {k: loss({**parameters, name: value + k * step * v}) for k in (-2, -1, 1, 2)}
            numeric = (at[-2] - 8 * at[-1] + 8 * at[1] - at[2]) / (12 * step)
            analytic = float(np.sum(gradients[name] * v))
            scale = max(1.0, abs(numeric), float(np.abs(gradients[name]).max()))
            assert abs(numeric - analytic) <= tolerance * scale, f"{name}: {analytic} by hand, {numeric} numerically"


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Return |a - b| / |b| by norms, or |a| where b is zero."""
    size = float(np.linalg.norm(b))
    return float(np.linalg.norm(a - b)) / (size or 1.0)
