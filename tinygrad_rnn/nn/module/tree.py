"""The tree that modules form: what is registered under which name, how attributes find it, and how to walk it.

Imports `parameter` only. Names and orders of everything here are PyTorch's (`torch/nn/modules/module.py`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from ...state import scope
from ...tensor import Tensor
from .parameter import Buffer, Parameter


class Tree:
    """Registration and traversal; `Module` adds behaviour.

    Parameters, buffers and submodules live in three dicts in order of registration, and are found as attributes.
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _non_persistent: set[str]
    _path: str | None = None  # the name that this module has in its parent
    _scope: scope | None = None  # that name, ready to be entered at each call

    def __init__(self) -> None:
        put = super().__setattr__
        put("training", True)
        put("_parameters", {})
        put("_buffers", {})
        put("_modules", {})
        put("_non_persistent", set())

    # attributes
    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._make_room(name, self._registered("_parameters", "parameters"))
            self.register_parameter(name, value)
        elif isinstance(value, Tree):
            self._make_room(name, self._registered("_modules", "module"))
            self.add_module(name, value)
        elif isinstance(value, Buffer) or (isinstance(value, Tensor) and name in self.__dict__.get("_buffers", ())):
            persistent = value.persistent if isinstance(value, Buffer) else name not in self._non_persistent
            self._make_room(name, self._registered("_buffers", "buffers"))
            self.register_buffer(name, value, persistent)
        else:
            for table, (kind, accepted) in _KINDS.items():
                known = self.__dict__.get(table)
                if known is not None and name in known:
                    if value is not None:
                        raise TypeError(
                            f"cannot assign '{type(value).__name__}' as {kind} '{name}' ({accepted} or None expected). "
                            f"To change its values write into .data, or under no_grad(); for another attribute of that "
                            f"name del it first."
                        )
                    known[name] = None
                    return
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        # only called when ordinary lookup has failed
        fields = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            known = fields.get(table)
            if known is not None and name in known:
                return known[name]
        if "_parameters" not in fields and not name.startswith("__"):
            raise AttributeError(
                f"'{type(self).__name__}' object has no attribute '{name}': call super().__init__() first in its "
                f"__init__."
            )
        near = difflib.get_close_matches(name, [n for n in dir(self) if not n.startswith("_")], n=1)
        hint = f". Did you mean: '{near[0]}'?" if near else ""
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{hint}")

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if name.isidentifier())

    def _registered(self, table: str, what: str) -> dict[str, Any]:
        known = self.__dict__.get(table)
        if known is None:
            raise AttributeError(
                f"cannot assign {what} before Module.__init__() call: let {type(self).__name__}.__init__ begin with "
                f"super().__init__()."
            )
        return known

    def _make_room(self, name: str, table: dict[str, Any]) -> None:
        """Forget what `name` meant so far, unless it is replaced in its own table and so keeps its place."""
        self.__dict__.pop(name, None)
        for other in (self._parameters, self._buffers, self._modules):
            if other is not table:
                other.pop(name, None)

    def _check_name(self, name: Any, table: dict[str, Any], what: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain ".", got: {name}')
        if not name:
            raise KeyError(f'{what} name can\'t be empty string ""')
        if hasattr(self, name) and name not in table:
            raise KeyError(f"attribute '{name}' already exists")

    # registration
    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a Parameter, or None to reserve the name, as attribute `name`.

        Raises KeyError for an empty, dotted or taken name, TypeError if `param` is no Parameter.
        """
        table = self._registered("_parameters", "parameter")
        self._check_name(name, table, "parameter")
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{type(param).__name__}' object to parameter '{name}' (nn.Parameter or None "
                    f"required)"
                )
            param.named(name)
        table[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the state but is not trained.

        persistent: whether the `state_dict` contains it. Raises KeyError for an empty, dotted or taken name, TypeError
        for anything but a Tensor or None.
        """
        table = self._registered("_buffers", "buffer")
        self._check_name(name, table, "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (Tensor or None required)"
            )
        table[name] = tensor
        if persistent:
            self._non_persistent.discard(name)
        else:
            self._non_persistent.add(name)

    def add_module(self, name: str, module: Any) -> None:
        """Add a module, or None to reserve the name, as attribute `name`. Raises as `register_parameter`."""
        table = self._registered("_modules", "module")
        if not isinstance(module, Tree) and module is not None:
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name(name, table, "module")
        table[name] = module
        if module is not None:
            module._enter_as(self._child_path(name))

    register_module = add_module

    def _child_path(self, name: str) -> str:
        return name

    def _enter_as(self, path: str) -> None:
        """Learn the name in the parent: every call opens it as a scope."""
        super().__setattr__("_path", path)
        super().__setattr__("_scope", scope(path))

    # looking up by dotted name
    def get_submodule(self, target: str) -> Any:
        """The module of a dotted name such as "encoder.rnn"; "" is this one. Raises AttributeError if there is none."""
        module: Any = self
        for name in target.split(".") if target else ():
            if name not in module._modules:
                getattr(module, name)  # raises with a suggestion if there is no such attribute at all
                raise AttributeError(f"`{name}` of {type(module).__name__} is not an nn.Module")
            module = module._modules[name]
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name. Raises AttributeError if there is none."""
        return self._get(target, Parameter, "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a dotted name. Raises AttributeError if there is none."""
        return self._get(target, Tensor, "a buffer")

    def _get(self, target: str, kind: type, what: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        value = getattr(owner, name)
        if not isinstance(value, kind) or (kind is Tensor and name not in owner._buffers):
            raise AttributeError(f"`{name}` is not {what}")
        return value

    # walking
    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """(dotted name, module) of this module and all below it, each once, parents first."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Any]:
        """This module and all below it, each once, parents first."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """(name, module) of the direct children, each once."""
        seen: set[Any] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Any]:
        """The direct children, each once."""
        return (module for _, module in self.named_children())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter), each parameter once under its first name; recurse: those of submodules too."""
        return self._members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once, in order of registration; recurse: those of submodules too."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, buffer), each buffer once under its first name; recurse: those of submodules too."""
        return self._members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once; recurse: those of submodules too."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _members(self, table: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        owners = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else ((prefix, self),)
        for path, module in owners:
            for name, value in getattr(module, table).items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value


_KINDS = {
    "_parameters": ("parameter", "nn.Parameter"),
    "_modules": ("child module", "nn.Module"),
    "_buffers": ("buffer", "Tensor"),
}
