"""Which values may lie next to each other: requests to be neighbours in one buffer, granted as long as they agree.

Every granted request links each part to the next. A value has one left and one right neighbour at most, so requests
that agree where they overlap become one chain: the states h[0..T] serve the head (h[1..T]) and the weight gradient
(h[0..T-1]) from one buffer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from .program import Instruction


class Chains:
    """Links between values that lie side by side."""

    def __init__(self) -> None:
        self.next: dict[Instruction, Instruction] = {}
        self.previous: dict[Instruction, Instruction] = {}

    def link(self, parts: Sequence[Instruction]) -> bool:
        """Grant a request if it contradicts no earlier one; returns whether it did."""
        if len(set(parts)) < len(parts):
            return False
        fresh = []
        for a, b in itertools.pairwise(parts):
            if self.next.get(a, b) is not b or self.previous.get(b, a) is not a:
                return False
            if a not in self.next:
                fresh.append((a, b))
        for a, b in fresh:
            self.next[a] = b
            self.previous[b] = a
        if fresh and self._closes(parts[0]):
            for a, b in fresh:
                del self.next[a], self.previous[b]
            return False
        return True

    def _closes(self, start: Instruction) -> bool:
        ins = self.next.get(start)
        while ins is not None and ins is not start:
            ins = self.next.get(ins)
        return ins is start

    def runs(self) -> Iterable[list[Instruction]]:
        """Every chain, first to last."""
        for start in list(self.next):
            if start not in self.previous:
                run = [start]
                while run[-1] in self.next:
                    run.append(self.next[run[-1]])
                yield run
