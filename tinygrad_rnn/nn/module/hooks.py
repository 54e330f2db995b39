"""Hooks of modules: user functions that see, and may replace, what goes in, what comes out, and the gradients of both.

Imports `persistence`. A full backward hook must see the gradients of all inputs at once and may replace each, though
the sweep visits one node after another. So every tensor at the border passes two identities, recorded one layer after
the other: sweeping back, the first layer only collects, and when the second begins everything is known.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ...ops.shape import reshape
from ...tensor import Tensor, make
from ...vocabulary import HookHandle
from .persistence import Persistence

_ids = itertools.count()


class Hooked(Persistence):
    """Registering hooks, and calling a module that has some."""

    _hooked: bool = False
    forward: Callable[..., Any]

    def _hook(self, table: str, hook: Any, prepend: bool = False) -> HookHandle:
        hooks = self.__dict__.setdefault(table, OrderedDict())
        handle = HookHandle(hooks, hook)
        if prepend:
            hooks.move_to_end(next(reversed(hooks)), last=False)
        return handle

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args)` before every forward; what it returns, if not None, replaces the arguments.

        with_kwargs: call `hook(module, args, kwargs)`, which returns None or the pair. prepend: before hooks that are
        there.
        """
        self.__dict__["_hooked"] = True
        return self._hook("_forward_pre_hooks", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> HookHandle:
        """Call `hook(module, args, output)` after every forward; what it returns, if not None, replaces the output.

        with_kwargs: call `hook(module, args, kwargs, output)`. always_call: also when forward raises, with output None.
        """
        self.__dict__["_hooked"] = True
        return self._hook("_forward_hooks", (hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_output)` when the outputs have their gradients; a returned tuple replaces them."""
        self.__dict__["_hooked"] = True
        return self._hook("_backward_pre_hooks", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the inputs are known.

        Both are tuples with one entry per positional argument and output, None where no gradient flows; a returned
        tuple replaces `grad_input`. Only Tensors among the positional arguments are seen.
        """
        self.__dict__["_hooked"] = True
        return self._hook("_backward_hooks", hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict` collects."""
        return self._hook("_state_dict_pre_hooks", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after `state_dict` has collected."""
        return self._hook("_state_dict_hooks", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`
        first."""
        return self._hook("_load_state_dict_pre_hooks", hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, incompatible_keys)` after loading; it may edit the two lists."""
        return self._hook("_load_state_dict_post_hooks", hook)

    def _call_hooked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = None
        called = False
        try:
            for hook, with_kwargs in self._hook_list_of("_forward_pre_hooks"):
                changed = hook(self, args, kwargs) if with_kwargs else hook(self, args)
                if changed is None:
                    continue
                if with_kwargs:
                    args, kwargs = changed
                else:
                    args = changed if isinstance(changed, tuple) else (changed,)
            border = (
                _Border(self)
                if self.__dict__.get("_backward_hooks") or self.__dict__.get("_backward_pre_hooks")
                else None
            )
            if border:
                args = border.enter(args)
            result = self.forward(*args, **kwargs)
            called = True
            for hook, with_kwargs, _ in self._hook_list_of("_forward_hooks"):
                changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                result = result if changed is None else changed
            return border.leave(result) if border else result
        except Exception:
            if not called:
                for hook, with_kwargs, always in self._hook_list_of("_forward_hooks"):
                    if always:
                        _ = hook(self, args, kwargs, None) if with_kwargs else hook(self, args, None)
            raise

    def _hook_list_of(self, table: str) -> list[Any]:
        return list(self.__dict__.get(table, {}).values())


class _Border:
    """The tensors that cross into and out of one call of a module, and their gradients on the way back."""

    def __init__(self, module: Hooked) -> None:
        self.module = module
        self.pre_hooks = module._hook_list_of("_backward_pre_hooks")
        self.hooks = module._hook_list_of("_backward_hooks")
        self.grad_output: tuple[Any, ...] = ()
        self.expects_inputs = False

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.expects_inputs = any(isinstance(a, Tensor) and a.requires_grad for a in args)
        return _gated(args, self._on_inputs) if self.expects_inputs else args

    def leave(self, result: Any) -> Any:
        outputs = result if isinstance(result, tuple) else (result,)
        if not any(isinstance(o, Tensor) and o.requires_grad for o in outputs):
            return result
        outputs = _gated(outputs, self._on_outputs)
        return outputs if isinstance(result, tuple) else outputs[0]

    def _on_outputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.pre_hooks:
            grads = _replaced(hook(self.module, grads), grads, "grad_output")
        self.grad_output = grads
        if not self.expects_inputs:
            self._on_inputs((None,))
        return grads

    def _on_inputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.hooks:
            grads = _replaced(hook(self.module, grads, self.grad_output), grads, "grad_input")
        return grads


def _gated(values: tuple[Any, ...], decide: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> tuple[Any, ...]:
    """The values with every tensor behind a gate; `decide` sees None in the places of all others."""
    places = [i for i, v in enumerate(values) if isinstance(v, Tensor)]

    def decide_all(grads: tuple[Any, ...]) -> tuple[Any, ...]:
        spread: list[Any] = [None] * len(values)
        for i, g in zip(places, grads, strict=True):
            spread[i] = g
        decided = decide(tuple(spread))
        return tuple(decided[i] for i in places)

    result = list(values)
    for i, tensor in zip(places, _Gate([values[i] for i in places], decide_all).tensors, strict=True):
        result[i] = tensor
    return tuple(result)


class _Gate:
    """Two layers of identities over some tensors; `decide(gradients)` may replace their gradients together."""

    def __init__(self, tensors: list[Tensor], decide: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> None:
        self.decide = decide
        self.grads: list[Any] = [None] * len(tensors)
        self.decided: tuple[Any, ...] | None = None
        inner = [self._identity(t, i, self._replace) for i, t in enumerate(tensors)]
        self.tensors = [self._identity(t, i, self._collect) for i, t in enumerate(inner)]

    def _identity(self, tensor: Tensor, i: int, hook: Callable[[int, Any], Any]) -> Tensor:
        if not tensor.requires_grad:
            return tensor
        made = reshape(tensor, shape=tensor.shape)
        if made.node is not None and made.node.needs_grad:
            made.node.hooks = {next(_ids): lambda g: hook(i, g)}
        return made

    def _collect(self, i: int, g: Any) -> None:
        self.decided = None  # a second sweep through a retained graph begins anew
        self.grads[i] = g

    def _replace(self, i: int, g: Any) -> Any:
        if self.decided is None:
            self.decided = self.decide(tuple(self.grads))
            self.grads = [None] * len(self.grads)
        new = self.decided[i]
        return g if new is None else new


def _replaced(new: Any, old: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    if new is None:
        return old
    new = new if isinstance(new, tuple) else (new,)
    if len(new) != len(old):
        raise ValueError(
            f"Backward hook returned an invalid number of {what}, got {len(new)}, but expected {len(old)}."
        )
    return tuple(g if g is None or isinstance(g, Tensor) else make(g) for g in new)
