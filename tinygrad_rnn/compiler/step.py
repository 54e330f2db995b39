"""Compile a whole training step: loss, gradients, clipping and the update of an optimiser as one call.

All parameters lie in one vector and all gradients in another, into which the program writes them directly; the norm is
then one product and the update one pass, whatever the number of parameters.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from operator import attrgetter, is_
from typing import Any

import numpy as np

from ..errors import GraphError
from ..graph import Node
from ..ops.shape import concatenate, reshape
from ..tensor import Tensor, make
from ..writes import mutated
from .compiled import Compiled, Entry
from .planning import aligned
from .program import Instruction, Program
from .replay import Pool
from .signature import fill

BLOCK = 1 << 15
"""Entries that are updated at a time where that is possible."""

IN_STEP = 3
"""Callers of what notes the update that lie in this package: `Step._update`, `_step` and `__call__`."""


_array = attrgetter("array")


class Group:
    """The parameters of one option group that have a gradient, as views of a part of one vector.

    options: the group's dict, read live. vector: their part of the vector. state: what the optimiser remembers of it,
    as if it were one parameter; the parameters' own states are views of it.
    """

    def __init__(self, options: dict[str, Any], parameters: Sequence[Any], vector: np.ndarray) -> None:
        self.options = options
        self.parameters = list(parameters)
        self.vector = vector
        self.views = _split(vector, [p.array.shape for p in self.parameters])
        self.state: dict[str, Any] = {}
        self.exposed: list[dict[str, Any]] = []
        for p, view in zip(self.parameters, self.views, strict=True):
            view[...] = p.array
            p.data = make(view)

    def update(self, optimizer: Any, gradient: np.ndarray, scale: float = 1) -> None:
        """One step of all parameters of the group at once. scale: what to multiply the gradient with beforehand."""
        states = optimizer.state
        if self.options.get("maximize"):
            np.negative(gradient, gradient)
        known = len(self.exposed) == len(self.parameters) and all(
            map(is_, map(states.get, self.parameters), self.exposed)
        )
        if not known:
            self.state = self._gathered([states.get(p) or {} for p in self.parameters])
        if known and gradient.size > BLOCK and self._keeps_nothing(optimizer):
            self._update_in_blocks(optimizer, gradient, scale)
            return
        if scale != 1:
            np.multiply(gradient, scale, gradient)
        kept = self._kept() if self.state else {}
        optimizer.update(self.vector, gradient, self.state, self.options)
        if known and not self.state:
            return
        after = self._kept()
        if not known or kept != after:
            self._expose(states)
        else:
            numbers = {name: value for name, value in self.state.items() if name not in after}
            for exposed in self.exposed:
                exposed.update(numbers)

    def _kept(self) -> dict[str, int]:
        """The arrays that the optimiser remembers, by their ids."""
        return {name: id(value) for name, value in self.state.items() if isinstance(value, Tensor)}

    def _keeps_nothing(self, optimizer: Any) -> bool:
        """Whether the optimiser, with its options of now, remembers nothing from step to step."""
        if self.state:
            return False
        state: dict[str, Any] = {}
        optimizer.update(self.vector[:0], self.vector[:0], state, self.options)
        return not state

    def _update_in_blocks(self, optimizer: Any, gradient: np.ndarray, scale: float) -> None:
        """What keeps no state treats each entry by itself: blocks that fit into the cache are scaled and applied."""
        for start in range(0, gradient.size, BLOCK):
            part = gradient[start : start + BLOCK]
            if scale != 1:
                np.multiply(part, scale, part)
            optimizer.update(self.vector[start : start + BLOCK], part, self.state, self.options)

    def _gathered(self, given: list[dict[str, Any]]) -> dict[str, Any]:
        """The states of the parameters as one. Raises GraphError if some have been stepped and others not."""
        if any(state.keys() != given[0].keys() for state in given):
            raise GraphError(
                "compile_step: some parameters of a group have optimiser state and others have none. Step all of them "
                "once with optimizer.step(), or begin with a fresh optimiser."
            )
        state = {}
        for name, value in given[0].items():
            values = [s[name] for s in given]
            if isinstance(value, Tensor) and value.array.ndim:
                state[name] = make(np.concatenate([v.array.reshape(-1) for v in values]))
            else:
                state[name] = value
        return state

    def _expose(self, states: dict[Any, Any]) -> None:
        """Let each parameter's state be its part of the group's."""
        shapes = [p.array.shape for p in self.parameters]
        parts: list[dict[str, Any]] = [{} for _ in shapes]
        for name, value in self.state.items():
            if isinstance(value, Tensor) and value.array.shape == self.vector.shape:
                for part, view in zip(parts, _split(value.array, shapes), strict=True):
                    part[name] = make(view)
            else:
                for part in parts:
                    part[name] = value
        self.exposed = parts
        states.update(zip(self.parameters, parts, strict=True))


def _split(vector: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """A vector as views of these shapes, one after the other."""
    views, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        views.append(vector[start : start + size].reshape(shape))
        start += size
    return views


class Prepared:
    """What a step needs for one signature: a program that leaves all gradients in one vector, and the groups.

    groups: in the order of the vector. run: what runs the program, one for all calls: none waits for its backward.
    count: of the results. cotangents: those of the results, the loss being what is differentiated.
    """

    def __init__(self, entry: Entry, optimizer: Any, groups: list[Group]) -> None:
        live, program = entry.recording.live, entry.program
        if not live:
            raise GraphError("compile_step: the loss does not require grad: no parameter that does leads to it.")
        shape = program.outputs[live[0]].shape
        if math.prod(shape) != 1:
            raise GraphError(f"compile_step: the loss must have one entry, got shape {list(shape)}.")
        gradients: dict[Node, Instruction] = {
            w.value: g for w, g in zip(program.wanted, program.gradients, strict=True) if g is not None
        }
        chosen = [(o, [p for p in o["params"] if p.node in gradients]) for o in optimizer.param_groups]
        chosen = [(options, members) for options, members in chosen if members]
        if not chosen:
            raise GraphError("compile_step: the loss depends on no parameter of the optimiser.")
        order = [gradients[p.node] for _, members in chosen for p in members]
        if len({g.dtype for g in order}) > 1:
            raise GraphError("compile_step: parameters of several dtypes; give each dtype an optimiser of its own.")
        self.groups = groups
        if [(g.options, g.parameters) for g in groups] != chosen or not self.ready():
            self.groups = _pack(chosen, order[0].dtype)
        self.count = len(program.outputs) - len(entry.recording.effects)
        self.cotangents: list[Any] = [1 if i == live[0] else None for i in range(len(program.outputs) + 1)]
        self.run = Pool(_with_vector(program, order)).idle()

    def ready(self) -> bool:
        """Whether the parameters still live in the vectors: nobody has given one another array since."""
        return all(all(map(is_, map(_array, group.parameters), group.views)) for group in self.groups)


def _pack(chosen: list[tuple[dict[str, Any], list[Any]]], dtype: np.dtype) -> list[Group]:
    sizes = [sum(p.array.size for p in members) for _, members in chosen]
    theta = aligned(sum(sizes) * dtype.itemsize).view(dtype)
    parts = _split(theta, [(size,) for size in sizes])
    return [Group(options, members, part) for (options, members), part in zip(chosen, parts, strict=True)]


def _with_vector(program: Program, order: Sequence[Instruction]) -> Program:
    """The program with one more output: these gradients, flattened, one after the other."""
    flat = [
        Instruction(reshape, (g,), {"shape": (g.size,)}, (g.size,), g.dtype, g.scope, True) if g.ndim != 1 else g
        for g in order
    ]
    size = sum(g.size for g in order)
    vector = Instruction(concatenate, tuple(flat), {"axis": 0}, (size,), order[0].dtype, backward=True)
    extra = [f for f in dict.fromkeys(flat) if f not in set(order)]
    return program._replace(
        instructions=(*program.instructions, *extra, vector),
        outputs=(*program.outputs, vector),
        cotangents=(*program.cotangents, None),
        wanted=(),
        gradients=(),
    )


class Step:
    """A compiled training step: `step(*args)` returns what the loss function returns, without history.

    norm: of all gradients together, before clipping, in the last step; None without `clip`. Threads may share a step:
    they take turns.
    """

    def __init__(self, loss_fn: Callable[..., Any], optimizer: Any, clip: float | None = None) -> None:
        self.compiled = loss_fn if isinstance(loss_fn, Compiled) else Compiled(loss_fn)
        self.optimizer = optimizer
        self.clip = clip
        self.norm: float | None = None
        self._prepared: dict[Entry, Prepared] = {}
        self._groups: list[Group] = []
        self._lock = threading.RLock()  # reentrant: a hook of the optimiser may evaluate
        base = next(c for c in reversed(type(optimizer).__mro__) if "step" in vars(c))
        if type(optimizer).step is not base.step:  # type: ignore[attr-defined]
            raise GraphError(
                f"compile_step: {type(optimizer).__name__} does not update entry by entry. Compile the loss function "
                f"only, and call backward() and step() yourself."
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return self._step(args, kwargs)

    def _step(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        leaves: list[Any] = []
        entry = self.compiled.entry(args, kwargs, leaves)
        prepared = self._prepared.get(entry)
        if prepared is None or not prepared.ready():
            prepared = self._prepared[entry] = Prepared(entry, self.optimizer, self._groups)
            self._groups = prepared.groups
        run = prepared.run
        buffers = run.forward([x.array if isinstance(x, Tensor) else x for x in leaves])
        results = [make(np.array(buffer)) for buffer in buffers[: prepared.count]]
        if entry.recording.effects:
            entry.write_effects(buffers[prepared.count : -1])
        run.backward(prepared.cotangents, run.ticket)
        self._update(prepared, buffers[-1])
        return fill(entry.recording.template, results)

    def _update(self, prepared: Prepared, gradient: np.ndarray) -> None:
        """Clip and update, with the optimiser's hooks around it."""
        optimizer = self.optimizer
        if optimizer._step_pre_hooks:
            for hook in tuple(optimizer._step_pre_hooks.values()):
                hook(optimizer, (), {})
        scale = 1.0
        if self.clip is not None:
            # unlike dot, vdot does not warn where a gradient overflows; the norm is then inf, which is what is meant
            self.norm = math.sqrt(float(np.vdot(gradient, gradient)))
            scale = self.clip / (self.norm + 1e-6)
            scale = 1.0 if scale >= 1 else scale  # NaN stays
        start = 0
        mutated(prepared.groups[0].vector, above=IN_STEP)  # and with it the others, which are parts of the same memory
        for group in prepared.groups:
            stop = start + group.vector.size
            group.update(optimizer, gradient[start:stop], scale)
            start = stop
        optimizer.steps_taken += 1
        if optimizer._step_post_hooks:
            for hook in tuple(optimizer._step_post_hooks.values()):
                hook(optimizer, (), {})


def compile_step(loss_fn: Callable[..., Any], optimizer: Any, clip: float | None = None) -> Step:
    """Make one call of loss, backward, gradient clipping and optimiser step.

    loss_fn: returns the loss, a Tensor with one entry, or a tuple that begins with it; as for `compile`.
    optimizer: one of `optim` whose rule treats each entry by itself (all but LBFGS). Its parameters move into one
        vector; its options, schedules, hooks and state_dict work as ever.
    clip: the largest norm of all gradients together, as `nn.utils.clip_grad_norm_`; None for no clipping.
    Returns a function of the arguments of `loss_fn`; gradients are not left in `.grad`. Raises GraphError for other
    optimisers, and when called if the loss depends on none of its parameters.
    """
    return Step(loss_fn, optimizer, clip)
