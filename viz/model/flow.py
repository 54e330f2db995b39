"""How the gradient fares along time: the norm that reaches the state of each step, and whether it dies or blows up."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .diagram import Diagram
from .scale import Flow
from .sweep import Measure

THRESHOLD = 1e3
"""A state that gets so many times less, or more, than the one where the gradient enters is called vanished, or
exploded.
"""


def flows(diagram: Diagram, gradients: Sequence[Measure | None]) -> list[Flow]:
    """One flow for each group whose state travels from step to step."""
    fold = diagram.fold
    states: dict[int, set[int]] = {}
    for producer, reader in sorted(fold.across):
        if fold.group[producer] == fold.group[reader]:
            states.setdefault(fold.group[producer], set()).add(producer)
    back = {source for source, delta in fold.carried.values() if delta > 0}
    squares: dict[int, dict[int, float]] = {group: {} for group in states}
    for i, role in enumerate(fold.role):
        t, found = fold.step[i], gradients[i]
        group = fold.group[role]
        if t is None or group not in states or role not in states[group] or diagram.graph.nodes[i].scope.backward:
            continue
        norm = 0.0 if found is None else math.inf if found.broken else found.norm
        squares[group][t] = math.hypot(squares[group].get(t, 0.0), norm)
    names = {box.group: box.title for box in diagram.boxes if box.kind == "module"}
    made = []
    for group, norms in squares.items():
        if sum(norm > 0 for norm in norms.values()) > 1 and not _is_total(diagram, states[group]):
            name = names.get(group) or diagram.groups[group][0].rpartition(".")[2] or "cell"
            made.append(_flow(group, name, sorted(norms.items()), reverse=bool(states[group] & back)))
    return made


def _is_total(diagram: Diagram, roles: set[int]) -> bool:
    """Whether what travels is a running sum of losses: a number, not a state."""
    fold = diagram.fold
    return all(diagram.graph.nodes[i].shape == () for i, role in enumerate(fold.role) if role in roles)


def _flow(group: int, name: str, norms: list[tuple[int, float]], reverse: bool) -> Flow:
    way = norms if reverse else norms[::-1]  # from where the gradient enters to where it ends
    entered = next(((t, norm) for t, norm in way if norm > 0), way[0])
    start = entered[1]
    ratio = way[-1][1] / start if start and not math.isinf(start) else math.nan
    ends = entered[0], way[-1][0]
    after = [(t, norm) for t, norm in way[way.index(entered) :]]
    vanished = next((t for t, norm in after if norm < start / THRESHOLD), None)
    exploded = next((t for t, norm in after if norm > start * THRESHOLD or math.isinf(norm)), None)
    if exploded is not None:
        return Flow(group, name, norms, ratio, "exploding", exploded, ends)
    return Flow(group, name, norms, ratio, "vanishing" if vanished is not None else "", vanished, ends)
