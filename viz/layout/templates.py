"""The block of each unit: a cell laid out once for all columns, an island of boxes outside time."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence

from ..model import Box, Diagram, Edge
from .block import Block, Key, compose, single
from .measure import size
from .rows import Unit

LONGEST_RAIL = 6
"""A state whose way through the cell has more ops than this is not drawn as a straight line."""

STATE_APART = 26.0
"""Distance of two states that travel side by side."""


class Template:
    """What is equal in all columns of a unit. block: its boxes. states: the roles of its recurrent values, uppermost
    first.

    right: whether the state travels to the right (it does not in the reverse direction of a bidirectional layer).
    """

    def __init__(self, unit: Unit, block: Block, states: list[int], right: bool) -> None:
        self.unit = unit
        self.block = block
        self.states = states
        self.right = right

    def state_at(self, key: Key, state: int, leaving: bool) -> float | None:
        """Height at which a state comes into a box from the side, or leaves it; None if the box is not reached from
        there.
        """
        if self.block.single:
            k = self.states.index(state) if state in self.states else 0
            return (k - (len(self.states) - 1) / 2) * STATE_APART - (4.0 if len(self.states) == 1 else 9.0)
        return (self.block.right if leaving == self.right else self.block.left).get(key)


def templates(diagram: Diagram, units: Sequence[Unit], unit_of: dict[int, Unit]) -> list[Template]:
    """One template for each unit, in order."""
    mine: list[list[Edge]] = [[] for _ in units]
    coming: list[list[Edge]] = [[] for _ in units]
    going: list[list[Edge]] = [[] for _ in units]
    for edge in diagram.edges:
        source, target = unit_of.get(edge.source.id), unit_of.get(edge.target.id)
        untimed = edge.source.column is None and edge.target.column is None
        if source is target and source is not None and (edge.state < 0 or untimed):
            mine[source.number].append(edge)
            continue
        if source is not None:
            going[source.number].append(edge)
        if target is not None:
            coming[target.number].append(edge)
    return [_template(diagram, u, mine[u.number], coming[u.number], going[u.number]) for u in units]


def _template(diagram: Diagram, unit: Unit, inside: list[Edge], coming: list[Edge], going: list[Edge]) -> Template:
    states = _states(diagram, unit, going)
    right = _direction(diagram, going)
    sample: dict[Key, Box] = {}
    sizes: dict[Key, tuple[float, float]] = {}
    for box in unit.boxes:
        if box.kind != "elided" or not unit.timed:
            w, h = size(box, max(1, len(states)))
            known = sizes.get(box.role, (0.0, 0.0))
            sizes[box.role] = (max(w, known[0]), max(h, known[1]))
            sample.setdefault(box.role, box)
    if not sample:  # every column of this unit is left out
        sample = {unit.boxes[0].role: unit.boxes[0]}
        sizes = {unit.boxes[0].role: size(unit.boxes[0])}
    entering = dict.fromkeys(
        (e.source.role, e.target.role) for e in coming if e.target.role in sample and e.source.kind != "elided"
    )
    if len(sample) == 1:
        key = next(iter(sample))
        sources = [
            s
            for s, _ in dict.fromkeys(
                (e.source.role, e.target.role) for e in coming if e.state < 0 and e.kind != "weight"
            )
        ]
        return Template(unit, single(key, sizes[key], [s for s in sources if not isinstance(s, tuple)]), states, right)
    edges = dict.fromkeys(
        (e.source.role, e.target.role) for e in inside if e.target.role in sample and e.source.role in sample
    )
    taking = dict.fromkeys(e.target.role for e in coming if e.state >= 0 and e.target.role in sample)
    giving = dict.fromkeys(e.source.role for e in going if e.state >= 0 and e.source.role in sample)
    leaving = dict.fromkeys(e.source.role for e in going if e.state < 0 and e.source.role in sample)
    recurrent = {(e.source.role, e.target.role) for e in going if e.state >= 0}
    rails = _rails(edges, giving, [v for v in taking if any((u, v) in recurrent for u in giving)])
    if not right:
        rails = [rail[::-1] for rail in rails]
    from_left, to_right = (taking, giving) if right else (giving, taking)
    plain = {(s, t) for e in coming if e.state < 0 for s, t in [(e.source.role, e.target.role)]}
    title = _frame_title(diagram, unit) if unit.timed else None
    late = _late(diagram, sample, edges)
    blocks = [single(key, sizes[key]) for key in sample]
    if not unit.timed:
        blocks, rest = _framed(diagram, sample, sizes, edges, entering, leaving, late)
        late = [key for key in late if key in rest]

    def attempt(extra_in: set[tuple[Key, Key]], extra_out: list[Key]) -> Block:
        return compose(
            blocks, edges, rails=rails, leaving=[*leaving, *extra_out],
            entering=[pair for pair in entering if pair in plain or pair in extra_in],
            from_left=list(from_left), to_right=list(to_right), late=late, title=title,
        )  # fmt: skip

    block = attempt(set(), [])
    seen_in, seen_out = (block.left, block.right) if right else (block.right, block.left)
    blind_in = {pair for pair in entering if pair not in plain and pair[1] not in seen_in}
    blind_out = [key for key in giving if key not in seen_out and key not in leaving]
    if blind_in or blind_out:
        block = attempt(blind_in, blind_out)
    return Template(unit, block, states, right)


def _late(diagram: Diagram, sample: dict[Key, Box], edges: Iterable[tuple[Key, Key]]) -> list[Key]:
    """Boxes that stand right below their readers: parameters, inputs, numbers, and mere views of them."""
    before: dict[Key, list[Key]] = {}
    for a, b in edges:
        before.setdefault(b, []).append(a)
    late: dict[Key, None] = {}
    for key, box in sample.items():
        plain = box.kind in ("parameter", "constant", "input")
        views = (
            box.kind == "op" and diagram.graph.looks_on(box.main) and all(a in late for a in before.get(key, [None]))
        )
        if plain or views:
            late[key] = None
    return list(late)


def _framed(
    diagram: Diagram,
    sample: dict[Key, Box],
    sizes: dict[Key, tuple[float, float]],
    edges: Iterable[tuple[Key, Key]],
    entering: Iterable[tuple[Key, Key]],
    leaving: Iterable[Key],
    late: Collection[Key],
) -> tuple[list[Block], set[Key]]:
    """Blocks for the ops of each module outside time, in frames, and the keys of the boxes that stand alone."""
    readers: dict[Key, set[int]] = {}
    for a, b in edges:
        readers.setdefault(a, set()).add(sample[b].group)
    home: dict[Key, int] = {}
    for key, box in sample.items():
        own = readers.get(key, set())
        home[key] = next(iter(own)) if box.kind == "parameter" and len(own) == 1 else box.group
    members: dict[int, list[Key]] = {}
    for key in sample:
        members.setdefault(home[key], []).append(key)
    blocks: list[Block] = []
    alone: set[Key] = set()
    for group, keys in members.items():
        ops = any(sample[key].kind == "op" for key in keys)
        if len(keys) == 1 or not ops or diagram.groups[group][1] != "module":
            blocks += [single(key, sizes[key]) for key in keys]
            alone.update(keys)
            continue
        inside = set(keys)
        into = [(a, b) for a, b in [*edges, *entering] if b in inside and a not in inside]
        out = [a for a, b in edges if a in inside and b not in inside] + [key for key in leaving if key in inside]
        own_edges = [(a, b) for a, b in edges if a in inside and b in inside]
        name = diagram.groups[group][0].rpartition(".")[2]
        own_late = [key for key in late if key in inside]
        blocks.append(
            compose(
                [single(key, sizes[key]) for key in keys],
                own_edges,
                entering=into,
                leaving=out,
                late=own_late,
                title=name,
            )
        )
    return blocks, alone


def _states(diagram: Diagram, unit: Unit, going: list[Edge]) -> list[int]:
    """Roles of the values that travel to the next step, the one called c first."""
    found = dict.fromkeys(e.state for e in going if e.kind in ("recurrent", "cut") and e.target.group == e.source.group)
    names = {e.state: e.label for e in going}
    return sorted(found, key=lambda role: (names.get(role, ""), role))


def _direction(diagram: Diagram, going: list[Edge]) -> bool:
    for e in going:
        if e.state >= 0 and e.source.column is not None and e.target.column is not None:
            return e.source.column <= e.target.column
    return True


def _frame_title(diagram: Diagram, unit: Unit) -> str:
    path, kind = diagram.groups[unit.boxes[0].group]
    return path.rpartition(".")[2] or ("step" if kind == "step" else "cell")


def _rails(edges: Iterable[tuple[Key, Key]], giving: Iterable[Key], taking: Sequence[Key]) -> list[list[Key]]:
    """For each recurrent value the shortest way through the cell from where it comes in to where it leaves, short ones
    first.
    """
    after: dict[Key, list[Key]] = {}
    for a, b in edges:
        after.setdefault(a, []).append(b)
    rails: list[list[Key]] = []
    for start in taking:
        before: dict[Key, Key | None] = {start: None}
        queue = deque([start])
        ends = set(giving)
        while queue:
            key = queue.popleft()
            if key in ends:
                rail: list[Key] = []
                back: Key | None = key
                while back is not None:
                    rail.append(back)
                    back = before[back]
                if 1 < len(rail) <= LONGEST_RAIL:
                    rails.append(rail[::-1])
                break
            for child in after.get(key, ()):
                if child not in before:
                    before[child] = key
                    queue.append(child)
    return sorted(rails, key=len)
