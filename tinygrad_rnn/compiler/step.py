"""Compile a whole training step: loss, gradients, clipping and the update of an optimiser as one call.

All parameters lie in one vector and all gradients in another, into which the program writes them directly; the norm is
then one product and the update one pass, whatever the number of parameters.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..backward import run_hooks
from ..errors import GraphError
from ..graph import Node
from ..ops.shape import concatenate, reshape
from ..state import current
from ..tensor import Tensor, make
from ..writes import mutated
from .compiled import Compiled, Entry
from .flat import Flat, Segment, flat, segments, split
from .planning import Outdated
from .program import Instruction, Program
from .replay import Pool
from .signature import fill, flatten, make_room

IN_STEP = 3
"""Callers of what notes the update that lie in this package: `Step._update`, `_step` and `__call__`."""


_hooks = attrgetter("node.hooks")


class Prepared:
    """What a step needs for one signature: a program that leaves all gradients in one vector, and what it updates.

    entry: what was recorded. where: the parameters' vector when it was made. members: the parameters with a gradient,
    in its order; size, dtype: of their gradients together. run: what runs the program, one for all calls: none waits
    for its backward. count: of the results. cotangents: those of the results, the loss being what is differentiated.
    """

    def __init__(self, entry: Entry, where: Flat) -> None:
        live, program = entry.recording.live, entry.program
        if not live or live[0] != 0:
            what = "the loss" if not live else "the first result, which is the loss,"
            raise GraphError(f"compile_step: {what} does not require grad: no parameter that does leads to it.")
        shape = program.outputs[0].shape
        if math.prod(shape) != 1:
            raise GraphError(f"compile_step: the loss must have one entry, got shape {list(shape)}.")
        gradients: dict[Node, Instruction] = {
            w.value: g for w, g in zip(program.wanted, program.gradients, strict=True) if g is not None
        }
        self.entry, self.where = entry, where
        self.members = [p for p in where.members if p.node in gradients]
        if not self.members:
            raise GraphError("compile_step: the loss depends on no parameter of the optimiser.")
        order = [gradients[p.node] for p in self.members if p.node is not None]
        if len({g.dtype for g in order}) > 1:
            raise GraphError("compile_step: parameters of several dtypes; give each dtype an optimiser of its own.")
        self.size, self.dtype = sum(g.size for g in order), order[0].dtype
        self.shapes = [g.shape for g in order]
        self.segments: list[Segment] = []
        self.count = len(program.outputs) - len(entry.recording.effects)
        self.cotangents: list[Any] = [1, *[None] * len(program.outputs)]
        self.run = Pool(_with_vector(program, order)).idle()

    def parts(self, states: dict[Tensor, dict[str, Any]]) -> list[Segment]:
        """What is updated at once, cut anew if somebody else has changed what the optimiser remembers."""
        if not self.segments or not all(segment.current(states) for segment in self.segments):
            self.segments = segments(self.where, self.members, states)
        return self.segments


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
        self._flat: Flat | None = None
        self._lock = threading.RLock()  # reentrant: a hook of the optimiser may evaluate
        kind = type(optimizer)
        base = next(c for c in reversed(kind.__mro__) if "step" in vars(c))
        for name in ("step", "update_group"):
            if getattr(kind, name) is not getattr(base, name) or name in vars(optimizer):
                raise GraphError(
                    f"compile_step: {kind.__name__} does not update entry by entry: it has a {name}() of its own. "
                    f"Compile the loss function only, and call backward() and step() yourself."
                )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return self._step(args, kwargs)

    def _step(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if current().watched:
            return self._eagerly(args, kwargs)
        leaves: list[Any] = []
        entry = self.compiled.entry(args, kwargs, leaves)
        arrays = [x.array if isinstance(x, Tensor) else x for x in leaves]
        try:
            prepared = self._ready(entry)
            buffers = prepared.run.forward(arrays)
        except Outdated:
            entry = self.compiled.renewed(entry, args, kwargs)
            prepared = self._ready(entry)
            buffers = prepared.run.forward(arrays)
        run = prepared.run
        results = [make(np.array(buffer)) for buffer in buffers[: prepared.count]]
        if entry.recording.effects:
            entry.write_effects(buffers[prepared.count : -1])
        run.backward(prepared.cotangents, run.ticket)
        gradient = buffers[-1]
        if any(map(_hooks, prepared.members)):
            for p, part in zip(prepared.members, split(gradient, prepared.shapes), strict=True):
                if p.node.hooks:
                    part[...] = run_hooks(p.node, part.copy(), make, False)
        self._update(prepared, gradient)
        return fill(entry.recording.template, results)

    def _ready(self, entry: Entry) -> Prepared:
        """What is needed to run a program, made anew if parameters came, went or moved."""
        where = self._flat
        if where is None or not where.holds(self.optimizer):
            where = self._flat = flat(self.optimizer)
        prepared = self._prepared.get(entry)
        if prepared is None or prepared.where is not where:
            self._prepared.pop(entry, None)
            make_room(self._prepared)
            prepared = self._prepared[entry] = Prepared(entry, where)
        return prepared

    def _update(self, prepared: Prepared, gradient: np.ndarray) -> None:
        """Clip and update, with the optimiser's hooks around it."""
        optimizer = self.optimizer
        if optimizer._step_pre_hooks:
            for hook in tuple(optimizer._step_pre_hooks.values()):
                hook(optimizer, (), {})
        scale = 1.0
        if self.clip is not None:
            # unlike dot, vdot does not warn where a gradient overflows; the norm is then inf, which is what is meant
            scale = self._clipping(float(np.vdot(gradient, gradient)))
        parts = prepared.parts(optimizer.state)
        mutated(parts[0].vector, above=IN_STEP)  # and with it the others, which are parts of the same memory
        for segment in parts:
            segment.update(optimizer, gradient[segment.gradient], scale)
        optimizer.steps_taken += 1
        if optimizer._step_post_hooks:
            for hook in tuple(optimizer._step_post_hooks.values()):
                hook(optimizer, (), {})

    def _clipping(self, square: float) -> float:
        """Note the norm, and say what to multiply all gradients with. square: of their norm."""
        assert self.clip is not None
        self.norm = math.sqrt(square)
        scale = self.clip / (self.norm + 1e-6)
        return 1.0 if scale >= 1 else scale  # NaN stays

    def _eagerly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The step op by op, for whoever wants to see every one: `detect_anomaly`, `protect_residuals`."""
        self.optimizer.zero_grad()
        outputs: list[Any] = []
        template = flatten(self.compiled.function(*args, **kwargs), outputs, [])
        outputs[0].backward()
        if self.clip is not None:
            nodes = [p.node for group in self.optimizer.param_groups for p in group["params"]]
            gradients = [node.grad.array for node in nodes if node is not None and node.grad is not None]
            scale = self._clipping(sum(float(np.vdot(g, g)) for g in gradients))
            for g in gradients if scale != 1 else ():
                np.multiply(g, scale, g)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return fill(template, [make(np.array(x.array if isinstance(x, Tensor) else x)) for x in outputs])


def compile_step(loss_fn: Callable[..., Any], optimizer: Any, clip: float | None = None) -> Step:
    """Make one call of loss, backward, gradient clipping and optimiser step.

    loss_fn: returns the loss, a Tensor with one entry, or a tuple that begins with it; as for `compile`.
    optimizer: one of `optim` whose rule treats each entry by itself (all but LBFGS). Its parameters move into one
        vector; its options, schedules, hooks and state_dict work as ever, and so do steps of its own in between.
    clip: the largest norm of all gradients together, as `nn.utils.clip_grad_norm_`; None for no clipping.
    Returns a function of the arguments of `loss_fn`; gradients are not left in `.grad`. Raises GraphError for other
    optimisers, and when called if the loss depends on none of its parameters or two of them share memory.
    """
    return Step(loss_fn, optimizer, clip)
