"""`save` and `load` as in PyTorch, into safetensors files: states, nested or flat, and whole modules, without pickle.

Imports `checkpoint`, `trees` and `nn.module`. A module is stored as its weights, under their names in the state_dict,
and a
description: classes and plain attributes. Loading one calls no constructor and imports nothing; it makes instances only
of classes that the caller has allowed, and of those in `tinygrad_rnn.nn`, which are allowed always.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, Any

import numpy as np

from tinygrad_rnn import checkpoint
from tinygrad_rnn.errors import CheckpointError, explain
from tinygrad_rnn.files import Path
from tinygrad_rnn.nn.module import Module, Parameter
from tinygrad_rnn.tensor import Tensor
from tinygrad_rnn.trees import gather, plant

__all__ = ["add_safe_globals", "load", "safe_globals", "save"]

_ALLOWED: ContextVar[tuple[Any, ...]] = ContextVar("tinygrad_rnn_safe_globals", default=())
_TABLES = ("_parameters", "_buffers", "_modules", "_non_persistent")
_UNSAVED = {*_TABLES, "_path", "_scope", "_hooked"}  # the last three are found again when a module is registered
_ALWAYS = "tinygrad_rnn.nn."


def save(obj: Any, f: Path | IO[bytes]) -> None:
    """Write a module, a state_dict, or a tree of tensors, arrays, numbers and text to a safetensors file.

    obj: a Module; or dicts, lists and tuples with Tensors, arrays, numbers, strings and None at the tips.
    f: a path, replaced whole or not at all; or a file open for writing bytes.
    A flat state_dict and a module give a file that `safetensors.torch.load_file` reads under the same names.
    Raises CheckpointError for anything that would need code to be rebuilt: other objects, hooks, local classes.
    """
    if isinstance(obj, Module):
        arrays: dict[str, np.ndarray] = {}
        described = _Describer(arrays).describe(obj, "")
        checkpoint.save(f, arrays, description={"module": described})
    else:
        outline, arrays = gather(obj, spell=_spelt)
        checkpoint.save(f, arrays, description={"object": outline})


def load(f: Path | IO[bytes], map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Read what `save` wrote, or any safetensors file, PyTorch's too, as a dict of Tensors.

    f: a path, or a file open for reading bytes. map_location, weights_only: accepted and ignored; there is one
        device, and nothing is ever read but weights and plain values.
    Raises CheckpointError for a damaged file and for a class or function that is not allowed (see `safe_globals`),
    MissingCheckpointError, also a FileNotFoundError, if there is none.
    """
    where = os.fspath(f) if isinstance(f, str | os.PathLike) else str(getattr(f, "name", "checkpoint"))
    found = checkpoint.load(f)
    held = found.description if isinstance(found.description, dict) else {}
    if "module" in held:
        return _Rebuilder(found.arrays, where).rebuild(held["module"])
    if "object" in held:
        return plant(held["object"], found.arrays, tensor=Tensor, look_up=lambda name: _looked_up(name, where))
    return {name: Tensor(array) for name, array in found.arrays.items()}


def add_safe_globals(safe_globals: Iterable[Any]) -> None:
    """Allow `load` to use these classes and functions from now on, in this thread or task."""
    _ALLOWED.set((*_ALLOWED.get(), *safe_globals))


@contextmanager
def safe_globals(safe_globals: Iterable[Any]) -> Iterator[None]:
    """Allow `load` to use these classes and functions within the context.

    safe_globals: classes and functions, or pairs of one and the name under which a file knows it.
    """
    token = _ALLOWED.set((*_ALLOWED.get(), *safe_globals))
    try:
        yield
    finally:
        _ALLOWED.reset(token)


class _Describer:
    """Describes a tree of modules and collects their arrays; what occurs twice is described once."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self._arrays = arrays
        self._tensors: dict[int, str] = {}
        self._modules: dict[int, str] = {}

    def describe(self, module: Module, path: str) -> dict[str, Any]:
        if id(module) in self._modules:
            return {"same": self._modules[id(module)]}
        self._modules[id(module)] = path
        place = path or type(module).__name__
        name = _spelt(type(module))
        if name is None:
            do = "Define the class at the top of a module, or save module.state_dict()."
            raise CheckpointError(explain(place, expected="a class with a name", got=repr(type(module)), do=do))
        fields = {key: value for key, value in vars(module).items() if key not in _UNSAVED}
        for key in [key for key in fields if key.endswith("_hooks")]:
            if fields.pop(key):
                do = "Remove the hooks, or save module.state_dict()."
                raise CheckpointError(explain(place, expected="a module without hooks", got=key, do=do))
        outline, arrays = gather(fields, root=f"{path}.fields" if path else "fields", spell=_spelt)
        self._arrays.update(arrays)
        prefix = f"{path}." if path else ""
        return {
            "class": name,
            "fields": outline,
            "parameters": {key: self._tensor(prefix + key, value) for key, value in module._parameters.items()},
            "buffers": {key: self._tensor(prefix + key, value) for key, value in module._buffers.items()},
            "unsaved": sorted(module._non_persistent),
            "modules": {
                key: None if child is None else self.describe(child, prefix + key)
                for key, child in module._modules.items()
            },
        }

    def _tensor(self, name: str, tensor: Tensor | None) -> Any:
        if tensor is None:
            return None
        first = self._tensors.setdefault(id(tensor), name)
        self._arrays[name] = tensor.array  # under every name, as in a state_dict
        return {"at": first, "requires_grad": tensor.requires_grad}


class _Rebuilder:
    """Makes modules from a description; a description that makes no sense is a CheckpointError."""

    def __init__(self, arrays: Mapping[str, np.ndarray], where: str) -> None:
        self._arrays, self._where = arrays, where
        self._tensors: dict[str, Tensor] = {}
        self._modules: dict[str, Module] = {}

    def rebuild(self, description: Any) -> Module:
        try:
            return self._module(description, "")
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            got = f"{type(error).__name__}: {str(error)[:80]!r}"
            raise CheckpointError(explain(self._where, expected="the description of a module", got=got)) from error

    def _module(self, description: Mapping[str, Any], path: str) -> Module:
        if "same" in description:
            return self._modules[description["same"]]
        kind = _looked_up(description["class"], self._where)
        if not (isinstance(kind, type) and issubclass(kind, Module)):
            raise CheckpointError(explain(self._where, expected="a Module class", got=repr(kind)))
        module = self._modules[path] = kind.__new__(kind)
        Module.__init__(module)
        fields = plant(
            description["fields"], self._arrays, tensor=Tensor, look_up=lambda name: _looked_up(name, self._where)
        )
        vars(module).update({key: value for key, value in fields.items() if key not in _UNSAVED})
        for name, stored in description["parameters"].items():
            module.register_parameter(name, self._tensor(stored, Parameter))
        for name, stored in description["buffers"].items():
            module.register_buffer(name, self._tensor(stored, Tensor), name not in description["unsaved"])
        for name, child in description["modules"].items():
            below = f"{path}.{name}" if path else name
            module.add_module(name, None if child is None else self._module(child, below))
        return module

    def _tensor(self, stored: Any, kind: type[Tensor]) -> Any:
        if stored is None:
            return None
        name = stored["at"]
        if name not in self._tensors:
            self._tensors[name] = kind(self._arrays[name], requires_grad=bool(stored["requires_grad"]))
        return self._tensors[name]


def _spelt(value: Any) -> str | None:
    """ "module.name" of a class or function that is found there under that name; None for anything else."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not callable(value) or not isinstance(module, str) or not isinstance(name, str):
        return None
    holder: Any = sys.modules.get(module)
    for part in name.split("."):
        holder = getattr(holder, part, None)
    return f"{module}.{name}" if holder is value else None


def _looked_up(name: str, where: str) -> Any:
    """The class or function of a name, if it is allowed. Nothing is imported. Raises CheckpointError."""
    for entry in _ALLOWED.get():
        value, known_as = entry if isinstance(entry, tuple) else (entry, _spelt(entry))
        if known_as == name:
            return value
    if isinstance(name, str) and name.startswith(_ALWAYS):
        module, _, attribute = name.rpartition(".")
        value = getattr(sys.modules.get(module), attribute, None)
        if value is not None and _spelt(value) == name:
            return value
    last = str(name).rpartition(".")[2][:60]
    expected = "classes and functions that are allowed"
    do = f"If you trust it: with serialization.safe_globals([{last}]): load(...)."
    raise CheckpointError(explain(where, expected=expected, got=repr(name)[:120], do=do))
