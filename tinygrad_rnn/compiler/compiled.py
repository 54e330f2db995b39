"""`compile`: the public face. One program per signature, guards on what the function closes over, and the node behind
its results.

The result of a compiled call is recorded as one node whose rule replays the backward part, so `backward()`, `grad`,
hooks on leaves and optimisers meet nothing unusual.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import GraphError
from ..graph import Node, tick
from ..primitive import Primitive
from ..state import current
from ..tensor import Tensor, make
from ..writes import mutated
from .checking import compare
from .effects import refuse_kept, rewound
from .guards import Guards
from .passes import Line, measure, optimise, stages
from .planning import Outdated, Plan
from .program import INPUT, Program, show
from .replay import Pool, Run, without_collection
from .signature import fill, flatten, make_room, settings
from .trace import Recording, record


class Bundle:
    """The cotangents of several results on their way to the call that made them; it adds up as one cotangent does."""

    __slots__ = ("dtype", "parts", "shape")

    def __init__(self, parts: dict[int, Any], node: Node) -> None:
        self.parts = parts
        self.shape = node.shape
        self.dtype = node.dtype

    def __add__(self, other: Bundle) -> Bundle:
        merged = dict(self.parts)
        for i, g in other.parts.items():
            merged[i] = merged[i] + g if i in merged else g
        made = Bundle.__new__(Bundle)
        made.parts, made.shape, made.dtype = merged, self.shape, self.dtype
        return made


class Call:
    """What the node of a compiled call remembers: the run whose buffers hold its residuals, the ticket of the call, and
    since when its parameters must not be written.
    """

    __slots__ = ("count", "name", "run", "since", "ticket", "which")

    def __init__(self, run: Run, count: int, which: Sequence[int], name: str) -> None:
        self.run, self.ticket, self.count, self.which, self.name = run, run.ticket, count, which, name
        self.since = tick()

    def __repr__(self) -> str:
        return f"<call of {self.name}>"


def _pull_back(g: Any, y: Any, *xs: Any, call: Call) -> list[Any]:
    """The gradients of everything that a compiled call was made from."""
    cotangents: list[Any] = [None] * call.count
    parts = g.parts if isinstance(g, Bundle) else {call.which[0]: g}
    for i, part in parts.items():
        if isinstance(part, Tensor):
            raise GraphError(
                f"backward(create_graph=True) through the compiled function {call.name}: gradients of gradients are "
                f"not compiled. Call the uncompiled function ({call.name}.function) for them, or compile one that "
                f"contains the first gradient (autograd.grad(..., create_graph=True))."
            )
        cotangents[i] = part
    with call.run.lock:
        gradients = call.run.backward(cotangents, call.ticket, call.since)
        return [None if a is None else a.copy() for a in gradients]


def _no_forward(*_: Any, **__: Any) -> Any:
    raise GraphError("a compiled call cannot be re-evaluated node by node; call the function again.")


def _pick(g: Any, y: Any, x: Any, which: int) -> Bundle:
    return Bundle({which: g}, x)


replayed = Primitive("compiled", _no_forward, "replay", joint=_pull_back)
result = Primitive("result", _no_forward, "replay", vjps=(_pick,))


class Entry:
    """One program of a compiled function: what was recorded, what the passes made of it, and the plans that run it."""

    def __init__(self, recording: Recording, name: str) -> None:
        self.recording = recording
        self.name = name
        self.program = optimise(recording.program)
        self.pool = Pool(self.program, once=bool(recording.effects))

    def call(self, leaves: Sequence[Any]) -> Any:
        """Replay the forward part on new arrays."""
        recording = self.recording
        with self.pool.lock:
            run = self.pool.idle()
            buffers = run.forward([x.array if isinstance(x, Tensor) else x for x in leaves])
            outputs: list[Any] = [
                leaves[recording.identical[i]] if i in recording.identical else make(np.array(buffer))
                for i, buffer in enumerate(buffers[: len(buffers) - len(recording.effects)])
            ]
            self.write_effects(buffers[len(outputs) :])
            if recording.live:
                self._attach(outputs, self.parents(leaves), run)
        return fill(recording.template, outputs)

    def write_effects(self, buffers: Sequence[np.ndarray]) -> None:
        """Repeat what the function writes in place."""
        for tensor, buffer in zip(self.recording.effects, buffers, strict=True):
            np.copyto(tensor.array, buffer)
            mutated(tensor.array)

    def parents(self, leaves: Sequence[Any]) -> tuple[Node, ...]:
        """The nodes that the gradients of a call with these leaves go to."""
        return tuple(leaves[w.value].node if w.role == INPUT else w.value for w in self.program.wanted)

    def _attach(self, outputs: list[Any], parents: tuple[Node, ...], run: Run) -> None:
        """Give the results the node of this call; several results are told apart by a node each."""
        state = current()
        live = self.recording.live
        if self.recording.missing is not None:
            raise self.recording.missing
        params = {"call": Call(run, len(self.program.outputs), live, self.name)}
        if len(live) == 1:
            tensor = outputs[live[0]]
            node = tensor.node = Node(replayed, parents, params, (), tensor.array, state, True)
        else:
            node = Node(replayed, parents, params, (), np.zeros(()), state, True)
            for i in live:
                outputs[i].node = Node(result, (node,), {"which": i}, (), outputs[i].array, state, True)
        node.xs = list(parents)  # not the very tuple: a sweep is to take it for residuals, which are gone after it
        self.pool.own(run, node)


class Recent:
    """The last call, if its arguments were plain Tensors: a loop of training calls with the same types again."""

    __slots__ = ("entry", "settings", "types", "version")

    def __init__(self, args: Sequence[Tensor], version: int, entry: Entry) -> None:
        self.types = [(x.array.shape, x.array.dtype, x.requires_grad) for x in args]
        self.version, self.settings, self.entry = version, settings(), entry

    def fits(self, args: Sequence[Any], version: int) -> bool:
        """Whether a call with these arguments has the signature of that one."""
        if len(args) != len(self.types) or version != self.version or settings() != self.settings:
            return False
        for x, (shape, dtype, grad) in zip(args, self.types, strict=True):
            if type(x) is not Tensor:
                return False
            array, node = x.array, x.node
            if array.shape != shape or array.dtype is not dtype or (node is not None and node.needs_grad) != grad:
                return False
        return True


class Compiled:
    """A compiled function: called like the function itself, with the same results.

    function: what was compiled. Every signature (structure, shapes, dtypes and requires_grad of the arrays, values of
    everything else) is recorded once and replayed afterwards; so is every change of what the function closes over.
    Threads may share it: they take turns. A deep copy has programs of its own.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        functools.update_wrapper(self, function, updated=())
        self._guards = Guards(function)
        self._entries: dict[Any, Entry] = {}
        self._recent: Recent | None = None
        self._lock = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        state = current()
        if state.tracing or state.everything or state.watched:
            return self.function(*args, **kwargs)  # somebody else is recording, or wants to see every op
        leaves: list[Any] = []
        entry = self.entry(args, kwargs, leaves)
        try:
            return entry.call(leaves)
        except Outdated:
            return self.renewed(entry, args, kwargs).call(leaves)

    def renewed(self, entry: Entry, args: Any, kwargs: Any) -> Entry:
        """A program in place of one whose parameters have other shapes or dtypes by now."""
        with self._lock:
            self._recent = None
            self._entries = {key: known for key, known in self._entries.items() if known is not entry}
            return self.entry(args, kwargs, [])

    def entry(self, args: Any, kwargs: Any, leaves: list[Any]) -> Entry:
        """The program for these arguments, recorded if it is new; their arrays are appended to `leaves`."""
        with self._lock:
            recent, version = self._recent, self._guards.version()
            if recent is not None and not kwargs and recent.fits(args, version):
                leaves += args
                return recent.entry
            return self._recorded(args, kwargs, leaves, version)

    def _recorded(self, args: Any, kwargs: Any, leaves: list[Any], version: int) -> Entry:
        """The program for a call that is not like the last one, recorded if it is new."""
        key: list[Any] = []
        objects: list[Any] = []
        template = flatten((args, kwargs), leaves, key, objects.append)
        signature = (*key, *settings())
        guards = self._guards.joined_by(objects, signature) if objects else self._guards
        further = guards.version() if guards is not self._guards else version
        entry = self._entries.get((version, further, signature))
        if entry is None:
            with (
                rewound(guards.reached, args, kwargs),
                without_collection(),
                self._guards.learning(),
                guards.learning(),
            ):
                start = tick()
                entry = Entry(record(self.function, template, leaves), self.name)
            make_room(self._entries)
            version, further = self._guards.version(), guards.version()  # recording may have changed what is seen
            refuse_kept(guards.reached, start, len(leaves))
            self._entries[version, further, signature] = entry
        if not kwargs and all(type(x) is Tensor for x in args):
            self._recent = Recent(args, version, entry)
        return entry

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        return Compiled(copy.deepcopy(self.function, memo))  # views of a plan's buffers would be copied apart

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """A compiled method: one program cache for each object it is bound to."""
        if instance is None:
            return self
        name = f"_compiled_{self.function.__qualname__}"  # a class and the one that it extends may each have one
        bound = vars(instance).get(name)
        method = self.function.__get__(instance, owner)
        # one for another object is that of the one that this was copied from, or of the class above
        if bound is None or bound.function.__self__ is not method.__self__:
            bound = Compiled(method)
            if isinstance(instance, type):
                setattr(instance, name, bound)
            else:
                vars(instance)[name] = bound
        return bound

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """The optimised program for these arguments."""
        return self.entry(args, kwargs, []).program

    def report(self, *args: Any, **kwargs: Any) -> list[Line]:
        """What each pass left to do, for these arguments."""
        return [measure(name, program) for name, program in self.stages(*args, **kwargs)]

    def stages(self, *args: Any, **kwargs: Any) -> list[tuple[str, Program]]:
        """The program for these arguments as recorded and after each pass, by the name of the pass: what `viz`
        draws.
        """
        return stages(self.entry(args, kwargs, []).recording.program)

    def plan(self, *args: Any, **kwargs: Any) -> Plan:
        """The memory and the bound calls for these arguments."""
        pool = self.entry(args, kwargs, []).pool
        return (pool.runs or [pool.idle()])[0].plan

    def explain(self, *args: Any, limit: int = 200, **kwargs: Any) -> str:
        """What became of the function for these arguments: every pass, the plan, and the program, one line each.

        limit: how many instructions to print.
        """
        entry = self.entry(args, kwargs, [])
        plan = self.plan(*args, **kwargs)
        report = self.report(*args, **kwargs)
        lines = [f"{line.name:<24}{line.instructions:>8} instructions{line.nbytes:>14,} bytes" for line in report]
        lines.append(
            f"{'plan':<24}{len(plan.forward):>8} calls forward, {len(plan.backward)} backward, {plan.bytes:,} bytes of "
            f"buffers, {plan.layout.count_copies()} operands copied to lie side by side"
        )
        return "\n".join([*lines, "", show(entry.program, limit)])

    def check(self, *args: Any, rtol: float | None = None, atol: float | None = None, **kwargs: Any) -> None:
        """Compare results and gradients with those of the function itself, on these arguments.

        rtol, atol: tolerances, by default such as reordered sums need. Raises AssertionError with the largest
        difference. Draws from the default generator are the same on both sides.
        """
        leaves: list[Any] = []
        entry = self.entry(args, kwargs, leaves)
        compare(
            lambda: self.function(*args, **kwargs),
            lambda: self(*args, **kwargs),
            lambda: entry.parents(leaves),
            rtol,
            atol,
        )


def compile(function: Callable[..., Any]) -> Compiled:
    """Record `function` once per signature and replay it as an expert would have written it; usable as a decorator.

    function: takes and returns Tensors, arrays and static values, in lists, tuples and dicts. Parameters that it closes
    over are read at every call. Raises GraphError, when called, where a traced value is read (`item()`, `if tensor:`)
    or an op cannot be replayed.

    A change of what it closes over, or is given, is recorded anew: of modules (whether they train, their parameters and
    which of these are frozen), attributes that its code names, short lists and dicts, helper functions. What cannot be
    seen: entries of lists and dicts of more than 64, attributes of objects with `__slots__` or read through `getattr`,
    NumPy arrays of which entries are read as numbers, draws from a NumPy generator by its own methods, the environment.
    `check(*args)` tells whether the program still does what the function does.

    Four calls of a thread can wait for their backward(); compile a sum of more losses as one function.

    Source: Neubig et al. 2017, "On-the-fly Operation Batching in Dynamic Computation Graphs", for the scheduling.
    """
    return Compiled(function)
