"""What to call the parts of a recurrence in sentences and equations: h_t, forget gate, W_hh."""

from __future__ import annotations

from ...graph import Node
from ..anatomy.structure import Loop, Structure

__all__ = ["Names"]

_SYMBOLS = {
    "forget gate": "f", "output gate": "o", "input gate": "i", "candidate": "g", "reset gate": "r", "update gate": "z",
}  # fmt: skip


class Names:
    """Names for the nodes of one recording."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.recording = structure.recording
        self.states: dict[Node, str] = {}
        for loop in structure.loops:
            ordered = sorted(loop.states, key=lambda state: not state.entries)
            letters = ["h", "c"] if len(ordered) == 2 else ["h"] if len(ordered) == 1 else []
            for k, state in enumerate(ordered):
                letter = letters[k] if k < len(letters) else f"s{k}"
                self.states.update(dict.fromkeys(state.nodes.values(), letter))

    def view(self, node: Node) -> str:
        """A parameter or a view of it: "weight_hh^T"."""
        owners = [leaf.name or "a parameter" for leaf in self.recording.owners[node]]
        text = " and ".join(sorted(owners))
        turned = False
        while node.parents:
            turned ^= node.op == "transpose"
            node = node.parents[0]
        return f"{text}^T" if turned else text

    def transposed(self, node: Node) -> str:
        """The same, transposed."""
        text = self.view(node)
        return text.removesuffix("^T") if text.endswith("^T") else f"{text}^T"

    def gate(self, node: Node) -> str:
        """What an activation is for, as far as its readers tell: "forget gate", "candidate", or its op."""
        if node.op == "getitem" and len(node.parents[0].parents) == 1:  # one gate of several computed at once
            found = [name for child, i in self.structure.children[node] if (name := self._by_reader(child, i))]
            return found[0] if found else node.parents[0].op
        if node.parents[0] in self.states:
            return f"{node.op}({self.states[node.parents[0]]}_t)"
        if node not in self.structure.step or node in self.states:
            return f"the {node.op} of the new state" if node in self.states else node.op
        found = [name for child, i in self.structure.children[node] if (name := self._by_reader(child, i))]
        alone = node.op == "tanh" and node in self.structure.step[node][0].spine
        return found[0] if found else "candidate" if alone else node.op

    def _is_earlier(self, node: Node, child: Node) -> bool:
        return node in self.states and self.structure.step[node][1] < self.structure.step[child][1]

    def _by_reader(self, child: Node, i: int) -> str:
        if child.op != "multiply" or child not in self.structure.step:
            return ""
        loop, other = self.structure.step[child][0], child.parents[1 - i]
        if self._is_earlier(other, child) or any(
            self._is_earlier(p, child) for p in other.parents if other.op == "subtract"
        ):
            return "forget gate" if len(loop.states) > 1 else "update gate"
        if other.parents and other.parents[0] in self.states and len(loop.states) > 1:
            return "output gate"
        if any(
            reader.op == "add" and reader not in self.states and self._is_argument(reader)
            for reader, _ in self.structure.children[child]
        ):
            return "reset gate"
        if child.parents[i].op == "tanh":
            return "candidate"
        return "input gate" if len(loop.states) > 1 and other.op == "tanh" else ""

    def _is_argument(self, node: Node) -> bool:
        readers = [child for child, _ in self.structure.children[node]]
        return bool(readers) and all(len(child.parents) == 1 and child.primitive is not None for child in readers)

    def symbol(self, node: Node, at: Node | None = None) -> str:
        """A short name for equations; `at`: the node whose step counts as t."""
        if node in self.recording.views:
            return self.view(node)
        if node in self.states:
            return self.states[node] + self._index(node, at)
        name = self.gate(node) if node.primitive is not None and len(node.parents) == 1 else ""
        if name in _SYMBOLS:
            letter = "n" if name == "candidate" and len(self.structure.step[node][0].states) == 1 else _SYMBOLS[name]
            return letter + self._index(node, at)
        if name and "(" in name:
            return name
        *_, last = node.parents or (node,)
        if node.op == "subtract" and last.needs_grad:
            first, *_ = node.parents
            return f"({self.symbol(first, at) if first.needs_grad else 1} - {self.symbol(last, at)})"
        return f"{node.op}_t" if node in self.structure.step else node.op

    def _index(self, node: Node, at: Node | None) -> str:
        steps = self.structure.step
        if at is not None and at in steps and node in steps and steps[at][0] is steps[node][0]:
            offset = steps[node][1] - steps[at][1]
            return "_t" if not offset else f"_{{t{offset:+d}}}"
        return "_t"

    def loop(self, loop: Loop) -> str:
        """Which recurrence, where there are several: " of rnn.l0"."""
        frames = loop.key[0] if isinstance(loop.key, tuple) and loop.key else ()
        path = ".".join(name for name, _ in frames if name) if isinstance(frames, tuple) else ""
        return f" of {path}" if path else ""

    def place(self, node: Node) -> str:
        """A node's op and scope, without its step, and the line of code that made it."""
        path = node.scope.path
        return f"{node.op}{' in ' + path if path else ''}{f' ({node.source})' if node.source else ''}"

    def times(self, loop: Loop) -> str:
        """All steps of a loop, as their scopes number them."""
        return f"t={loop.times[0]}..{loop.times[-1]}"
