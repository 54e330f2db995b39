"""`compare_gradients`: one gradient from up to four sides, parameter by parameter and step by step.

Floor 7. The sides are autograd, the handwritten gradient, central differences on a few entries, and PyTorch where the
caller brings a twin. Autograd is the one that the others are held against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..state import no_grad
from ..tensor import Tensor
from .anatomy.recording import Gradients, LossFunction, Parameters, Recording, as_gradients, record, tolerance
from .anatomy.shares import Shares
from .anatomy.steps import contributions, cotangents, step_errors
from .anatomy.structure import Structure
from .report import Report, Row, Steps, Verdict, numeric_rtol

__all__ = ["Report", "assert_gradients_match", "compare_gradients"]

_STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))  # fourth order: exact up to h**4


def compare_gradients(
    loss_fn: LossFunction,
    params: Parameters,
    manual: Gradients | None = None,
    *,
    torch: Callable[[dict[str, Any]], Any] | None = None,
    rtol: float | None = None,
    samples: int = 4,
    rng: np.random.Generator | None = None,
) -> Report:
    """Compare a handwritten gradient with autograd, with central differences, and with PyTorch.

    loss_fn: dict of Tensors in, the loss (a Tensor with one entry) out. params: names -> float arrays of any shapes;
    not changed. manual: the same names -> gradients of the same shapes, or a callable on `params` that returns them, or
    (loss, gradients); None leaves this side out. torch: the same loss in PyTorch, dict of torch tensors in, scalar
    tensor out. rtol: largest error that counts as agreement, relative to the largest entry of the gradient; by default
    eps**0.6 of the coarsest dtype: 4e-10 for float64, 7e-5 for float32. samples: entries per parameter that central
    differences look at, 0 for none. rng: chooses them; seed 0 unless given. Returns a `Report`. Raises GraphError,
    ShapeError or DTypeError for a loss or parameters that cannot be compared, KeyError for a gradient that belongs to
    no parameter. A gradient that is missing, or of a wrong shape, is reported and not raised.
    """
    recording = record(loss_fn, params)
    given = None if manual is None else as_gradients(manual, params)
    peer = None if torch is None else _torch_gradients(torch, params)
    rtol = tolerance([*recording.gradients.values(), *(given or {}).values()], rtol)
    rng = np.random.default_rng(0) if rng is None else rng
    rows = []
    for name, gradient in recording.gradients.items():
        numeric = _numeric_error(loss_fn, params, name, gradient, samples, rng)
        row = _row(name, gradient, None if given is None else given.get(name), given is not None, rtol)
        against = None if peer is None else _error(peer[name], gradient)
        rows.append(row._replace(numeric=numeric, peer=against))
    ok = all(_passes(row, rtol) for row in rows)
    return Report(ok, tuple(rows), rtol, _Steps(recording, given or {}))


def assert_gradients_match(
    loss_fn: LossFunction, params: Parameters, manual: Gradients | None = None, **options: Any
) -> Report:
    """Raise AssertionError with the whole table unless all sides agree; otherwise return the report.

    Arguments as for `compare_gradients`.
    """
    report = compare_gradients(loss_fn, params, manual, **options)
    if not report.ok:
        raise AssertionError(
            f"the gradients differ:\n{report}\ndiagnose() with the same arguments looks for the mistake."
        )
    return report


def _passes(row: Row, rtol: float) -> bool:
    numeric = row.numeric is None or row.numeric <= numeric_rtol(rtol)
    return row.verdict.kind in ("exact", "not given") and numeric and (row.peer is None or row.peer <= rtol)


def _error(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference relative to the largest entry of either; 0 for two zeros, inf for other shapes or NaN."""
    if a.shape != b.shape:
        return float("inf")
    difference, top = np.abs(a - b).max(initial=0.0), max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0))
    if not np.isfinite(difference):
        return float("inf")
    return float(difference / top) if top else 0.0


def _row(name: str, gradient: np.ndarray, manual: np.ndarray | None, asked: bool, rtol: float) -> Row:
    if not asked:
        return Row(name, gradient.shape, Verdict("not given"))
    if manual is None:
        return Row(name, gradient.shape, Verdict("missing"), relative=1.0 if gradient.any() else 0.0)
    verdict = _verdict(manual, gradient, rtol)
    if manual.shape != gradient.shape:
        return Row(name, gradient.shape, verdict, got=manual.shape)
    difference = np.abs(manual.astype(np.float64) - gradient)
    norms = float(np.linalg.norm(manual) * np.linalg.norm(gradient))
    at = (
        tuple(int(i) for i in np.unravel_index(int(np.argmax(difference)), difference.shape)) if difference.size else ()
    )
    return Row(
        name, gradient.shape, verdict,
        absolute=float(difference.max(initial=0.0)),
        relative=_error(manual, gradient),
        cosine=float(np.vdot(manual, gradient) / norms) if norms else None,
        worst=at if difference.size else None,
        worst_manual=float(manual[at]) if difference.size else None,
        worst_autograd=float(gradient[at]) if difference.size else None,
    )  # fmt: skip


def _verdict(manual: np.ndarray, gradient: np.ndarray, rtol: float) -> Verdict:
    """exact, scaled by c, transposed, transposed and scaled, or other; wrong shapes are told as such."""
    if not np.isfinite(manual).all():
        return Verdict("other", note="NaN or Inf")
    for kind, candidate in (("", manual), ("transposed", manual.T)):
        if candidate.shape != gradient.shape or (kind and manual.ndim < 2):
            continue
        if _error(candidate, gradient) <= rtol:
            return Verdict(kind or "exact")
        norm = float(np.vdot(gradient, gradient))
        c = float(np.vdot(candidate, gradient)) / norm if norm else 0.0
        if gradient.size > 1 and abs(c - 1) > 1e-6 and c and _error(candidate, c * gradient) <= rtol:
            return Verdict(f"{kind} and scaled".removeprefix(" and "), factor=c)
    return Verdict("other") if manual.shape == gradient.shape else Verdict("wrong shape")


def _numeric_error(
    loss_fn: LossFunction, params: Parameters, name: str, gradient: np.ndarray, samples: int, rng: np.random.Generator
) -> float | None:
    """Largest deviation of autograd from central differences on a few entries, relative to the gradient's largest
    entry.
    """
    if not samples or not gradient.size:
        return None
    arrays = {n: np.array(_plain(value), dtype=np.float64) for n, value in params.items()}
    flat, worst, level = arrays[name].reshape(-1), 0.0, 0.0
    for i in rng.choice(flat.size, min(samples, flat.size), replace=False):
        before = flat[i]
        h = 1e-4 * max(1.0, abs(before))
        slope = 0.0
        for step, weight in _STENCIL:
            flat[i] = before + step * h
            with no_grad():
                loss = float(loss_fn({n: Tensor(a) for n, a in arrays.items()}).array.reshape(()))
            slope += weight * loss / h
            level = max(level, abs(loss))
        flat[i] = before
        worst = max(worst, abs(slope - float(gradient.reshape(-1)[i])))
    # differences of a loss of this level cannot be told from rounding below about 1e-11 of it
    top = max(float(np.abs(gradient).max()), 1e-5 * level)
    return float(worst / top if top else worst)


def _plain(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, Tensor) else value


def _torch_gradients(twin: Callable[[dict[str, Any]], Any], params: Parameters) -> dict[str, np.ndarray]:
    """The gradients of the caller's PyTorch twin. Raises ModuleNotFoundError where PyTorch is not installed."""
    import torch

    tensors = {
        name: torch.tensor(np.array(_plain(value)), requires_grad=True) for name, value in params.items()
    }  # fmt: skip
    twin(dict(tensors)).backward()
    return {
        name: np.zeros(tuple(t.shape)) if t.grad is None else t.grad.detach().numpy() for name, t in tensors.items()
    }


class _Steps(Steps):
    """Contributions and errors by time step, worked out when somebody asks."""

    def __init__(self, recording: Recording, manual: Mapping[str, np.ndarray]) -> None:
        self.recording, self.manual = recording, manual
        self._shares: Shares | None = None
        self._arrived: dict[Any, np.ndarray] = {}

    def _ready(self) -> Shares:
        if self._shares is None:
            self._shares = Shares(self.recording, Structure(self.recording))
            self._arrived = cotangents(self._shares)
        return self._shares

    def contributions(self, name: str) -> dict[int, np.ndarray]:
        return contributions(self._ready(), name, self._arrived)

    def errors(self, name: str) -> tuple[dict[int, float], bool]:
        m, g = self.manual.get(name), self.recording.gradients[name]
        if m is None or m.shape != g.shape:
            return {}, False
        if _error(m, g) < 1e-12:
            return dict.fromkeys(self.contributions(name), 0.0), True
        return step_errors(self._ready(), name, self.manual, self._arrived)
