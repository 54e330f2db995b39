"""What recording a call does besides computing: draws, which are put back or refused, and tensors that it kept."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator
from types import FunctionType
from typing import Any

import numpy as np

from ..errors import GraphError
from ..ops.random import resolve
from ..tensor import Tensor
from .naming import content, has_attributes, is_module, named, ours
from .program import refuse

MOST_SEARCHED = 1 << 16
"""In so many containers and objects tensors of the call are looked for."""

_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


@contextlib.contextmanager
def rewound(*seen: Any) -> Iterator[None]:
    """Put generators back to where they stood before: recording draws, and so does the replay that follows.

    seen: what to search for generators besides the default one: values, lists of them, modules that hold one.
    Raises GraphError if Python's or NumPy's global generator has moved, or one of their kind among `seen`: no op draws
    from these, so what was drawn would be baked in. A `numpy.random.Generator` made in the call itself is not seen.
    """
    generators = [resolve(None)]
    others: list[tuple[str, Any]] = [("Python's `random`", random), ("`np.random`", np.random)]
    # whose methods the functions of these modules are
    pending, known = list(seen), {id(f.__self__) for f in (random.getstate, np.random.get_state)}  # type: ignore[attr-defined]
    for x in pending:  # grows while we walk it
        if id(x) in known:
            continue
        known.add(id(x))
        if isinstance(x, np.random.Generator):
            generators.append(x)
        elif isinstance(x, (random.Random, np.random.RandomState)):
            others.append((f"a `{type(x).__name__}`", x))
        elif isinstance(x, (list, tuple)):
            pending.extend(x)
        elif isinstance(x, dict):
            pending.extend(x.values())
        elif is_module(x):
            pending.extend(v for m in x.modules() for v in vars(m).values() if isinstance(v, _GENERATORS))
    states = [(g.bit_generator, g.bit_generator.state) for g in generators]
    before = [_state(other) for _, other in others]
    try:
        yield
    finally:
        for bits, state in states:
            bits.state = state
    moved = [
        (name, other, old)
        for (name, other), old in zip(others, before, strict=True)
        if _plain(_state(other)) != _plain(old)
    ]
    for _, other, old in moved:
        (other.set_state if hasattr(other, "set_state") else other.setstate)(old)
    if moved:
        raise GraphError(
            f"a random draw from {' and '.join(name for name, _, _ in moved)} while compile is recording would be "
            f"baked in, the same at every call. Draw outside and pass the value in, or use dropout, which draws "
            f"afresh. (If the function draws nothing, another thread did: make the first call before it starts.)"
        )


def _state(generator: Any) -> Any:
    return generator.get_state(legacy=False) if hasattr(generator, "get_state") else generator.getstate()


def _plain(state: Any) -> Any:
    """The state of a generator as something that can be compared."""
    if isinstance(state, dict):
        return {name: _plain(value) for name, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def refuse_kept(reached: Iterable[Any], start: int, count: int) -> None:
    """Raise GraphError if the call has put a tensor that it made into something that outlives it.

    A replay runs no Python, so it would stay what it was in the recorded call. reached: what the function sees.
    start: when recording began, with the stand-ins of `count` arrays. Leaves are no matter: masks and the like that are
    made once are the same at every call.
    """
    known = set[int]()
    for x in reached:
        for place, value in _places(x):
            if _holds(value, start, count, known):
                raise refuse(
                    f"the function keeps a tensor of this call in {place}, and replays, which run no Python, would "
                    f"leave it there as it is now.",
                    "Write in place into a tensor made outside (`self.h.copy_(h)`, under no_grad), or return the "
                    "tensor and pass it in at the next call.",
                )


def _places(x: Any) -> Iterator[tuple[str, Any]]:
    """What one thing holds, and under which name."""
    if isinstance(x, FunctionType):
        if ours(x):
            return
        code, space = x.__code__, x.__globals__
        yield from (
            (f"`{n}` of {code.co_name}", content(c)) for n, c in zip(code.co_freevars, x.__closure__ or (), strict=True)
        )
        yield from ((f"the global `{n}`", space[n]) for n in named(code) if n in space)
    elif isinstance(x, dict):
        yield from ((f"an entry of a dict, [{n!r}]", v) for n, v in list(x.items()))
    elif isinstance(x, (list, tuple)):
        yield from ((f"an entry of a {type(x).__name__}, [{i}]", v) for i, v in enumerate(list(x)))
    elif isinstance(getattr(x, "__dict__", None), dict):
        buffers = getattr(x, "_buffers", {}) if is_module(x) else {}
        yield from ((f"`.{n}` of {type(x).__name__}", v) for n, v in [*buffers.items(), *vars(x).items()])


def _holds(value: Any, start: int, count: int, known: set[int]) -> bool:
    """Whether a value is a tensor that was made in the call, or a list, dict or object with one."""
    pending = [value]
    for x in pending:  # grows while we walk it
        if isinstance(x, Tensor):
            node = x.node
            if node is not None and node.index > start and (node.primitive is not None or node.index <= start + count):
                return True
            continue
        inner = x if isinstance(x, (list, tuple, dict)) else vars(x) if has_attributes(x) and not ours(type(x)) else ()
        if inner and id(x) not in known and len(known) < MOST_SEARCHED:
            known.add(id(x))
            pending += inner.values() if isinstance(inner, dict) else inner
    return False
