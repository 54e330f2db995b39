"""What code names, read off its bytecode, and where what it names is to be found: `guards` follows it."""

from __future__ import annotations

import sys
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ..tensor import Tensor
from .signature import ATOMS

_LIBRARIES = {*sys.stdlib_module_names, __name__.partition(".")[0], "numpy"}
_MAKING = {"__init__", "__new__", "__post_init__", "__repr__", "__str__", "__eq__", "__hash__", "__reduce__", "__del__"}
"""Not called by a computation, or made by `dataclass` from all fields."""


def has_attributes(x: Any) -> bool:
    """Whether x is an object whose attributes may be settings: not a class, function, Python module or generator."""
    plain = not isinstance(x, (type, ModuleType, FunctionType, MethodType, np.random.Generator, list, tuple, dict))
    return plain and hasattr(x, "__dict__")


def ours(x: Any) -> bool:
    """Whether a function or class belongs to this package, which keeps no settings in globals and classes."""
    return (x.__module__ or "").partition(".")[0] == __name__.partition(".")[0]


def is_setting(kind: type, name: str) -> bool:
    """Whether a class has a plain value of this name, which its objects may be given another one of."""
    holder = next((k for k in kind.__mro__ if name in vars(k)), object)
    plain = holder is not object and not ours(holder) and isinstance(vars(holder)[name], (*ATOMS, list, dict, Tensor))
    return plain and name[:2] != "__"


def fixed(x: Any) -> bool:
    """Whether a global is taken to be what it is for good: what libraries and this package hold."""
    if isinstance(x, ModuleType):
        return x.__name__.partition(".")[0] in _LIBRARIES
    return isinstance(x, (type, FunctionType)) and (x.__module__ or "").partition(".")[0] in _LIBRARIES


def follow(kind: type, names: dict[str, None]) -> list[FunctionType]:
    """Add what the methods of a class name in turn, as far as those that are named lead to them; returns these methods.

    Methods that operators and statements call (`__mul__`, `__len__`, `__iter__`) are named by nobody.
    """
    methods = []
    pending = ["forward", "__call__", *_unnamed(kind), *names]
    visited = set[str]()
    for name in pending:  # grows while we walk it
        if name in visited:
            continue
        visited.add(name)
        for base in kind.__mro__:  # super() may lead to all of them; within this package the first is enough
            method = _behind(vars(base).get(name))
            if not isinstance(method, FunctionType):
                continue
            methods.append(method)
            more = [n for n in named(method.__code__) if n not in names]
            names.update(dict.fromkeys(more))
            pending += more
            if ours(base):
                break
    return methods


def _unnamed(kind: type) -> list[str]:
    """The methods of a class of the user that are called without being named."""
    users = [base for base in kind.__mro__ if not ours(base) and not fixed(base)]
    return [name for base in users for name in vars(base) if name[:2] == "__" and name not in _MAKING]


def _behind(method: Any) -> Any:
    """The function of a property, a static or class method or a compiled one; anything else as it is."""
    if isinstance(method, FunctionType):
        return method
    return getattr(method, "fget", None) or getattr(method, "__wrapped__", method)


def is_module(x: Any) -> bool:
    """Whether x is a layer or a model, of this package or made like one."""
    return callable(getattr(x, "modules", None)) and hasattr(x, "training")


def content(cell: Any) -> Any:
    """What a cell of a closure holds; None if it is not bound yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def named(code: Any) -> list[str]:
    """The globals and attributes that code names, and the functions made in it."""
    names = list(code.co_names)
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names += named(constant)
    return names
