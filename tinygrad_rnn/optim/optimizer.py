"""`Optimizer`, the base: groups of parameters with options, state per parameter, and the state_dict of both.

Imports the engine only. Subclasses update arrays in place, with as few passes over memory as the rule allows; every
update is noted with `writes.mutated`, so a backward through old values is refused. Names and rules of everything here
are PyTorch's.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import StateDictError
from ..protection import lift, locks
from ..state import enable_grad
from ..tensor import Tensor, array_of, make
from ..vocabulary import HookHandle
from ..writes import mutated, refuse_while_recording

Array = np.ndarray
Closure = Callable[[], Any]


_COUNTS = ("step", "mu_product")  # what states hold besides arrays; PyTorch has tensors here


class Optimizer:
    """Base of all optimisers. A subclass defines `update(parameter array, gradient array, state, group)`.

    params: Tensors, or (name, Tensor) pairs, or dicts {"params": ..., option: value} for groups with options of their
    own.
    defaults: the options of groups that do not say otherwise.
    Attributes: param_groups, a list of dicts; state, parameter -> dict of arrays (as Tensors) and numbers.
    Raises ValueError without parameters, TypeError for what is no Tensor.
    """

    def __init__(self, params: Any, defaults: Mapping[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{type(params).__name__}"
            )
        self.defaults = dict(defaults)
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        self._step_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._step_post_hooks: OrderedDict[int, Any] = OrderedDict()
        self.steps_taken = 0  # schedules warn if they are stepped first
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own: `{"params": tensors, "lr": 0.1}`; options left out take their
        defaults.

        Raises TypeError for what is no Tensor, ValueError for one that is no leaf or is there already.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        members = [given] if isinstance(given, Tensor) else list(given)
        if members and all(isinstance(m, tuple) for m in members):
            param_group["param_names"] = [name for name, _ in members]
            members = [tensor for _, tensor in members]
        for member in members:
            if not isinstance(member, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(member).__name__}"
                )
            if not member.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if known & {id(m) for m in members}:
            raise ValueError("some parameters appear in more than one parameter group")
        if len({id(m) for m in members}) < len(members):
            raise ValueError("optimizer contains a parameter group with duplicate parameters; give each once.")
        param_group["params"] = members
        for name, value in self.defaults.items():
            param_group.setdefault(name, value)
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; with set_to_none=False fill them with zeros instead."""
        for group in self.param_groups:
            for p in group["params"]:
                node = p.node
                if node is None or node.grad is None:
                    continue
                node.grad = None if set_to_none else make(np.zeros_like(node.grad.array))

    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient.

        closure: computes the loss anew and its gradients; most rules call it once, first. Returns its loss, or None.
        """
        refuse_while_recording()
        for hook in list(self._step_pre_hooks.values()):
            hook(self, (closure,), {})
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            self.update_group(group)
        self.steps_taken += 1
        for hook in list(self._step_post_hooks.values()):
            hook(self, (closure,), {})
        return loss

    def update_group(self, group: dict[str, Any]) -> None:
        """One step of all parameters of a group."""
        maximize = group.get("maximize", False)
        for p in group["params"]:
            node = p.node
            if node is None or node.grad is None:
                continue
            gradient = node.grad.array
            state = self.state.get(p)
            if state is None:
                state = self.state[p] = {}
            array = p.array
            if locks:
                lift(array)
            self.update(array, -gradient if maximize else gradient, state, group)
            mutated(array)

    def update(self, p: Array, g: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Update one parameter in place.

        p: the parameter. g: its gradient, the same shape; must not be written to. state: what is remembered, {} at
        first.
        group: the options.
        """
        raise NotImplementedError(f"{type(self).__name__}.update: a subclass of Optimizer must define it.")

    def register_step_pre_hook(self, hook: Callable[..., None]) -> HookHandle:
        """Call `hook(optimizer, args, kwargs)` before every step."""
        return HookHandle(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> HookHandle:
        """Call `hook(optimizer, args, kwargs)` after every step."""
        return HookHandle(self._step_post_hooks, hook)

    # saving
    def state_dict(self) -> dict[str, Any]:
        """State and groups, with parameters replaced by their numbers in order: {"state": ..., "param_groups": ...}."""
        number = self._numbers()
        groups = [
            {**{k: v for k, v in group.items() if k != "params"}, "params": [number[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        state = {number[id(p)]: dict(values) for p, values in self.state.items() if id(p) in number and values}
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def _numbers(self) -> dict[int, int]:
        members = [p for group in self.param_groups for p in group["params"]]
        return {id(p): i for i, p in enumerate(members)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave, here or in PyTorch; values are copied and cast to the dtypes of the
        parameters.

        Raises StateDictError (a RuntimeError and ValueError) if groups, parameters or shapes are others.
        """
        own, given = self.param_groups, state_dict["param_groups"]
        if len(own) != len(given):
            raise StateDictError(
                f"loaded state dict has a different number of parameter groups: expected {len(own)}, got {len(given)}."
            )
        for i, (mine, theirs) in enumerate(zip(own, given, strict=True)):
            if len(mine["params"]) != len(theirs["params"]):
                raise StateDictError(
                    f"loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"group {i} has {len(mine['params'])} parameters here and {len(theirs['params'])} there."
                )
        numbers = [n for group in given for n in group["params"]]
        members = dict(zip(numbers, (p for group in own for p in group["params"]), strict=True))
        state: dict[Tensor, dict[str, Any]] = {}
        for key, values in state_dict["state"].items():
            p = members.get(key)
            if p is not None:
                state[p] = {name: self._restored(name, value, p, key) for name, value in values.items()}
        self.state = state
        self.param_groups = [
            {**mine, **copy.deepcopy({k: v for k, v in theirs.items() if k != "params"}), "params": mine["params"]}
            for mine, theirs in zip(own, given, strict=True)
        ]

    def _restored(self, name: str, value: Any, p: Tensor, key: Any) -> Any:
        """One remembered value, copied: a number, or a tensor like the parameter."""
        given = plain(value)
        if not isinstance(given, np.ndarray | np.generic):
            return copy.deepcopy(value)
        if name in _COUNTS:
            return given.item()
        if given.shape != p.shape:
            raise StateDictError(
                f"state {name!r} of parameter {key}: expected shape {list(p.shape)}, got {list(given.shape)}."
            )
        return make(np.array(given, dtype=p.dtype))

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            for key in sorted(group):
                if key not in ("params", "param_names"):
                    text += f"    {key}: {group[key]}\n"
        return text + ")"


def plain(value: Any) -> Any:
    """The array of a tensor, ours or PyTorch's, and anything else as it is."""
    given = array_of(value)
    return given.detach().cpu().numpy() if hasattr(given, "detach") else given


def at_least(name: str, value: float, least: float = 0.0) -> None:
    """Raise ValueError unless an option is `least` or more."""
    if not value >= least:
        raise ValueError(f"Invalid {name} value: {value}")


def below_one(name: str, value: float) -> None:
    """Raise ValueError unless an option is from 0 to less than 1."""
    if not 0.0 <= value < 1.0:
        raise ValueError(f"Invalid {name}: {value}")


def buffer(state: dict[str, Any], name: str, like: Array) -> Array:
    """An array that the state remembers under a name, zeros at first."""
    kept = state.get(name)
    if kept is None:
        kept = state[name] = make(np.zeros_like(like))
    return kept.array
