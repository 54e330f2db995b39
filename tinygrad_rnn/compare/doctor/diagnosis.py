"""`diagnose`: what is wrong with a handwritten gradient, in words."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

import numpy as np

from ..anatomy.recording import Gradients, LossFunction, Parameters, as_gradients, record, tolerance
from .findings import Finding, findings
from .localise import Location, localise
from .search import Search

__all__ = ["Diagnosis", "diagnose"]


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor has to say.

    ok: whether every gradient is right. findings: the mistakes that together reproduce the handwritten numbers; empty
    if the gradients are right, or if nothing fits. misfit: the largest relative error that the findings leave.
    alternatives: other sets of as many mistakes with the same numbers, likeliest first. right, wrong: names of
    parameters whose gradients are right, or not. location: where the error starts, if nothing fits. tried: how many
    sweeps were compared. skipped: what there was no time for.
    """

    ok: bool
    findings: tuple[Finding, ...]
    misfit: float
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    alternatives: tuple[tuple[Finding, ...], ...] = ()
    location: Location | None = None
    tried: int = 0
    skipped: tuple[str, ...] = field(default=())

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the mistakes, in the order of `findings`."""
        return tuple(finding.kind for finding in self.findings)

    def __str__(self) -> str:
        if self.ok:
            agree = f"all {len(self.right)} agree with the recorded graph"
            return f"The gradients are right: {agree} (largest relative error {self.misfit:.1e})."
        lines = []
        if self.findings:
            count = (
                "One mistake reproduces"
                if len(self.findings) == 1
                else f"{len(self.findings)} mistakes together reproduce"
            )
            lines.append(
                f"{count} your numbers (largest relative error {self.misfit:.1e}; {self.tried} sweeps compared)."
            )
            lines += [f"{k}. {finding}" for k, finding in enumerate(self.findings, start=1)]
            for other in self.alternatives[:3]:
                text = "; ".join(f"{finding.kind} ({finding.where})" for finding in other)
                lines.append(f"Not to be told apart from it by these numbers: {text}.")
        else:
            lines.append(
                f"No mistake that I know, alone or with others, reproduces your numbers ({self.tried} sweeps compared)."
            )
            if self.location is not None:
                lines.append(str(self.location))
        if self.right:
            lines.append(f"Right: {', '.join(self.right)}.")
        lines.append(f"Wrong: {', '.join(self.wrong)}.")
        if self.skipped:
            lines.append(f"Not tried for lack of time: {'; '.join(self.skipped)}. Pass seconds= to allow more.")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        return f"<pre>{html.escape(str(self))}</pre>"


def diagnose(
    loss_fn: LossFunction,
    params: Parameters,
    manual: Gradients,
    *,
    rtol: float | None = None,
    seconds: float = 20.0,
) -> Diagnosis:
    """Explain a handwritten gradient: make mistakes on purpose until the numbers are the same.

    loss_fn: dict of Tensors in, loss (a Tensor with one entry) out; it must not draw at random. Time steps are read off
    time scopes (`tg.scope(t=t)`, which recurrent layers open themselves), or guessed from the repetition of a parameter
    where there are none. params: names -> float arrays. manual: the same names -> gradients, or a callable on `params`
    that returns them (or loss and gradients). A missing name counts as a missing gradient; a shape may be wrong, for
    that is a mistake like others. rtol: relative error of the largest entry that counts as equal; by default eps**0.6
    of the coarsest dtype: 4e-10 for float64, 7e-5 for float32. seconds: after which nothing more is tried (single
    mistakes come first, then pairs, then triples); the diagnosis says what was left out. Raises as `compare_gradients`
    does for a loss or gradients that cannot be compared, ValueError for gradients with NaN or Inf.
    """
    recording = record(loss_fn, params, "diagnose")
    arrays = as_gradients(manual, params, "diagnose")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"diagnose: manual {name!r} holds NaN or Inf, and no sweep leads there. Look for a division by zero "
                f"(tg.detect_anomaly() finds it in the autograd twin)."
            )
    rtol = tolerance([*arrays.values(), *recording.gradients.values()], rtol)
    arrays = {name: array.astype(np.float64) for name, array in arrays.items()}
    search = Search(recording, arrays, rtol, seconds)
    explanations = search.run()
    options = explanations[0].forms if explanations else {}
    ok = bool(explanations) and not explanations[0].flows and not any(options.values())
    right = tuple(name for name in recording.leaves if _is_right(search, name))
    return Diagnosis(
        ok=ok,
        findings=tuple(findings(search, explanations[0])) if explanations else (),
        misfit=explanations[0].misfit if explanations else float("nan"),
        right=tuple(recording.leaves) if ok else right,
        wrong=() if ok else tuple(name for name in recording.leaves if name not in right),
        alternatives=tuple(tuple(findings(search, other)) for other in explanations[1:]),
        location=None if explanations else localise(search),
        tried=search.tried,
        skipped=tuple(search.skipped),
    )


def _is_right(search: Search, name: str) -> bool:
    m, g = search.manual.get(name), search.recording.gradients[name]
    if m is None or m.size != g.size:
        return not g.any() and m is None
    top = max(np.abs(m).max(initial=0.0), np.abs(g).max(initial=0.0))
    return [n for n in m.shape if n != 1] == [n for n in g.shape if n != 1] and bool(
        np.abs(m.reshape(g.shape) - g).max(initial=0.0) <= search.rtol * top
    )
