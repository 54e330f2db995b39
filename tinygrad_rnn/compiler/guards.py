"""Guards: what a function sees besides its arguments, and whether it has changed since it was recorded.

What it closes over, names globally, or reaches from there: modules and whether they train, settings in numbers, lists,
dicts, objects and classes, through helper functions and methods. Followed is what the code names, by reading it.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import attrgetter, call, is_, itemgetter
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ..ops.random import resolve
from ..tensor import Tensor
from .signature import ATOMS, MOST_PROGRAMS, Key

MOST_ENTRIES = 64
"""Longer lists and dicts are data, not settings: they are not watched."""
MOST_WATCHED = 4096
"""So many objects are followed."""

_TABLES = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_FLAGS, _TRAINING = attrgetter("training", "_hooked"), attrgetter("training", "training")
_LIBRARIES = {*sys.stdlib_module_names, __name__.partition(".")[0], "numpy"}
_STORES = {dis.opmap["STORE_ATTR"], dis.opmap["STORE_GLOBAL"]}


class Guards:
    """What a function sees besides its arguments; `version()` changes whenever a recording of it may have become wrong.

    Modules (anything with `modules()`) are watched for their training flags and for which parameters they hold, Tensors
    for being rebound, plain numbers and strings for their values; so are the attributes of modules and other objects,
    as far as the function and the methods it leads to name them and do not write them, and short lists and dicts; and
    what other functions see that it calls, those of this package left out.
    Values of parameters are not watched: they are read at each call.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = _plain(function)
        self.sources = list(_sources(function))
        self.names, self.written = _names(function)
        self.reached: list[Any] = []
        # what is watched: lists and views of dicts; those that hold nothing; functions that read attributes; cells
        self.held: list[Iterable[Any]] = []
        self.empty: list[Any] = []
        self.watched: list[Callable[[], Iterable[Any]]] = []
        self.cells: list[Any] = []
        self._seen: list[Any] = []
        self._version = -1
        self._numbers = itertools.count()
        # what was seen is kept with its version: an id says nothing once its object is gone
        self._versions: dict[Key, tuple[int, list[Any]]] = {}

    def version(self) -> int:
        """A number for what is seen now: that of an earlier call only if nothing that matters has changed since."""
        if self._version >= 0 and self._unchanged():
            return self._version
        found = list(map(call, self.sources))
        self._reach(found)
        self._seen = self._look(found)
        # by type and text: 1, 1.0 and True are equal, and so are 0.0 and -0.0
        key = tuple((type(x), repr(x)) if isinstance(x, ATOMS) else id(x) for x in self._seen)
        if key not in self._versions:
            while len(self._versions) >= MOST_PROGRAMS:
                self._versions.pop(next(iter(self._versions)))
            self._versions[key] = next(self._numbers), self._seen
        self._version = self._versions[key][0]
        return self._version

    def _unchanged(self) -> bool:
        """Whether the very same things are seen as last time."""
        if any(self.empty):
            return False
        try:
            now = self._look(list(map(call, self.sources)))
        except (KeyError, AttributeError):  # an attribute is gone
            return False
        return len(now) == len(self._seen) and all(map(is_, now, self._seen))

    def _look(self, seen: list[Any]) -> list[Any]:
        """All that is watched, in a fixed order, behind what was `seen` by the sources."""
        for entries in self.held:
            seen += entries
        for read in self.watched:
            seen += read()
        seen += map(_content, self.cells)
        return seen

    def _reach(self, found: list[Any]) -> None:
        """Follow what was found into modules, containers, functions and the attributes of objects."""
        names, written = dict.fromkeys(self.names), {"training", "_scope", *_TABLES, *self.written}
        count = -1
        while count < len(names):  # what a function names further on may be an attribute of what was walked before
            count = len(names)
            self._walk(found, names, written)

    def _walk(self, found: list[Any], names: dict[str, None], written: set[str]) -> None:
        """Note all that is reached and is to be watched; names and written grow by what functions on the way say."""
        self.held, self.empty, self.watched, self.cells = [], [], [], []
        pending, known = [self.function, *found], set[int]()
        self.reached = []
        for x in pending:  # grows while we walk it
            if id(x) in known or isinstance(x, (*ATOMS, Tensor)) or len(known) > MOST_WATCHED:
                continue
            known.add(id(x))
            self.reached.append(x)
            pending += self._visit(x, names, written)

    def _visit(self, x: Any, names: dict[str, None], written: set[str]) -> Iterable[Any]:
        """Watch what there is to watch of one thing; returns what it leads to."""
        if isinstance(x, FunctionType):
            return () if _ours(x) else self._into(x, names, written)
        if isinstance(x, MethodType):
            return x.__self__, x.__func__
        if isinstance(x, partial):
            return x.func, *x.args, *x.keywords.values()
        if isinstance(x, (type, ModuleType)):
            return () if _fixed(x) else self._within(x, names, written)
        if isinstance(x, (list, tuple, dict)):
            return self._entries(x)
        found: list[Any] = []
        if _is_module(x):
            hooks = [vars(x)[name] for name in _HOOKS if name in vars(x)]
            found += [*(m for m in x.modules() if m is not x), *hooks]
            self.watched.append(partial(_FLAGS if hasattr(x, "_hooked") else _TRAINING, x))
            tables = [*(getattr(x, name) for name in _TABLES if hasattr(x, name)), *hooks]
            for table in tables:
                self._hold(table, table.values())
        if _has_attributes(x):
            found += _follow(type(x), names, written)
            chosen = [name for name in vars(x) if name in names and name not in written]
            if chosen:
                self.watched.append(partial(itemgetter(*chosen, chosen[0]), vars(x)))  # never a single one: a tuple
            found += [vars(x)[name] for name in chosen]
            own = {*vars(x), *written}
            found += self._inherit(x, [n for n in names if n not in own and _setting(type(x), n)])
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

    def _inherit(self, x: Any, names: list[str]) -> Iterable[Any]:
        """Watch attributes that an object or class has from a class; returns their values."""
        if not names:
            return ()
        read = attrgetter(*names, names[0])
        self.watched.append(partial(read, x))
        return read(x)

    def _within(self, x: Any, names: dict[str, None], written: set[str]) -> list[Any]:
        """Watch what is named of a class or Python module that serves as a namespace; returns what it holds."""
        if isinstance(x, type):
            return [
                *_follow(x, names, written),
                *self._inherit(x, [n for n in names if n not in written and _setting(x, n)]),
            ]
        chosen = [n for n in names if n in vars(x) and n not in written and n[:2] != "__" and not _fixed(vars(x)[n])]
        if chosen:
            self.watched.append(partial(itemgetter(*chosen, chosen[0]), vars(x)))
        return [vars(x)[n] for n in chosen]

    def _into(self, function: FunctionType, names: dict[str, None], written: set[str]) -> list[Any]:
        """Watch the globals, cells and defaults that a function sees; returns what they hold."""
        code, space = function.__code__, function.__globals__
        own = dict.fromkeys(_global_names(code))
        names.update(own)
        written |= _stored(code)
        chosen = [n for n in own if n in space and n not in _stored(code) and not _fixed(space[n])]
        cells = function.__closure__ or ()
        if function is self.function:  # whose cells and plain globals are among the sources
            chosen = [n for n in chosen if not _watched(space[n])]
        else:
            self.cells += cells
        if chosen:
            self.watched.append(partial(itemgetter(*chosen, chosen[0]), space))
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        return [*(space[n] for n in chosen), *map(_content, cells), *defaults]


@contextlib.contextmanager
def rewound(*seen: Any) -> Iterator[None]:
    """Put generators back to where they stood before: recording draws, and so does the replay that follows.

    seen: what to search for generators besides the default one: values, lists of them, modules that hold one.
    """
    generators = [resolve(None)]
    pending = list(seen)
    for x in pending:  # grows while we walk it
        if isinstance(x, np.random.Generator):
            generators.append(x)
        elif isinstance(x, (list, tuple)):
            pending.extend(x)
        elif isinstance(x, dict):
            pending.extend(x.values())
        elif _is_module(x):
            pending.extend(v for m in x.modules() for v in vars(m).values() if isinstance(v, np.random.Generator))
    states = [(g.bit_generator, g.bit_generator.state) for g in generators]
    try:
        yield
    finally:
        for bits, state in states:
            bits.state = state


def _has_attributes(x: Any) -> bool:
    """Whether x is an object whose attributes may be settings: not a class, function, Python module or generator."""
    plain = not isinstance(x, (type, ModuleType, FunctionType, MethodType, np.random.Generator, list, tuple, dict))
    return plain and hasattr(x, "__dict__")


def _plain(function: Any) -> Any:
    """The function behind bound methods and `functools.partial`; a module as it is."""
    while isinstance(function, MethodType) or (not isinstance(function, FunctionType) and hasattr(function, "func")):
        function = function.__func__ if isinstance(function, MethodType) else function.func
    return function


def _ours(x: Any) -> bool:
    """Whether a function or class belongs to this package, which keeps no settings in globals and classes."""
    return (x.__module__ or "").partition(".")[0] == __name__.partition(".")[0]


def _setting(kind: type, name: str) -> bool:
    """Whether a class has a plain value of this name, which its objects may be given another one of."""
    holder = next((k for k in kind.__mro__ if name in vars(k)), object)
    plain = holder is not object and not _ours(holder) and isinstance(vars(holder)[name], (*ATOMS, list, dict, Tensor))
    return plain and name[:2] != "__"


def _fixed(x: Any) -> bool:
    """Whether a global is taken to be what it is for good: what libraries and this package hold."""
    if isinstance(x, ModuleType):
        return x.__name__.partition(".")[0] in _LIBRARIES
    return isinstance(x, (type, FunctionType)) and (x.__module__ or "").partition(".")[0] in _LIBRARIES


def _watched(x: Any) -> bool:
    """Whether a global of the compiled function is read at every call."""
    return _is_module(x) or isinstance(x, (Tensor, *ATOMS))


def _follow(kind: type, names: dict[str, None], written: set[str]) -> list[FunctionType]:
    """Add what the methods of a class name and write in turn, as far as those that are named lead to them; returns
    these methods.
    """
    methods = []
    pending = ["forward", "__call__", *names]
    visited = set[str]()
    for name in pending:  # grows while we walk it
        if name in visited:
            continue
        visited.add(name)
        for base in kind.__mro__:  # super() may lead to all of them; within this package the first is enough
            method = vars(base).get(name)
            method = getattr(method, "fget", None) or getattr(method, "__func__", method)  # properties, static methods
            if not isinstance(method, FunctionType):
                continue
            methods.append(method)
            written |= _stored(method.__code__)
            more = [n for n in _global_names(method.__code__) if n not in names]
            names.update(dict.fromkeys(more))
            pending += more
            if _ours(base):
                break
    return methods


def _names(function: Any) -> tuple[list[str], set[str]]:
    """What the code of a function, and of functions that it closes over, names, and which attributes it writes."""
    function = getattr(function, "__func__", getattr(function, "func", function))
    if not isinstance(function, FunctionType):
        return [], set()
    held = [_content(cell) for cell in function.__closure__ or ()]
    codes = [f.__code__ for f in (function, *held) if isinstance(f, FunctionType)]
    return [name for code in codes for name in _global_names(code)], set().union(*map(_stored, codes))


@functools.lru_cache(maxsize=4096)
def _stored(code: Any) -> frozenset[str]:
    """The attributes and globals that code writes: what it counts or keeps there is no setting.

    Read off the bytecode, (operation, argument) pairs, which is thirty times faster than to have `dis` describe it.
    """
    names, high = set(), 0
    for operation, low in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument = high | low
        high = argument << 8 if operation == dis.EXTENDED_ARG else 0
        if operation in _STORES:
            names.add(code.co_names[argument])
    return frozenset(names)


def _is_module(x: Any) -> bool:
    return callable(getattr(x, "modules", None)) and hasattr(x, "training")


def _sources(function: Callable[..., Any]) -> list[Callable[[], Any]]:
    """Functions that read what `function` closes over: its cells, its globals, the object it is bound to, its
    defaults.
    """
    if _is_module(function):
        return [lambda: function]
    if isinstance(function, MethodType):
        owner = function.__self__
        return [lambda: owner, *_sources(function.__func__)]
    inner = getattr(function, "func", None)  # functools.partial
    if inner is not None and not isinstance(function, FunctionType):
        values = [*getattr(function, "args", ()), *getattr(function, "keywords", {}).values()]
        return [*(lambda v=v: v for v in values), *_sources(inner)]
    if not isinstance(function, FunctionType):
        return [lambda: function] if _has_attributes(function) else []
    cells = function.__closure__ or ()
    reads: list[Callable[[], Any]] = [partial(_content, cell) for cell in cells]
    space = function.__globals__
    names = _global_names(function.__code__)
    watched = [n for n in names if n in space and _watched(space[n])]
    reads += [partial(space.get, name) for name in watched]
    for cell in cells:  # helper functions that are closed over see things, too
        held = _content(cell)
        if isinstance(held, FunctionType) and held is not function:
            reads += _sources_shallow(held)
    return reads


def _sources_shallow(function: FunctionType) -> list[Callable[[], Any]]:
    return [partial(_content, cell) for cell in function.__closure__ or ()]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None


def _global_names(code: Any) -> list[str]:
    names = list(code.co_names)
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names += _global_names(constant)
    return names
