"""Guards: what a function sees besides its arguments, and whether it has changed since it was recorded.

What it closes over, names globally, or reaches from there: modules and whether they train, settings in numbers, lists,
dicts, objects and classes, through helper functions and methods. Followed is what the code names, by reading it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from functools import partial
from operator import attrgetter, is_, itemgetter
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ..tensor import Tensor
from .naming import content, fixed, follow, has_attributes, is_module, is_setting, named, ours
from .signature import ATOMS, Key, make_room

MOST_ENTRIES = 64
"""Longer lists and dicts are data, not settings: they are not watched."""
MOST_WATCHED = 4096
"""So many objects are followed."""

_TABLES = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_NO_SETTINGS = {"training", "_scope", *_TABLES}
_NODE = attrgetter("node")
_FLAGS, _TRAINING = attrgetter("training", "_hooked"), attrgetter("training", "training")


class Guards:
    """What a function sees besides its arguments; `version()` changes whenever a recording of it may have become wrong.

    Modules (anything with `modules()`) are watched for their training flags and for which parameters they hold, Tensors
    for being rebound, frozen and thawed, plain numbers and strings for their values; so are the attributes of modules
    and other objects, as far as the function and the methods it leads to name them and calls do not change them, and
    short lists and dicts; and what other functions see that it calls, those of this package left out.
    Values of parameters are not watched: they are read at each call.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = _innermost(function)
        self.roots: list[Any] = [self.function, function]
        self.reached: list[Any] = []
        # what is watched: lists and views of dicts; those that hold nothing; functions that read attributes; cells
        self.held: list[Iterable[Any]] = []
        self.empty: list[Any] = []
        self.watched: list[Callable[[], Iterable[Any]]] = []
        self.cells: list[Any] = []
        # freezing or thawing a Tensor gives it another node; new values do not
        self.tensors: list[Tensor] = []
        self._seen: list[Any] = []
        self._version = -1
        self._numbers = itertools.count()
        # what was seen is kept with its version: an id says nothing once its object is gone
        self._versions: dict[Key, tuple[int, list[Any]]] = {}
        self._further: dict[Key, Guards] = {}
        # what is watched by name: whose it is, how to read it, the names; and what calls were seen to change of it
        self.spaces: list[tuple[Any, Callable[..., Any], list[str]]] = []
        self._changing: dict[tuple[int, str], Any] = {}

    def joined_by(self, objects: Sequence[Any], signature: Key) -> Guards:
        """The guards of calls with these objects among the arguments, which are followed like what is closed over."""
        roots = [root for x in objects for root in _lasting(x)]
        if not roots:
            return self
        further = self._further.get(signature)
        if further is None:
            make_room(self._further)
            further = self._further[signature] = Guards(self.roots[1])
        if len(further.roots) != 2 + len(roots) or not all(map(is_, further.roots[2:], roots)):
            further.roots[2:] = roots  # others, which are equal to those of the last call
            further._version = -1
        return further

    def version(self) -> int:
        """A number for what is seen now: that of an earlier call only if nothing that matters has changed since."""
        if self._version >= 0 and self._unchanged():
            return self._version
        self._reach()
        self._seen = self._look()
        # by type and text: 1, 1.0 and True are equal, and so are 0.0 and -0.0
        key = tuple((type(x), repr(x)) if isinstance(x, ATOMS) else id(x) for x in self._seen)
        if key not in self._versions:
            make_room(self._versions)
            self._versions[key] = next(self._numbers), self._seen
        self._version = self._versions[key][0]
        return self._version

    def _unchanged(self) -> bool:
        """Whether the very same things are seen as last time."""
        if any(self.empty):
            return False
        try:
            now = self._look()
        except (KeyError, AttributeError):  # an attribute is gone
            return False
        return len(now) == len(self._seen) and all(map(is_, now, self._seen))

    def _look(self) -> list[Any]:
        """All that is watched, in a fixed order."""
        seen: list[Any] = []
        for entries in self.held:
            seen += entries
        for read in self.watched:
            seen += read()
        seen += map(content, self.cells)
        seen += map(_NODE, self.tensors)
        return seen

    def _reach(self) -> None:
        """Follow the roots into modules, containers, functions and the attributes of objects."""
        names = dict[str, None]()
        count = -1
        while count < len(names):  # what a function names further on may be an attribute of what was walked before
            count = len(names)
            self._walk(names)

    def _walk(self, names: dict[str, None]) -> None:
        """Note all that is reached and is to be watched; names grow by what functions on the way name."""
        self.held, self.empty, self.watched, self.cells, self.tensors, self.spaces = [], [], [], [], [], []
        pending, known = list(self.roots), set[int]()
        self.reached = []
        for x in pending:  # grows while we walk it
            if id(x) in known or isinstance(x, ATOMS):
                continue
            if isinstance(x, Tensor):
                known.add(id(x))
                self.tensors.append(x)
            elif len(self.reached) < MOST_WATCHED:
                known.add(id(x))
                self.reached.append(x)
                pending += self._visit(x, names)

    def _visit(self, x: Any, names: dict[str, None]) -> Iterable[Any]:
        """Watch what there is to watch of one thing; returns what it leads to."""
        if isinstance(x, FunctionType):
            return () if ours(x) else self._into(x, names)
        if isinstance(x, MethodType):
            return x.__self__, x.__func__
        if isinstance(x, partial):
            return x.func, *x.args, *x.keywords.values()
        if isinstance(x, (type, ModuleType)):
            return () if fixed(x) else self._within(x, names)
        if isinstance(x, (list, tuple, dict)):
            return self._entries(x)
        if "__wrapped__" in getattr(x, "__dict__", ()) and ours(type(x)):
            return (x.__wrapped__,)  # compiled: what it has recorded are no settings
        found: list[Any] = []
        if is_module(x):
            hooks = [vars(x)[name] for name in _HOOKS if name in vars(x)]
            found += [*(m for m in x.modules() if m is not x), *hooks]
            self.watched.append(partial(_FLAGS if hasattr(x, "_hooked") else _TRAINING, x))
            tables = [*(getattr(x, name) for name in _TABLES if hasattr(x, name)), *hooks]
            for table in tables:
                self._hold(table, table.values())
                found += table.values()
        if has_attributes(x):
            found += follow(type(x), names)
            own = vars(x)
            found += self._choose(x, own, [n for n in own if n in names and n not in _NO_SETTINGS])
            found += self._inherit(x, [n for n in names if n not in own and is_setting(type(x), n)])
        return found

    def _entries(self, x: Any) -> Iterable[Any]:
        """Watch a short list or dict; returns its entries."""
        if len(x) > MOST_ENTRIES:
            return ()
        entries = x.values() if isinstance(x, dict) else x
        if not isinstance(x, tuple):
            self._hold(x, entries)
        return entries

    def _hold(self, container: Any, entries: Iterable[Any]) -> None:
        """Watch what a container holds: most tables of modules are empty, and one look tells that all still are."""
        if container:
            self.held.append(entries)
        else:
            self.empty.append(container)

    def _choose(self, owner: Any, space: dict[str, Any], names: list[str]) -> list[Any]:
        """Watch these attributes or globals, but those that calls change; returns their values."""
        chosen = [n for n in names if (id(owner), n) not in self._changing]
        if chosen:
            self.spaces.append((owner, space.get, chosen))
            self.watched.append(partial(itemgetter(*chosen, chosen[0]), space))  # never a single one: a tuple
        return [space[n] for n in chosen]

    def _inherit(self, x: Any, names: list[str]) -> Iterable[Any]:
        """Watch attributes that an object or class has from a class; returns their values."""
        names = [n for n in names if n not in _NO_SETTINGS and (id(x), n) not in self._changing]
        if not names:
            return ()
        read = attrgetter(*names, names[0])
        self.spaces.append((x, partial(getattr, x), names))
        self.watched.append(partial(read, x))
        return read(x)

    def _within(self, x: Any, names: dict[str, None]) -> list[Any]:
        """Watch what is named of a class or Python module that serves as a namespace; returns what it holds."""
        if isinstance(x, type):
            return [*follow(x, names), *self._inherit(x, [n for n in names if is_setting(x, n)])]
        space = vars(x)
        return self._choose(x, space, [n for n in names if n in space and n[:2] != "__" and not fixed(space[n])])

    def _into(self, function: FunctionType, names: dict[str, None]) -> list[Any]:
        """Watch the globals, cells and defaults that a function sees; returns what they hold."""
        code, space = function.__code__, function.__globals__
        own = dict.fromkeys(named(code))
        names.update(own)
        found = self._choose(space, space, [n for n in own if n in space and not fixed(space[n])])
        cells = function.__closure__ or ()
        self.cells += cells
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        return [*found, *map(content, cells), *defaults]

    @contextlib.contextmanager
    def learning(self) -> Iterator[None]:
        """Watch no longer what changes meanwhile, in a call that is recorded: it is counted or kept, and no setting."""
        before = [(owner, read, n, read(n)) for owner, read, names in self.spaces for n in names]
        yield
        for owner, read, name, value in before:
            if read(name, None) is not value:
                self._changing[id(owner), name] = owner
                self._version = -1


def _innermost(function: Any) -> Any:
    """The function behind bound methods and partials."""
    while isinstance(function, (MethodType, partial)):
        function = function.__func__ if isinstance(function, MethodType) else function.func
    return function


def _lasting(x: Any) -> Iterator[Any]:
    """What may change in a static argument from one call to the next: nothing in values that are compared as such."""
    if isinstance(x, MethodType):  # a new one each time it is looked up
        yield from (x.__self__, x.__func__)
    elif isinstance(x, (tuple, frozenset)):
        for part in x:
            yield from _lasting(part)
    elif dataclasses.is_dataclass(x) and not isinstance(x, type) and type(x).__dataclass_params__.frozen:  # type: ignore[attr-defined]
        for field in dataclasses.fields(x):
            yield from _lasting(getattr(x, field.name))
    elif not isinstance(x, (*ATOMS, np.generic, np.dtype, Enum)):
        yield x
