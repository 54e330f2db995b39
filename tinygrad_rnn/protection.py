"""Read-only residuals: what `autograd.protect_residuals` does to arrays, and how it is undone.

Floor 1, arrays only. A `Held` list stands in place of the residuals of a node and locks their memory for as long as it
lives: when the sweep drops it, or the graph dies, the arrays are what they were before. Nothing else knows of locks,
and nothing is paid for them outside of the mode.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["Held", "follow", "lift", "locks", "owner"]


def owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory a view shows."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class _Lock:
    """One array that was made read-only. count: how many `Held` need it so. views: others to be given back with it."""

    __slots__ = ("array", "count", "views")

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.count = 0
        self.views: dict[int, weakref.ref[np.ndarray]] = {}


locks: dict[int, _Lock] = {}
_mutex = threading.Lock()
_dropped: deque[_Lock] = deque()


class Held(list[Any]):
    """The residuals of a node, read-only while this list lives.

    xs: what `Node.xs` would be. y: what `Node.y` is, an array or None.
    marks: fingerprints of (y, *xs), None for what is no array; taken now unless given.
    """

    __slots__ = ("_locks", "marks")

    def __init__(self, xs: Sequence[Any], y: np.ndarray | None, marks: Sequence[int | None] | None = None) -> None:
        super().__init__(xs)
        self.marks = [_fingerprint(a) for a in (y, *xs)] if marks is None else marks
        self._locks: list[_Lock] = []  # filled one by one: an interrupted list gives back what it has
        with _mutex:
            for array in (y, *xs):
                if isinstance(array, np.ndarray):
                    _lock(array, self._locks)
        _settle()

    def altered(self, position: int, array: Any) -> bool:
        """Whether the residual at a position of (y, *xs) has other bytes than when it was recorded."""
        return _fingerprint(array) != self.marks[position]

    def __del__(self) -> None:
        _dropped.extend(getattr(self, "_locks", ()))
        _settle()


def follow(view: np.ndarray, sources: Iterable[Any]) -> None:
    """Give `view`, which an op made of `sources`, back together with its memory, if only a lock makes it read-only."""
    if view.flags.writeable or _shows_an_entry_twice(view):
        return
    with _mutex:
        lock = locks.get(id(owner(view)))
        if lock is not None and any(id(source) in locks or id(source) in lock.views for source in sources):
            _give_back_with(lock, view)


def lift(array: np.ndarray) -> None:
    """Before a write that is noted (`writes.mutated`): end all locks on the memory of an array."""
    if not locks:
        return
    base = owner(array)
    with _mutex:
        ended = [lock for lock in locks.values() if owner(lock.array) is base]
        for lock in sorted(ended, key=lambda lock: lock.array is not base):
            _unlock(lock)
    _settle()


def _fingerprint(array: Any) -> int | None:
    # 64 bits of Python's keyed hash: a thousand million bytes a second, and a change is missed once in 10^19
    return hash(array.tobytes()) if isinstance(array, np.ndarray) else None


def _lock(array: np.ndarray, found: list[_Lock]) -> None:
    """Lock an array and the one that owns its memory. Memory that was read-only stays as it is; so does that of
    another library which NumPy could not make writable again."""
    base = owner(array)
    for one in (array, base) if array is not base else (array,):
        lock = locks.get(id(one))
        if lock is None:
            if not one.flags.writeable or not _can_be_given_back(base):
                continue
            lock = locks[id(one)] = _Lock(one)
        found.append(lock)
        lock.count += 1
        one.flags.writeable = False


def _can_be_given_back(base: np.ndarray) -> bool:
    memory: Any = base.base
    try:
        return memory is None or not memoryview(memory).readonly
    except TypeError:
        return False


def _settle() -> None:
    """Undo what was dropped. Whoever holds the mutex does it for others, for a list may die in the midst of locking."""
    while _dropped and _mutex.acquire(blocking=False):
        try:
            while _dropped:
                lock = _dropped.popleft()
                lock.count -= 1
                if lock.count <= 0 and locks.get(id(lock.array)) is lock:
                    _unlock(lock)
        finally:
            _mutex.release()


def _unlock(lock: _Lock) -> None:
    del locks[id(lock.array)]
    base = owner(lock.array)
    if base is not lock.array and not base.flags.writeable:
        if id(base) in locks:
            _give_back_with(locks[id(base)], lock.array)
        return
    lock.array.flags.writeable = True
    for reference in list(lock.views.values()):
        view = reference()
        if view is not None and id(view) not in locks:
            view.flags.writeable = True


def _give_back_with(lock: _Lock, view: np.ndarray) -> None:
    views, key = lock.views, id(view)
    views[key] = weakref.ref(view, lambda _: views.pop(key, None))


def _shows_an_entry_twice(view: np.ndarray) -> bool:
    return any(size > 1 and stride == 0 for size, stride in zip(view.shape, view.strides, strict=True))
