"""Rows from bottom to top: inputs, layers, outputs, loss.

A *unit* is what gets a row: a group of roles that repeats in every column, or an island of boxes outside time. A
recurrent group has a row of its own, so its state travels in a straight line; groups without recurrence may stand
side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable

from ..model import Box, Diagram
from ..model.order import components, ranks, topological
from ..model.roles import without_circles

MANY = 3
"""Something outside time that touches at least so many columns is a unit of its own: a sequence, or its collection."""


class Unit:
    """One group in all its columns, or one island. rank: its floor; row: its number from below; slot: its place in the
    row.
    """

    def __init__(self, number: int, timed: bool) -> None:
        self.number = number
        self.timed = timed
        self.boxes: list[Box] = []
        self.columns: set[int] = set()
        self.recurrent = self.above = False
        self.rank = self.row = self.slot = 0


def in_gutter(diagram: Diagram) -> set[int]:
    """Ids of the parameters that the steps share, and of what is prepared from them: they stand at the left."""
    found: set[int] = set()
    for edge in reversed(diagram.edges):
        if edge.kind == "weight" and (edge.target.column is not None or edge.target.id in found):
            found.add(edge.source.id)
    return found


def units(diagram: Diagram, aside: Collection[int]) -> tuple[list[Unit], dict[int, Unit]]:
    """The units in rows, and the unit of each box, but for those that stand `aside` (ids)."""
    timed_group: dict[int, int] = {}
    node_of: dict[int, int] = {}
    boxes = [b for b in diagram.boxes if b.id not in aside]
    timed = {b.group for b in boxes if b.column is not None}
    apart = _touching_many(diagram)
    first: list[Box] = []
    for box in boxes:
        key = box.group if box.group in timed and box.column is not None else None
        if key is not None and key in timed_group:
            node_of[box.id] = timed_group[key]
            continue
        node_of[box.id] = len(first)
        if key is not None:
            timed_group[key] = len(first)
        first.append(box)
    edges = [
        (node_of[e.source.id], node_of[e.target.id])
        for e in diagram.edges
        if e.source.id in node_of and e.target.id in node_of and e.kind not in ("recurrent", "cut")
    ]
    edges = sorted({(a, b) for a, b in edges if a != b})
    island = _islands(first, edges, apart)
    group = _joined_to_readers(first, without_circles(island, edges), island, edges, apart)
    found = [Unit(g, False) for g in range(max(group, default=-1) + 1)]
    unit_of: dict[int, Unit] = {}
    for box in boxes:
        unit = unit_of[box.id] = found[group[node_of[box.id]]]
        unit.boxes.append(box)
        if box.column is not None:
            unit.timed = True
            unit.columns.add(box.column)
    for edge in diagram.edges:
        if edge.kind in ("recurrent", "cut") and edge.source.group == edge.target.group:
            unit_of[edge.source.id].recurrent = True
    joints = {(group[a], group[b]) for a, b in edges if group[a] != group[b]}
    later = {
        (unit_of[e.source.id].number, unit_of[e.target.id].number)
        for e in diagram.edges
        if e.kind in ("recurrent", "cut") and e.source.id in unit_of and e.target.id in unit_of
    }
    joints = sorted(joints | _one_way(len(found), joints, later))
    plain = [all(is_input(diagram, box) for box in unit.boxes) for unit in found]
    _number_rows(found, joints, plain)
    return found, unit_of


def is_input(diagram: Diagram, box: Box) -> bool:
    """Whether a box is an input, a number, or a slice of an input."""
    return box.kind != "parameter" and diagram.groups[box.group][1] in ("slice", "leaf")


def sequences_between(diagram: Diagram, found: list[Unit]) -> set[int]:
    """Ids of inputs outside time that would stand between two rows of the columns, such as the targets of a loss."""
    timed = [unit.row for unit in found if unit.timed and not is_input(diagram, unit.boxes[0])]
    return {
        unit.boxes[0].id
        for unit in found
        if not unit.timed
        and len(unit.boxes) == 1
        and is_input(diagram, unit.boxes[0])
        and unit.row > min(timed, default=unit.row)
        and any(row > unit.row for row in timed)
    }


def starting(diagram: Diagram) -> tuple[set[int], set[int]]:
    """Ids of the initial states that enter a step and stand beside it, and of what these alone are made from."""
    beside = {e.source.id for e in diagram.edges if e.source.initial and e.target.column is not None}
    readers: dict[int, set[int]] = {}
    for edge in diagram.edges:
        readers.setdefault(edge.source.id, set()).add(edge.target.id)
    below = {b.id for b in diagram.boxes if b.initial and b.id not in beside and readers.get(b.id, {-1}) <= beside}
    return beside, below


def _touching_many(diagram: Diagram) -> set[int]:
    touched: dict[int, set[int]] = {}
    for edge in diagram.edges:
        for one, other in ((edge.source, edge.target), (edge.target, edge.source)):
            if one.column is None and other.column is not None:
                touched.setdefault(one.id, set()).add(other.column)
    return {box for box, cols in touched.items() if len(cols) >= MANY}


def _islands(first: list[Box], edges: list[tuple[int, int]], apart: set[int]) -> list[int]:
    """A number for each box outside time, equal where edges join them; boxes of `apart` and timed groups stay alone."""
    root = list(range(len(first)))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    alone = [box.column is not None or box.id in apart for box in first]
    for a, b in edges:
        if not alone[a] and not alone[b]:
            root[find(b)] = find(a)
    number: dict[Hashable, int] = {}
    return [number.setdefault(find(i), len(number)) for i in range(len(first))]


def _joined_to_readers(
    first: list[Box], group: list[int], island: list[int], edges: list[tuple[int, int]], apart: set[int]
) -> list[int]:
    """Move what only one part of a split island reads into that part, so that parameters stand beside their readers.

    What only one bar reads stands together below it.
    """
    readers: dict[int, list[int]] = {}
    made: set[int] = set()
    for a, b in edges:
        readers.setdefault(a, []).append(b)
        made.add(b)
    group = list(group)
    below: dict[int, int] = {}
    for i in reversed(topological(len(first), edges)):
        parts = {group[b] for b in readers.get(i, ())}
        if first[i].column is None and first[i].id not in apart and len(parts) == 1:
            reader = readers[i][0]
            if island[reader] == island[i]:
                group[i] = group[reader]
            elif first[reader].id in apart and i not in made:
                group[i] = below.setdefault(group[reader], -1 - len(below))
    number = {g: k for k, g in enumerate(dict.fromkeys(group))}
    return [number[g] for g in group]


def _one_way(n: int, joints: set[tuple[int, int]], later: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those ways to another unit in a later step that nothing leads back: a decoder stands above its encoder."""
    after: list[list[int]] = [[] for _ in range(n)]
    for a, b in sorted(joints | later):
        after[a].append(b)
    part = components(after)
    return {(a, b) for a, b in later if part[a] != part[b]}


def _targets(
    found: list[Unit], readers: dict[int, list[int]], sources: dict[int, list[int]], plain: list[bool]
) -> list[tuple[int, int]]:
    """(unit, reader) of what every step reads at its upper end, beside its main input: the targets of a loss.

    They stand above, as in the textbooks, and so cross nothing.
    """
    chosen: dict[int, int] = {}
    for unit in found:
        i = unit.number
        if not plain[i] or not unit.timed or len(readers.get(i, ())) != 1:
            continue
        reader = found[readers[i][0]]
        single = len({box.role for box in reader.boxes if box.kind != "elided"}) == 1
        others = [a for a in sources.get(reader.number, ()) if not plain[a]]
        if reader.timed and single and others and not readers.get(reader.number):
            chosen[i] = reader.number
    made_from = {a for i in chosen for a in sources.get(i, ())}
    shared = {a for a in made_from if not plain[a] or sources.get(a) or not chosen.keys() >= set(readers[a])}
    return [(i, reader) for i, reader in chosen.items() if shared.isdisjoint(sources.get(i, ()))]


def _number_rows(found: list[Unit], joints: list[tuple[int, int]], plain: list[bool]) -> None:
    rank = ranks(len(found), joints)
    readers: dict[int, list[int]] = {}
    sources: dict[int, list[int]] = {}
    for a, b in joints:
        readers.setdefault(a, []).append(b)
        sources.setdefault(b, []).append(a)
    for i in reversed(topological(len(found), joints)):  # inputs stand right below what reads them
        if plain[i] and i in readers and all(plain[a] for a in sources.get(i, ())):
            rank[i] = min(rank[b] for b in readers[i]) - 1
    for i, reader in _targets(found, readers, sources, plain):
        found[i].above = True
        rank[i] = rank[reader] + 1
        for a in sources.get(i, ()):
            found[a].above = True
            rank[a] = rank[reader] + 2
    rows: dict[tuple[int, ...], list[Unit]] = {}
    beside = {rank[u.number] for u in found if u.timed and not u.recurrent and not plain[u.number]}
    for unit in found:
        unit.rank = rank[unit.number]
        kind = (2, unit.number) if not unit.timed else (1, unit.number) if unit.recurrent else (0, 0)
        if plain[unit.number] and unit.timed and unit.rank not in beside:
            kind = (3, 0)  # right below its reader, not below the cells that the reader also reads
        rows.setdefault((unit.rank, *kind), []).append(unit)
    for number, key in enumerate(sorted(rows)):
        members = sorted(rows[key], key=lambda u: (plain[u.number], u.number))
        for slot, unit in enumerate(members):
            unit.row, unit.slot = number, slot
