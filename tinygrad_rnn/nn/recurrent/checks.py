"""What inputs and states of recurrent layers and cells must look like, and the errors, in PyTorch's words, if they do
not."""

from __future__ import annotations

from typing import Any

from ...complaints import caster, no_tensor
from ...errors import DTypeError, ShapeError, explain
from ...state import current
from ...tensor import Tensor


def _same_dtype(module: Any, given: Tensor, what: str) -> None:
    weight = next(module.parameters())
    if given.dtype.kind != "f":
        where = f"{type(module).__name__}{current().scope.where()}"
        do = f"Convert it: {what}.{caster(weight.dtype)}."
        raise DTypeError(explain(where, expected=f"{what} of {weight.dtype}", got=str(given.dtype), do=do))
    if given.dtype != weight.dtype:
        raise DTypeError(
            f"{type(module).__name__}{current().scope.where()}: expected {what} of the dtype of the weights, "
            f"{weight.dtype}, got {given.dtype}. Convert one of them: {what}.{caster(weight.dtype)}, or the module "
            f"with .{caster(given.dtype)}."
        )


def check_input(module: Any, input: Tensor, packed: bool = False) -> None:
    """Raise ShapeError unless it is (T, B, D) or (T, D), (N, D) if packed; DTypeError for another dtype than the
    weights'."""
    name = type(module).__name__
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}: expected a Tensor or a PackedSequence, got {type(input).__name__}.")
    if packed and input.ndim != 2:
        raise ShapeError(f"{name}: input must have 2 dimensions, got {input.ndim}")
    if input.ndim not in (2, 3):
        raise ShapeError(f"{name}: Expected input to be 2D or 3D, got {input.ndim}D instead")
    if input.shape[-1] != module.input_size:
        raise ShapeError(
            f"input.size(-1) must be equal to input_size. Expected {module.input_size}, got {input.shape[-1]}: "
            f"{name}{current().scope.where()} got an input of shape {list(input.shape)}."
        )
    if 0 in input.shape[: input.ndim - 1][1 if module.batch_first and input.ndim == 3 else 0 :][:1]:
        raise ShapeError(f"{name}: Expected sequence length to be larger than 0, got an input of {list(input.shape)}.")
    _same_dtype(module, input, "input")


def parts_of(module: Any, hx: Any) -> tuple[Tensor, ...]:
    """The parts of a state: h, or h and c. Raises TypeError for anything else."""
    name = f"{type(module).__name__}{current().scope.where()}"
    if module.states > 1:
        if not (isinstance(hx, tuple | list) and len(hx) == 2):
            raise TypeError(f"{name}: expected the state as a pair (h0, c0), got {type(hx).__name__}.")
        parts = tuple(hx)
    else:
        parts = (hx,)
    for part in parts:
        if not isinstance(part, Tensor):
            raise no_tensor(type(module).__name__, "hx", part)
    return parts


def check_state(module: Any, hx: Any, batch: int | None) -> tuple[Tensor, ...]:
    """The parts of an initial state, each (layers x directions, batch, H), without `batch` if that is None.

    Raises ShapeError (a RuntimeError) for other shapes, TypeError if the LSTM gets no pair.
    """
    pair = module.states > 1
    parts = parts_of(module, hx)
    rank, kind = (2, "unbatched 2-D") if batch is None else (3, "batched 3-D")
    if any(part.ndim != rank for part in parts):
        ranks = ", ".join(f"{part.ndim}-D" for part in parts)
        what = (
            f"hx and cx should also be {rank}-D but got ({ranks}) tensors"
            if pair
            else f"hx should also be {rank}-D but got {ranks} tensor"
        )
        raise ShapeError(f"For {kind} input, {what}")
    layers = module.num_layers * (2 if module.bidirectional else 1)
    for i, part in enumerate(parts):
        size = (module.proj_size or module.hidden_size) if i == 0 else module.hidden_size
        wanted = (layers, size) if batch is None else (layers, batch, size)
        if part.shape != wanted:
            raise ShapeError(
                f"Expected hidden{f'[{i}]' if pair else ''} size {wanted}, got {list(part.shape)}: the state of "
                f"{type(module).__name__}{current().scope.where()} is (layers x directions, batch, size), batch_first "
                f"or not."
            )
        _same_dtype(module, part, "hx")
    return parts


def check_cell(module: Any, input: Tensor, parts: tuple[Tensor, ...] | None) -> None:
    """The same for a cell: input (B, D) or (D,), each part of the state (B, H) or (H,)."""
    name = type(module).__name__
    if not isinstance(input, Tensor):
        raise no_tensor(name, "input", input)
    if input.ndim not in (1, 2):
        raise ShapeError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
    if input.shape[-1] != module.input_size:
        raise ShapeError(f"input has inconsistent input_size: got {input.shape[-1]} expected {module.input_size}")
    _same_dtype(module, input, "input")
    for i, part in enumerate(parts or ()):
        if part.ndim != input.ndim:
            raise ShapeError(f"{name}: Expected hidden to be {input.ndim}D as the input is, got {part.ndim}D instead")
        if part.ndim == 2 and part.shape[0] != input.shape[0]:
            raise ShapeError(f"Input batch size {input.shape[0]} doesn't match hidden{i} batch size {part.shape[0]}")
        if part.shape[-1] != module.hidden_size:
            raise ShapeError(
                f"hidden{i} has inconsistent hidden_size: got {part.shape[-1]}, expected {module.hidden_size}"
            )
        _same_dtype(module, part, "hx")
