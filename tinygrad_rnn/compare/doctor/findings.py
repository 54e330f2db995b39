"""Findings: mistakes in plain words, with the place and both equations."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .forms import Form, Scales
from .operands import KINDS, Slip, words
from .search import Explanation, Search
from .sweep import Hypothesis

__all__ = ["Finding", "findings"]

_MOST = 3


@dataclass(frozen=True)
class Finding:
    """One mistake.

    kind: its name, one of a fixed list. where: parameter, node and time step. says: what the code does. wrong, right:
    the equation as it is and as it should be. same: other mistakes that give the same numbers here, in words.
    """

    kind: str
    where: str
    says: str
    wrong: str
    right: str
    same: tuple[str, ...] = ()
    same_kinds: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"{self.kind}: {self.says}.",
            f"  where  {self.where}",
            f"  is     {self.wrong}",
            f"  be     {self.right}",
        ]
        lines += [f"  the same numbers here: {text}" for text in self.same]
        return "\n".join(lines)


def findings(search: Search, explanation: Explanation) -> list[Finding]:
    """The mistakes of an explanation: those in the sweep, then those in forming the gradients."""
    found = [_of_flow(search, h, window) for h, window in explanation.flows]
    forms = _factors_told_apart(search, explanation)
    found, forms = _swept_together(found, forms, explanation)
    return found + [_of_form(search, form, names, explanation) for form, names in forms]


def _of_flow(search: Search, h: Hypothesis, window: int) -> Finding:
    twins = search.twins.get(id(h), [])
    return Finding(
        h.kind, *(text.replace("{k}", str(window)) for text in (h.where, h.says, h.wrong, h.right)),
        same=tuple(f"{twin.kind} ({twin.where}): {twin.says}" for twin in twins),
        same_kinds=tuple(dict.fromkeys(twin.kind for twin in twins)),
    )  # fmt: skip


def _swept_together(
    found: list[Finding], forms: list[tuple[Form, list[str]]], explanation: Explanation
) -> tuple[list[Finding], list[tuple[Form, list[str]]]]:
    """A loop that leaves out steps leaves them out of the head, too: that is one mistake and not two."""
    if len(explanation.flows) != 1 or not explanation.flows[0][0].unswept:
        return found, forms
    k = explanation.flows[0][0].unswept
    rest = [(form, names) for form, names in forms if form.detail != Slip("left out", k)]
    same = [names for form, names in forms if form.detail == Slip("left out", k)]
    if same:
        head = f"; so it is with {_list(same[0])}, which the same loop adds up"
        found = [dataclasses.replace(found[0], says=found[0].says + head)]
    return found, rest


def _factors_told_apart(search: Search, explanation: Explanation) -> list[tuple[Form, list[str]]]:
    """The forms; where no gradient has its right size, the factor of most entries counts as common to all.

    The others are then told relative to it, and a common factor that leaves a round norm is clipping.
    """
    forms = explanation.distinct
    factor = {name: 1.0 for name in explanation.forms if search.recording.gradients[name].any()}
    for form, names in forms:
        if form.kind in ("constant factor", "sign"):
            factor.update({name: float(str(form.detail or -1)) for name in names if name in factor})
    for form, names in forms:  # of a gradient that is at the threshold everywhere no factor is left to see
        if form.kind == "clipped by value" and any(c != 1.0 for c in factor.values()):
            for name in names:
                if factor.get(name) == 1.0 and (np.ptp(np.abs(search.manual[name])) == 0):
                    del factor[name]
    if not factor or 1.0 in factor.values():
        return forms
    sizes: dict[float, int] = {}
    for name, c in factor.items():
        sizes[c] = sizes.get(c, 0) + search.recording.leaves[name].size
    common = max(sizes, key=lambda c: sizes[c])
    scales = search.forms[next(iter(factor))].scales
    form = scales.form(common, 1e-6)
    total = sum(float((m**2).sum()) for m in search.manual.values()) ** 0.5
    found = [(f, names) for f, names in forms if f.kind not in ("constant factor", "sign")]
    for c in sizes:
        rest = scales.form(c / common, 1e-5)
        if c != common and rest is not None:
            found.append((rest, [name for name in factor if factor[name] == c]))
    if form is None:
        return forms
    if form.cost > 1 and abs(common) < 1 and abs(total - float(f"{total:.2g}")) <= 3e-6 * total:
        found += [(Form("sign"), list(factor))] if common < 0 else []
        form = Form("clipped by norm", float(f"{total:.5g}"))
    return [*found, (form, list(explanation.forms))]


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _of_form(search: Search, form: Form, names: list[str], explanation: Explanation) -> Finding:
    which, says, wrong, right = _in_words(search, form, names)
    others = _same_numbers(search, form, names, explanation)
    return Finding(
        form.kind, which, says, wrong, right,
        same=tuple(f"{other.kind}: {_in_words(search, other, names)[1]}" for other in others[:_MOST]),
        same_kinds=tuple(dict.fromkeys(other.kind for other in others)),
    )  # fmt: skip


def _in_words(search: Search, form: Form, names: list[str]) -> tuple[str, str, str, str]:
    """Which gradients, what happened to them, the equation as it is and as it should be."""
    which = "all gradients" if len(names) == len(search.recording.leaves) > 1 else _list(names)
    many = len(names) > 1
    is_, has = ("are", "have") if many else ("is", "has")
    says, wrong, right = _WORDS[form.kind](search, form, f"d{names[0]}", names)
    for slot, word in (("{which}", which), ("{is_}", is_), ("{has}", has)):  # not format: equations have braces
        says = says.replace(slot, word)
    return which, says, wrong, right


def _same_numbers(search: Search, form: Form, names: list[str], explanation: Explanation) -> list[Form]:
    """Other single forms that explain the same gradients alike, likeliest first."""
    found: dict[Form, None] = dict.fromkeys(search.forms[names[0]].twins.get(form, ()))
    if all(explanation.forms.get(name) == (form,) for name in names):
        options = [explanation.options[name] for name in names]
        for other, *more in filter(None, options[0]):
            if not more and other != form and other.cost <= 1 and all((other,) in some for some in options):
                found[other] = None
                found.update(dict.fromkeys(search.forms[names[0]].twins.get(other, ())))
    return sorted(found, key=lambda other: other.rank)


def _factor(search: Search, form: Form, d: str, names: list[str]) -> tuple[str, str, str]:
    c = float(str(form.detail))
    scales: Scales = search.forms[names[0]].scales
    meant = scales.meanings(c, 1e-5)
    return (
        f"{{which}} {{is_}} {c:g} times what {'they' if len(names) > 1 else 'it'} should be"
        + (f": {', or '.join(meant)}" if meant else ""),
        f"{d} = {c:g} * (the gradient)",
        f"{d} = the gradient",
    )


def _operand(search: Search, form: Form, d: str, names: list[str]) -> tuple[str, str, str]:
    forms = search.forms[names[0]]
    loop = forms.groups[0].loop
    assert isinstance(form.detail, Slip), "a wrong index says which"
    assert loop is not None, "a wrong index is one within a loop"
    line = next((line for line in forms.lines if line is not None), None)
    says, used, right = words(form.detail, line, forms.present, loop.times)
    error = "da_t " if line is not None else "da_t"
    return says, f"{d} = sum_t {error}{used}", f"{d} = sum_t {error}{right}"


def _uses(search: Search, form: Form, d: str, names: list[str]) -> tuple[str, str, str]:
    group = search.shares.groups[names[0]][int(str(form.detail))]
    place = search.names.place(group.uses[0][0])
    return (
        f"{{which}} {{is_}} used in several places, and the one at {place} adds nothing",
        f"{d} lacks a term",
        f"{d} = sum over all uses",
    )


def _overwritten(search: Search, form: Form, d: str, names: list[str]) -> tuple[str, str, str]:
    says = (
        f"{{which}} hold{'' if len(names) > 1 else 's'} what step t={form.detail} contributes and nothing of the others"
    )
    return f"{says}: assigned where it should be added", f"{d} = (step t={form.detail})", f"{d} += (step t), for all t"


def _reordered(search: Search, form: Form, d: str, names: list[str]) -> tuple[str, str, str]:
    says = f"the blocks of {{which}} stand in the order {_letters(form)}, which is not the parameter's"
    return says, f"[{_letters(form)}]", f"[{_letters(form, own=True)}]"


def _example(search: Search, form: Form, d: str, names: list[str]) -> tuple[str, str, str]:
    says = f"{{which}} {{is_}} that of the {form.detail} example of the batch"
    return says, f"{d} = (one example)", f"{d} = sum over the batch"


def _clipped(search: Search, form: Form, d: str, names: list[str]) -> tuple[str, str, str]:
    c = f"{form.detail:g}"
    return f"{{which}} {{is_}} clipped to [-{c}, {c}]", f"clip({d}, -{c}, {c})", d


def _clipped_norm(search: Search, form: Form, d: str, names: list[str]) -> tuple[str, str, str]:
    c = f"{form.detail:g}"
    if form.kind == "clipped by norm":
        return f"{{which}} {{is_}} scaled down together to the norm {c}", f"{d} * {c} / norm of all", d
    by = "each by itself" if len(names) > 1 else "by itself"
    return f"{{which}} {{is_}} scaled down to the norm {c}, {by}", f"{d} * {c} / norm of {d}", d


_WORDS = {
    "transposed": lambda s, f, d, n: ("{which} {is_} returned transposed", f"{d}^T", d),
    "missing": lambda s, f, d, n: ("{which} {is_} zero, or not there", f"{d} = 0", f"{d} = the sum over all steps"),
    "sign": lambda s, f, d, n: ("{which} {has} the wrong sign", f"-{d}", d),
    "constant factor": _factor,
    **dict.fromkeys(KINDS.values(), _operand),
    "activation derivative missing": lambda s, f, d, n: (
        "{which} {is_} made of the error before the derivative of the activation, which is missing there alone",
        f"{d} = sum_t dy_t ...",
        f"{d} = sum_t da_t ..., with da_t = dy_t * act'(a_t)",
    ),
    "factor missing": lambda s, f, d, n: (
        "{which} {is_} made of the error before the product with the gate, whose factor is missing there alone",
        f"{d} = sum_t da_t ...",
        f"{d} = sum_t (gate_t * da_t) ...",
    ),
    "one of its uses forgotten": _uses,
    "overwritten instead of accumulated": _overwritten,
    "one example only": _example,
    "bias not summed over the batch": lambda s, f, d, n: (
        "{which} still {has} one row for each example",
        f"{d} = sum_t da_t, (B, H)",
        f"{d} = sum_t sum_b da_t, (H,)",
    ),
    "gate order of the result": _reordered,
    "clipped by value": _clipped,
    "clipped by norm": _clipped_norm,
    "each gradient clipped by norm": _clipped_norm,
}


def _letters(form: Form, own: bool = False) -> str:
    detail = form.detail
    order = detail if isinstance(detail, tuple) and not isinstance(detail, Slip) else ()
    letters = {4: "ifgo", 3: "rzn"}.get(len(order), "1234")
    return ", ".join(letters[k] for k in (range(len(order)) if own else order))
