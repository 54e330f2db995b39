"""What is in force where the code now runs: whether to record, in which scope, how carefully.

Floor 2, below the graph. One context variable holds an immutable chain of settings, so threads and asyncio tasks have
their own. Generators share the context of whoever drives them; a setting entered in the body of a generator is
therefore bound to the generator's frame and holds only while that frame runs. (`contextlib.contextmanager` functions
are excepted: there the point of the body is to act on the caller.)
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])
_SUSPENDABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Scope:
    """Where in the model and at which time step an op was recorded.

    name: one component of the module path. t: the time step it opened, or None. parent: the enclosing scope.
    backward: whether the op belongs to a recorded backward sweep.
    """

    __slots__ = ("_behind", "backward", "name", "parent", "step")

    def __init__(self, name: str | None, step: int | None, parent: Scope | None, backward: bool = False) -> None:
        self.name = name
        self.step = step
        self.parent = parent
        self.backward = backward
        self._behind: Scope | None = None

    @property
    def path(self) -> str:
        """The module path, dotted: "rnn.l0"; "" at the top."""
        return ".".join(reversed([scope.name for scope in self._chain() if scope.name]))

    @property
    def t(self) -> int | None:
        """The innermost time step, or None."""
        return next((scope.step for scope in self._chain() if scope.step is not None), None)

    @property
    def frames(self) -> tuple[tuple[str | None, int | None], ...]:
        """(name, t) of every enclosing scope, outermost first."""
        return tuple((scope.name, scope.step) for scope in self._chain() if scope.parent is not None)[::-1]

    def as_backward(self) -> Scope:
        """This place, in a recorded backward sweep."""
        if self.backward:
            return self
        if self._behind is None:
            self._behind = Scope(self.name, self.step, self.parent, backward=True)
        return self._behind

    def where(self) -> str:
        """The place as a phrase for error messages: " in rnn.cell at t=3", or nothing at the top."""
        path, t = self.path, self.t
        step = "" if t is None else f" at t={t}"
        return f"{' in ' + path if path else ''}{step}{' (backward)' if self.backward else ''}"

    def __repr__(self) -> str:
        return f"Scope({self.path!r}, t={self.t})"

    def _chain(self) -> list[Scope]:
        chain: list[Scope] = []
        scope: Scope | None = self
        while scope is not None:
            chain.append(scope)
            scope = scope.parent
        return chain


BIRTHS, WRITES = 1, 2


class State:
    """One link of the chain: the values in force, and how it came to be.

    recording: whether ops on tensors that need a gradient are recorded; everything: whether all others are, too.
    watched: what every op is watched for, 0 or a sum of BIRTHS (of NaN and Inf) and WRITES (into residuals).
    sources: whether nodes keep the user's source line.
    tracing: why values must not be read now (a compiler is recording), or "". written: where in-place writes are noted,
    as (weak reference to the tensor, its node before, its array, a copy of the values before).
    """

    __slots__ = (
        "bound",
        "everything",
        "frame",
        "parent",
        "recording",
        "scope",
        "setting",
        "sources",
        "tracing",
        "watched",
        "written",
    )

    def __init__(self, parent: State | None, setting: Setting | None, frame: FrameType | None) -> None:
        self.parent = parent
        self.setting = setting
        self.frame = frame
        self.bound = frame is not None or (parent is not None and parent.bound)
        if parent is None:
            self.recording, self.everything, self.watched, self.sources, self.tracing = True, False, 0, False, ""
            self.written: list[Any] | None = None
            self.scope = Scope(None, None, None)
        else:
            self.recording, self.everything, self.watched = parent.recording, parent.everything, parent.watched
            self.sources, self.tracing, self.scope = parent.sources, parent.tracing, parent.scope
            self.written = parent.written
        if setting is not None:
            setting.apply(self)


STATE: ContextVar[State] = ContextVar("tinygrad_rnn_state", default=State(None, None, None))  # noqa: B039  (never changed after)
_root = STATE.get()


def settled(state: State) -> State:
    """The state with the settings of suspended generators left out."""
    if not state.bound:
        return state
    running: set[int] = set()
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        running.add(id(frame))
        frame = frame.f_back
    links: list[State] = []
    link: State | None = state
    while link is not None and link.bound:
        if link.frame is None or id(link.frame) in running:
            links.append(link)
        link = link.parent
    result = link or _root
    for kept in reversed(links):
        result = State(result, kept.setting, None)
    return result


def current() -> State:
    """The state in force here."""
    state = STATE.get()
    return settled(state) if state.bound else state


class Setting:
    """Base of the context managers below; also a decorator, for functions and for generator functions.

    One object can be entered again and again, nested too, and in several threads.
    """

    def apply(self, state: State) -> None:
        """Change the fields of a fresh link of the chain."""
        raise NotImplementedError

    def __enter__(self) -> Any:
        STATE.set(State(STATE.get(), self, _bound_to(sys._getframe(1))))
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Usually ours is the last link; where generators interleave it may lie deeper, and is taken out of the middle.
        above: list[State] = []
        link = STATE.get()
        while link.parent is not None and link.setting is not self:
            above.append(link)
            link = link.parent
        if link.parent is None:
            return  # left in another thread or context than it was entered in: nothing of ours is here
        state = link.parent
        for kept in reversed(above):
            state = State(state, kept.setting, kept.frame)
        STATE.set(state)

    def __call__(self, function: _F) -> _F:
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generate(*args: Any, **kwargs: Any) -> Any:
                return (yield from _resume_inside(self, function(*args, **kwargs)))

            return generate  # type: ignore[return-value]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]


def _bound_to(frame: FrameType) -> FrameType | None:
    """The frame that a setting entered there is bound to: that of a generator or coroutine, or none."""
    return None if not frame.f_code.co_flags & _SUSPENDABLE or _drives_a_context(frame.f_back) else frame


def _drives_a_context(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename == contextlib.__file__


def _resume_inside(setting: Setting, generator: Any) -> Any:
    """Drive `generator` so that `setting` holds in its body and never in its consumer."""
    step, value = generator.send, None
    while True:
        state = STATE.get()
        STATE.set(State(state, setting, None))
        try:
            item = step(value)
        except StopIteration as stop:
            return stop.value
        finally:
            STATE.set(state)
        try:
            step, value = generator.send, (yield item)
        except GeneratorExit:
            generator.close()
            raise
        except BaseException as error:  # noqa: BLE001  (handed on to the generator)
            step, value = generator.throw, error


class _Switch(Setting):
    """A setting without arguments, which decorates with and without parentheses: `@no_grad` as well as `@no_grad()`."""

    def __new__(cls, function: Any = None) -> Any:
        made = super().__new__(cls)
        return made if function is None else made(function)


class no_grad(_Switch):  # noqa: N801  (PyTorch's name)
    """Within it nothing is recorded for gradients: `with no_grad(): ...` or `@no_grad()`."""

    def apply(self, state: State) -> None:
        state.recording = False


class enable_grad(_Switch):  # noqa: N801
    """Within it recording is on again, inside a `no_grad` too."""

    def apply(self, state: State) -> None:
        state.recording = True


class set_grad_enabled(Setting):  # noqa: N801
    """Recording on or off by a flag, as in PyTorch: acts at once, and until its `with` block ends if it has one."""

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)
        self._before = STATE.get()
        self._at_once = True
        STATE.set(State(self._before, self, None))

    def apply(self, state: State) -> None:
        state.recording = self.mode

    def __enter__(self) -> set_grad_enabled:
        if self._at_once:  # what was set for good becomes what holds for the block, and in a generator for its body
            self._at_once = False
            self.__exit__()
        STATE.set(State(STATE.get(), self, _bound_to(sys._getframe(1))))
        return self

    def __call__(self, function: _F) -> _F:
        STATE.set(self._before)
        return (enable_grad() if self.mode else no_grad())(function)


class scope(Setting):  # noqa: N801
    """Name the place that ops are recorded in: `scope("cell", t=3)`; `scope(t=3)` opens a time step only.

    name: a component of the module path, str. t: the time step, int.
    """

    def __init__(self, name: str | None = None, t: int | None = None) -> None:
        self.name = name
        self.t = t

    def apply(self, state: State) -> None:
        state.scope = Scope(self.name, self.t, state.scope, state.scope.backward)


class at_scope(Setting):  # noqa: N801
    """Continue in a scope that was recorded earlier: the sweep does so for every node."""

    def __init__(self, place: Scope) -> None:
        self.place = place

    def apply(self, state: State) -> None:
        state.scope = self.place


class detect_anomaly(Setting):  # noqa: N801
    """Within it the first NaN or Inf, forward or backward, raises AnomalyError: op, scope and the line of your code."""

    def apply(self, state: State) -> None:
        state.watched |= BIRTHS
        state.sources = True


class protect_residuals(Setting):  # noqa: N801
    """Within it every array that a recorded op needs again for its gradient is read-only until its graph is freed.

        with tg.autograd.protect_residuals():
            loss = model(x)
        model.weight.detach().numpy()[0] = 1      # ValueError: assignment destination is read-only

    Writes through tensors (`t += x`, `t[k] = x`, optimisers) are noted in any case, and backward refuses what they
    spoilt. A write through NumPy (`t.numpy()[0] = 1`, `out=`, `array += 1` on an array that a tensor shares) tells
    nobody, and outside of this mode **the gradient is silently that of the new values**. Here such a write raises
    NumPy's ValueError at its own line. Writes that the engine sees still work, an optimiser's step too.
    What NumPy cannot keep from being written, because it goes through a view that was taken before the op, through a
    buffer or another library that shares the memory, or through `flags.writeable = True`, is found by a fingerprint
    when backward reads the array, and raises GraphError.
    Not seen: what a `Function` keeps in its `ctx`, and what is written and put back before backward.
    The arrays are given back by the sweep (without `retain_graph`), or when the last tensor of the graph is gone; an
    exception that is held keeps its graph. Views that the caller takes meanwhile stay read-only: take them anew.
    A compiled function runs uncompiled within. Training takes two to four times as long.
    """

    def apply(self, state: State) -> None:
        state.watched |= WRITES


class record_sources(Setting):  # noqa: N801
    """Within it every node keeps the user's source line (about a quarter of a microsecond an op)."""

    def apply(self, state: State) -> None:
        state.sources = True


class record_everything(Setting):  # noqa: N801
    """Within it ops that need no gradient are recorded as well: for drawing and compiling whole programs.

    tracing: if not empty, reading a value (`item()`, `bool()`, `numpy()`) raises GraphError with this reason.
    written: a list that in-place writes are noted in, as (weak reference to the tensor, its node before, its array, a
    copy of the values before).
    """

    def __init__(self, tracing: str = "", written: list[Any] | None = None) -> None:
        self.tracing = tracing
        self.written = written

    def apply(self, state: State) -> None:
        state.everything, state.tracing = True, self.tracing or state.tracing
        state.written = state.written if self.written is None else self.written


def is_grad_enabled() -> bool:
    """Whether ops on tensors that need a gradient are being recorded here."""
    return current().recording


class Source(NamedTuple):
    """A line of the user's code, kept as (code, instruction) and resolved to a line number only when asked."""

    code: CodeType
    instruction: int

    @property
    def file(self) -> str:
        """Path of the file."""
        return self.code.co_filename

    @property
    def function(self) -> str:
        """Name of the function."""
        return self.code.co_name

    @property
    def line(self) -> int:
        """Line number, from 1."""
        positions = list(self.code.co_positions())
        return positions[self.instruction // 2][0] or self.code.co_firstlineno

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


def call_site(above: int = 0) -> Source | None:
    """The innermost line that is not in this package: the user's.

    above: so many callers of the caller are known to be in this package, and are not looked at.
    """
    frame: FrameType | None = sys._getframe(1 + above)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return None if frame is None else Source(frame.f_code, frame.f_lasti)
