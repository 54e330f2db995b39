"""Losses: how far an output is from its target, entry by entry, then reduced.

reduction, everywhere: "mean", "sum" or "none". Arguments size_average and reduce are PyTorch's old spelling of it.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ...complaints import no_tensor
from ...errors import DTypeError, ShapeError, explain
from ...ops import loss as _loss
from ...ops import reduce as _reduce
from ...ops.index import Slot, take
from ...ops.special import softplus
from ...state import STATE, current
from ...tensor import Tensor, cast

_IGNORED = -100


def _reduction(reduction: str, size_average: bool | None = None, reduce: bool | None = None, more: tuple = ()) -> str:
    if size_average is not None or reduce is not None:
        average, whole = size_average is not False, reduce is not False
        reduction = "none" if not whole else "mean" if average else "sum"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=4,
        )
    if reduction not in ("none", "mean", "sum", *more):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def _reduced(loss: Any, reduction: str) -> Any:
    return np.mean(loss) if reduction == "mean" else np.sum(loss) if reduction == "sum" else loss


def _classes_last(x: Any) -> Any:
    """(B, C, ...) -> (B, ..., C)."""
    return x if x.ndim <= 2 else np.moveaxis(x, 1, -1)


def _check_tensors(name: str, input: Any, target: Any) -> None:
    """Raise DTypeError unless both are Tensors, or arrays."""
    for what, given in (("input", input), ("target", target)):
        if not isinstance(given, (Tensor, np.ndarray)):
            raise no_tensor(name, what, given)


def _check_scores(name: str, input: Any, target: Any) -> None:
    """Raise DTypeError unless both are Tensors, and the scores float."""
    _check_tensors(name, input, target)
    if input.dtype.kind != "f":
        where = f"{name}{current().scope.where()}"
        raise DTypeError(
            explain(where, expected="float scores", got=str(input.dtype), do="Convert them: input.float().")
        )


def _check_classes(name: str, input: Tensor, target: Tensor, ignore_index: int) -> bool:
    """Raise if the targets are no classes of the scores; returns whether some may be ignored."""
    if input.ndim == 0:
        raise ShapeError(f"{name}: Expected input with 1 axis (C,) or more, got a 0-d tensor.")
    classes = input.shape[0] if input.ndim == 1 else input.shape[1]
    wanted = input.shape[2:] if input.ndim > 2 else ()
    wanted = () if input.ndim == 1 else (input.shape[0], *wanted)
    if target.shape != wanted:
        if input.ndim > 1 and target.ndim and target.shape[0] != input.shape[0]:
            raise ShapeError(
                f"{name}{current().scope.where()}: Expected input batch_size ({input.shape[0]}) to match target "
                f"batch_size ({target.shape[0]})."
            )
        raise ShapeError(
            f"{name}{current().scope.where()}: Expected target size {list(wanted)}, got {list(target.shape)}"
        )
    if target.dtype.kind not in "iu":
        raise RuntimeError(
            f"{name}: expected scalar type Long but found {target.dtype}; class numbers are integers, use "
            f"target.long()."
        )
    labels = target.array
    if not labels.size:
        return False
    if labels.min() >= 0 and labels.max() < classes and not 0 <= ignore_index < classes:
        return STATE.get().everything  # a recording will run with other targets, too
    wrong = labels[((labels < 0) | (labels >= classes)) & (labels != ignore_index)]
    if wrong.size:
        raise IndexError(
            f"Target {int(wrong[0])} is out of bounds: {name}{current().scope.where()} expected classes from 0 to "
            f"{classes - 1}, or ignore_index={ignore_index}."
        )
    return True


def _check_weight(name: str, input: Tensor, weight: Tensor | None) -> None:
    """Raise unless there is one weight per class: taken by class, one too many would never be missed."""
    classes = input.shape[0] if input.ndim == 1 else input.shape[1]
    if weight is not None and weight.shape != (classes,):
        raise ShapeError(
            f"{name}{current().scope.where()}: weight tensor should be defined either for all {classes} classes or no "
            f"classes but got weight tensor of shape: {list(weight.shape)}"
        )


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = _IGNORED,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(scores)[class], stable and fused.

    input: (B, C), (B, C, ...) or (C,) float, the scores. target: (B,), (B, ...) or () int, the classes; or of the
    input's shape and float, their probabilities.
    weight: (C,), one per class; "mean" then divides by the sum of the weights of the targets.
    ignore_index: targets that count for nothing; if all are ignored the mean is NaN, as in PyTorch.
    label_smoothing: the share, 0 to 1, of the target that is spread evenly over the classes. Source: Szegedy et al.
    2015.
    Raises IndexError for a class outside 0 to C - 1, ShapeError (a ValueError) if the shapes do not fit, the weight's
    too, DTypeError for integer scores.
    """
    reduction = _reduction(reduction, size_average, reduce)
    _check_scores("cross_entropy", input, target)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if target.shape == input.shape and target.dtype.kind == "f":
        _check_weight("cross_entropy", input, weight)
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    some_ignored = _check_classes("cross_entropy", input, target, ignore_index)
    _check_weight("cross_entropy", input, weight)
    scores = _classes_last(input)
    if weight is None and not label_smoothing:
        loss = _loss.cross_entropy(scores, target, **({"ignore": ignore_index} if some_ignored else {}))
        return _averaged(loss, target, None, ignore_index, some_ignored, reduction)
    logs = _reduce.log_softmax(scores, axis=(scores.ndim - 1,))
    hard = _picked(logs, target, weight, ignore_index, some_ignored)
    result = _averaged(hard, target, weight, ignore_index, some_ignored, reduction)
    if label_smoothing:
        spread = -np.sum(logs if weight is None else logs * weight, axis=-1)
        spread = _masked(spread, target, ignore_index) if some_ignored else spread
        smooth = _averaged(spread, target, weight, ignore_index, some_ignored, reduction)
        result = result * (1 - label_smoothing) + smooth * (label_smoothing / scores.shape[-1])
    return result


def _soft_cross_entropy(input: Tensor, target: Tensor, weight: Any, reduction: str, smoothing: float) -> Any:
    scores, shares = _classes_last(input), _classes_last(target)
    classes = scores.shape[-1]
    if smoothing:
        shares = shares * (1 - smoothing) + smoothing / classes
    logs = _reduce.log_softmax(scores, axis=(scores.ndim - 1,)) * shares
    loss = -np.sum(logs if weight is None else logs * weight, axis=-1)
    return _reduced(loss, reduction)


def _masked(loss: Any, target: Tensor, ignore_index: int) -> Any:
    return np.where(np.not_equal(target, ignore_index), loss, np.zeros_like(loss))


def _safe(target: Tensor, ignore_index: int, some_ignored: bool) -> Any:
    """The targets with class 0 where they are ignored."""
    return _masked(target, target, ignore_index) if some_ignored else target


def _picked(logs: Any, target: Tensor, weight: Any, ignore_index: int, some_ignored: bool) -> Any:
    """-weight[class] * log p[class], and 0 where ignored."""
    safe = _safe(target, ignore_index, some_ignored)
    loss = -np.take_along_axis(logs, np.expand_dims(safe, -1), axis=-1)[..., 0]
    if weight is not None:
        loss = loss * take(weight, safe, pattern=(Slot(0),))
    return _masked(loss, target, ignore_index) if some_ignored else loss


def _averaged(loss: Any, target: Tensor, weight: Any, ignore_index: int, some_ignored: bool, reduction: str) -> Any:
    """Reduce; "mean" divides by the weight of the targets that count."""
    if reduction != "mean" or (weight is None and not some_ignored):
        return _reduced(loss, reduction)
    if weight is None:
        seen: Any = np.count_nonzero(np.not_equal(target, ignore_index))
        total = cast(seen, loss.dtype)
    else:
        shares = take(weight, _safe(target, ignore_index, some_ignored), pattern=(Slot(0),))
        total = np.sum(_masked(shares, target, ignore_index) if some_ignored else shares)
    with np.errstate(invalid="ignore"):  # 0 / 0 where all targets are ignored
        return np.sum(loss) / total


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = _IGNORED,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-input[class]: the loss of log-probabilities; arguments and errors as `cross_entropy`."""
    reduction = _reduction(reduction, size_average, reduce)
    some_ignored = _check_classes("nll_loss", input, target, ignore_index)
    _check_weight("nll_loss", input, weight)
    loss = _picked(_classes_last(input), target, weight, ignore_index, some_ignored)
    return _averaged(loss, target, weight, ignore_index, some_ignored, reduction)


def _warn_if_broadcast(name: str, input: Tensor, target: Tensor) -> None:
    _check_tensors(name, input, target)
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({list(target.shape)}) that is different to the input size ({list(input.shape)}). "
            f"This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2. Both (...) float; another shape of the target broadcasts, with a warning."""
    _warn_if_broadcast("mse_loss", input, target)
    difference = input - target
    return _weighted(np.square(difference), weight, _reduction(reduction, size_average, reduce))


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|, gradient 0 where they are equal; arguments as `mse_loss`."""
    _warn_if_broadcast("l1_loss", input, target)
    return _weighted(abs(input - target), weight, _reduction(reduction, size_average, reduce))


def _weighted(loss: Any, weight: Any, reduction: str) -> Any:
    if weight is None:
        return _reduced(loss, reduction)
    if weight.shape != loss.shape:
        raise ShapeError(f"Inputs and weight must have the same size, got {list(loss.shape)} and {list(weight.shape)}.")
    total = _reduced(loss * weight, "sum" if reduction == "mean" else reduction)
    return total / np.sum(weight) if reduction == "mean" else total


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d^2 / 2 where |d| = |input - target| is below delta, delta (|d| - delta / 2) elsewhere.

    Raises ValueError unless delta > 0. Source: Huber 1964.
    """
    if delta <= 0:
        raise ValueError(f"huber_loss does not support non-positive values for delta, got {delta}.")
    _warn_if_broadcast("huber_loss", input, target)
    loss = _rounded(input - target, delta) * delta
    return _weighted(loss, weight, _reduction(reduction))


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where |d| = |input - target| is below beta, |d| - beta / 2 elsewhere; beta 0 is `l1_loss`."""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss does not support negative values for beta, got {beta}.")
    _warn_if_broadcast("smooth_l1_loss", input, target)
    difference = input - target
    loss = _rounded(difference, beta) if beta else abs(difference)
    return _reduced(loss, _reduction(reduction, size_average, reduce))


def _rounded(difference: Any, width: float) -> Any:
    size = abs(difference)
    return np.where(np.less(size, width), np.square(difference) * (0.5 / width), size - 0.5 * width)


def _check_broadcast(weight: Tensor | None, input: Tensor) -> None:
    """Raise if a weight would make more entries of the loss than there are."""
    if weight is not None and np.broadcast_shapes(weight.shape, input.shape) != input.shape:
        raise ShapeError(
            f"weight{current().scope.where()}: expected a shape that broadcasts to {list(input.shape)}, got "
            f"{list(weight.shape)}."
        )


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)), logarithms cut off at -100.

    input: (...) float in [0, 1]. target: the same shape, float. weight: broadcasts to it.
    Raises RuntimeError for an input outside [0, 1], ShapeError (a ValueError) if the shapes differ.
    """
    if input.shape != target.shape:
        raise ShapeError(
            f"Using a target size ({list(target.shape)}) that is different to the input size ({list(input.shape)}) is "
            f"deprecated. Please ensure they have the same size."
        )
    _check_broadcast(weight, input)
    loss = _loss.binary_cross_entropy(input, target)
    return _reduced(loss if weight is None else loss * weight, _reduction(reduction, size_average, reduce))


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of sigmoid(input), stable.

    input: (...) float, scores. target: the same shape, float. weight, pos_weight (of positive targets): broadcast to
    it.
    Raises ShapeError (a ValueError) if the shapes differ.
    """
    if input.shape != target.shape:
        raise ShapeError(f"Target size ({list(target.shape)}) must be the same as input size ({list(input.shape)})")
    _check_broadcast(weight, input)
    _check_broadcast(pos_weight, input)
    soft = softplus(-input)
    if pos_weight is not None:
        soft = soft * ((pos_weight - 1) * target + 1)
    loss = (1 - target) * input + soft
    return _reduced(loss if weight is None else loss * weight, _reduction(reduction, size_average, reduce))


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """t (log t - input), where the input is log-probabilities; reduction "batchmean" is the divergence itself.

    log_target: whether the target is log-probabilities, too. An entry with t = 0 counts 0.
    """
    reduction = _reduction(reduction, size_average, reduce, more=("batchmean",))
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition.",
            stacklevel=2,
        )
    if log_target:
        loss = np.exp(target) * (target - input)
    else:
        zero = np.equal(target, 0)
        logs = np.log(np.where(zero, np.ones_like(target), target))
        loss = target * (logs - input)
    if reduction == "batchmean":
        return np.sum(loss) / max(input.shape[0] if input.ndim else 1, 1)
    return _reduced(loss, reduction)
