"""`state_dict` and `load_state_dict`: the state of a tree of modules as a flat dict of tensors, and back.

Imports `tree`. Names, order and hooks are PyTorch's, so dicts travel in both directions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...errors import StateDictError
from ...tensor import Tensor, array_of, make
from ...writes import overwrite
from .tree import Tree

_EXTRA = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` could not match."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class StateDict(OrderedDict[str, Any]):
    """What `state_dict()` returns: tensors by dotted name, in order, and `_metadata` with a version per module."""

    _metadata: dict[str, dict[str, Any]]


class Persistence(Tree):
    """Saving and loading the state of a tree of modules."""

    _version: int | None = 1

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Parameters and persistent buffers of this module and all below it, by dotted name.

        destination: a dict to add to. prefix: put before every name. keep_vars: the parameters themselves instead of
        detached tensors on the same memory.
        """
        if destination is None:
            destination = StateDict()
            destination._metadata = OrderedDict()
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = {"version": self._version}
        for hook in self._hook_list("_state_dict_pre_hooks"):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._hook_list("_state_dict_hooks"):
            hook(self, destination, prefix, {"version": self._version})
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, value in self._own_state():
            destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not Persistence.get_extra_state:
            destination[prefix + _EXTRA] = self.get_extra_state()

    def _own_state(self) -> list[tuple[str, Tensor]]:
        buffers = ((n, b) for n, b in self._buffers.items() if n not in self._non_persistent)
        return [(name, value) for name, value in (*self._parameters.items(), *buffers) if value is not None]

    def get_extra_state(self) -> Any:
        """Override it, with `set_extra_state`, to put more into the `state_dict`."""
        raise NotImplementedError(f"{type(self).__name__}.get_extra_state: override it together with set_extra_state.")

    def set_extra_state(self, state: Any) -> None:
        """Override it to take back what `get_extra_state` gave."""
        raise NotImplementedError(f"{type(self).__name__}.set_extra_state: override it together with get_extra_state.")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values by name into parameters and buffers; dtypes stay those of the module.

        state_dict: name -> Tensor or array. strict: whether missing and unexpected names are errors.
        assign: take the given arrays themselves, dtype included, instead of copying.
        Returns the names that are missing and unexpected. Raises StateDictError (a RuntimeError) that lists all of
        them, and every shape that does not fit; TypeError unless a mapping comes in.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", None) or {}
        self._load(state_dict, "", metadata, assign, missing, unexpected, errors)
        if strict and unexpected:
            errors.insert(0, "Unexpected key(s) in state_dict: " + ", ".join(f'"{k}"' for k in unexpected) + ". ")
        if strict and missing:
            errors.insert(0, "Missing key(s) in state_dict: " + ", ".join(f'"{k}"' for k in missing) + ". ")
        if errors:
            raise StateDictError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(errors))
        return IncompatibleKeys(missing, unexpected)

    def _load(
        self,
        state: Mapping[str, Any],
        prefix: str,
        metadata: Mapping[str, Any],
        assign: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        local = {**metadata.get(prefix[:-1], {}), "assign_to_params_buffers": assign}
        for hook in self._hook_list("_load_state_dict_pre_hooks"):
            hook(self, state, prefix, local, True, missing, unexpected, errors)
        self._load_from_state_dict(state, prefix, local, True, missing, unexpected, errors)
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}{name}."
                part = {key: value for key, value in state.items() if key.startswith(below)}
                module._load(part, below, metadata, assign, missing, unexpected, errors)
        result = IncompatibleKeys(missing, unexpected)
        for hook in self._hook_list("_load_state_dict_post_hooks"):
            hook(self, result)

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load what belongs to this module alone; override it to rename or convert old states."""
        own = dict(self._own_state())
        for name, target in own.items():
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            complaint = _write(key, target, state_dict[key], bool(local_metadata.get("assign_to_params_buffers")))
            if complaint:
                error_msgs.append(complaint)
        if type(self).set_extra_state is not Persistence.set_extra_state:
            if prefix + _EXTRA in state_dict:
                self.set_extra_state(state_dict[prefix + _EXTRA])
            elif strict:
                missing_keys.append(prefix + _EXTRA)
        known = {*own, *(n for n, m in self._modules.items() if m is not None)}
        if type(self).set_extra_state is not Persistence.set_extra_state:
            known.add(_EXTRA)
        if strict:
            for key in state_dict:
                head, dot, _ = key[len(prefix) :].partition(".")
                if key.startswith(prefix) and (head not in known or (dot and head not in self._modules)):
                    unexpected_keys.append(key)

    def _hook_list(self, table: str) -> list[Callable[..., Any]]:
        return list(self.__dict__.get(table, {}).values())


def _write(key: str, target: Tensor, value: Any, assign: bool) -> str:
    """Copy `value` into `target`; returns a complaint, or "" if all went well."""
    given = array_of(value)
    if not isinstance(given, np.ndarray | np.generic):
        return (
            f'While copying the parameter named "{key}", expected a Tensor or an array from checkpoint object but '
            f"received {type(value).__name__}. "
        )
    if given.shape == (1,) and target.shape == ():
        given = np.reshape(given, ())  # files from before PyTorch had 0-d tensors
    if given.shape != target.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {list(given.shape)} from checkpoint, the shape in "
            f"current model is {list(target.shape)}."
        )
    if assign:
        target.data = make(np.asarray(given))
    else:
        overwrite(target.array, given)
    return ""
