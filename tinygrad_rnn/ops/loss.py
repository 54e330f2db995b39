"""Cross entropy of class scores, fused: stable, and its gradient is softmax minus one-hot, never a product of two
Jacobians."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitive import primitive
from .reduce import softmax


def _one_hot(target: Any, classes: int, dtype: Any) -> Any:
    out = np.zeros((*target.shape, classes), dtype=dtype)
    np.put_along_axis(out, target[..., None], 1, axis=-1)
    return out


one_hot = primitive(_one_hot, kind="index", vjp=(None,), name="one_hot")


def _seen(target: Any, ignore: int | None) -> tuple[Any, Any]:
    """The targets with a class in place of the ignored ones, and where they count; None where all do."""
    if ignore is None:
        return target, None
    seen = np.not_equal(target, ignore)
    return np.where(seen, target, np.zeros_like(target)), seen


def _cross_entropy(z: Any, target: Any, ignore: int | None = None) -> Any:
    target, seen = _seen(target, ignore)
    top = np.max(z, axis=-1, keepdims=True)
    shifted = z - top  # the large common part is taken away before it could swallow the small digits
    log_total = np.log(np.add.reduce(np.exp(shifted), axis=-1, keepdims=True))
    y = (log_total - np.take_along_axis(shifted, target[..., None], axis=-1))[..., 0]
    return y if seen is None else np.where(seen, y, np.zeros_like(y))


def _cross_entropy_vjp(g: Any, y: Any, z: Any, target: Any, ignore: int | None = None) -> Any:
    target, seen = _seen(target, ignore)
    if seen is not None:
        # y is 0 where ignored and tells nothing about the total there
        hit = one_hot(target, classes=z.shape[-1], dtype=z.dtype)
        return np.expand_dims(np.where(seen, g, np.zeros_like(g)), -1) * (softmax(z, axis=(z.ndim - 1,)) - hit)
    # log softmax(z) = z - z[target] - y, in this order: a large common part of z cancels before it can swallow digits
    away = z - np.take_along_axis(z, np.expand_dims(target, -1), axis=-1)
    return np.expand_dims(g, -1) * (
        np.exp(away - np.expand_dims(y, -1)) - one_hot(target, classes=z.shape[-1], dtype=z.dtype)
    )


# z (..., C) float, the scores; target (...) int, the classes; -> (...) float, -log softmax(z)[target], and 0 where the
# target is `ignore` (None: no target is ignored, and the gradient costs less)
cross_entropy = primitive(
    _cross_entropy, kind="reduce", saves="y01", vjp=(_cross_entropy_vjp, None), name="cross_entropy"
)


def _bce(x: Any, t: Any) -> Any:
    if np.size(x) and not (np.min(x) >= 0 and np.max(x) <= 1):  # here, so that a compiled program looks, too
        raise RuntimeError(
            "all elements of input should be between 0 and 1; for scores use binary_cross_entropy_with_logits."
        )
    with np.errstate(divide="ignore"):  # log(0) is cut off at -100, as in PyTorch
        return -(t * np.maximum(np.log(x), -100) + (1 - t) * np.maximum(np.log1p(-x), -100))


def _bce_vjp(g: Any, y: Any, x: Any, t: Any) -> Any:
    return g * (x - t) / np.maximum(x * (1 - x), 1e-12)


def _bce_target_vjp(g: Any, y: Any, x: Any, t: Any) -> Any:
    return g * (np.log1p(-x) - np.log(x))


# x (...) float in [0, 1], probabilities; t (...) float in [0, 1], targets
binary_cross_entropy = primitive(
    _bce, kind="elementwise", saves="01", vjp=(_bce_vjp, _bce_target_vjp), name="binary_cross_entropy"
)
