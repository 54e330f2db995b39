"""Modules that hold modules or parameters: Sequential, ModuleList, ModuleDict, ParameterList.

Lists and dicts are not called themselves, so their children are scoped under both names: "layers.0".
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Self

from ...tensor import Tensor
from ..module import Module, Parameter


class _Listed(Module):
    """Children named "0", "1", ... and found by number."""

    def _index(self, index: Any) -> int:
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {type(self).__name__} of length {len(self)}")
        return index % len(self)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __contains__(self, module: Any) -> bool:
        return any(module is m for m in self._modules.values())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._of(list(self)[index])
        return self._modules[str(self._index(index))]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, str(self._index(index)), module)

    def __delitem__(self, index: Any) -> None:
        kept = list(self)
        del kept[index]
        self._renew(kept)

    def _renew(self, modules: Iterable[Any]) -> None:
        self._modules.clear()
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def _of(self, modules: list[Any]) -> Any:
        raise NotImplementedError

    def append(self, module: Module) -> Self:
        """Add a module at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Add a module before position `index`."""
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index, module)
        self._renew(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several modules at the end; returns self."""
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, key: int = -1) -> Any:
        """Take a module out and return it."""
        module = self[key]
        del self[key]
        return module


class Sequential(_Listed):
    """Modules one after the other: `Sequential(a, b)`, or `Sequential(OrderedDict([("a", a), ("b", b)]))`."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            self._renew(args)

    def forward(self, input: Any) -> Any:
        """Hand the input through all modules."""
        for module in self._modules.values():
            input = module(input)
        return input

    def _of(self, modules: list[Any]) -> Sequential:
        names = {id(m): n for n, m in self._modules.items()}
        return Sequential({names[id(m)]: m for m in modules})

    def _name_at(self, index: int) -> str:
        return list(self._modules)[self._index(index)]

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(index) if isinstance(index, slice) else self._modules[self._name_at(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: Any) -> None:
        for name in list(self._modules)[index] if isinstance(index, slice) else [self._name_at(index)]:
            delattr(self, name)
        if all(name.isdigit() for name in self._modules):
            self._renew(list(self))

    def __add__(self, other: Sequential) -> Sequential:
        return Sequential(*self, *other)


class ModuleList(_Listed):
    """A list of modules, registered under their numbers. It has no forward: call the members."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def _child_path(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _enter_as(self, path: str) -> None:
        super()._enter_as(path)
        _rename(self)

    def _of(self, modules: list[Any]) -> ModuleList:
        return ModuleList(modules)

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        """Like members of a run are printed once: (0-2): 3 x Linear(...)."""
        lines = []
        for text, run in groupby(enumerate(map(repr, self)), key=lambda pair: pair[1]):
            where = [i for i, _ in run]
            inside = text.replace("\n", "\n  ")
            many = len(where) > 1
            lines.append(f"({where[0]}-{where[-1]}): {len(where)} x {inside}" if many else f"({where[0]}): {inside}")
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{self._get_name()}()"


class ModuleDict(Module):
    """Modules by name, in order of insertion. It has no forward: call the members."""

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        self.update(modules or {})

    def _child_path(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _enter_as(self, path: str) -> None:
        super()._enter_as(path)
        _rename(self)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """(name, module) pairs."""
        return self._modules.items()

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Take a module out and return it."""
        return self._modules.pop(key)

    def update(self, modules: Any) -> None:
        """Add modules from a mapping or from pairs."""
        for name, module in modules.items() if isinstance(modules, Mapping) else modules:
            self.add_module(name, module)


class ParameterList(Module):
    """A list of parameters, registered under their numbers; tensors put in become parameters."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parameters.values())

    def __getitem__(self, index: Any) -> Any:
        values = list(self._parameters.values())[index]
        return ParameterList(values) if isinstance(index, slice) else values

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, list(self._parameters)[index], _as_parameter(value))

    def append(self, value: Any) -> Self:
        """Add a parameter, or a tensor that becomes one, at the end; returns self."""
        self.register_parameter(str(len(self)), _as_parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add several at the end; returns self."""
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def extra_repr(self) -> str:
        """A line per parameter."""
        lines = []
        for name, value in self._parameters.items():
            if value is not None:
                kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
                size = "x".join(map(str, value.shape))
                lines.append(f"  ({name}): {kind} containing: [torch.{value.dtype} of size {size}]")
        return "\n".join(lines).replace("torch.", "")


def _as_parameter(value: Any) -> Parameter:
    return value if isinstance(value, Parameter) else Parameter(value if isinstance(value, Tensor) else Tensor(value))


def _rename(container: Module) -> None:
    for name, module in container._modules.items():
        if module is not None:
            module._enter_as(container._child_path(name))
