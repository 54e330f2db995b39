"""`Module`, the base of everything with parameters: calling, modes, conversion, printing, on top of tree, state and
hooks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from ... import dtypes
from ...tensor import Tensor, make
from .hooks import Hooked


class Module(Hooked):
    """A network or a part of one. Subclass it, register parts by assigning them in `__init__`, and write `forward`.

    Calling a module opens the scope of its name, so errors, drawings and programs know where an op belongs; runs its
    hooks; and calls `forward` with the same arguments.
    Source of the interface: PyTorch's `torch.nn.Module`.
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes. Raises NotImplementedError until a subclass says."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function: define '
            f"def forward(self, ...) in the class."
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        place = self._scope
        call = self._call_hooked_with if self._hooked else self.forward
        if place is None:
            return call(*args, **kwargs)
        with place:
            return call(*args, **kwargs)

    def _call_hooked_with(self, *args: Any, **kwargs: Any) -> Any:
        return self._call_hooked(args, kwargs)

    # modes
    def train(self, mode: bool = True) -> Self:
        """Set the module and all below it to training mode (dropout drops, batch norm learns), or to evaluation."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Set the module and all below it to evaluation mode."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze all parameters, or thaw them."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; with set_to_none=False fill them with zeros instead."""
        for parameter in self.parameters():
            grad = parameter.node.grad
            if grad is None:
                continue
            parameter.node.grad = None if set_to_none else make(np.zeros_like(grad.array))

    def apply(self, fn: Callable[[Any], None]) -> Self:
        """Call `fn(module)` for every module below this one, children first, and this one: to initialise weights."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # conversion
    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert floating-point parameters and buffers: `to(float64)`, `to("cpu")`, `to(device, dtype)`, `to(tensor)`.

        Raises RuntimeError for any device but the CPU, TypeError for a dtype that is not floating-point.
        """
        dtype = kwargs.get("dtype")
        for given in (*args, kwargs.get("device")):
            if isinstance(given, Tensor):
                dtype = given.dtype
            elif given is None or isinstance(given, bool):
                continue
            elif isinstance(given, np.dtype | type):
                dtype = given
            elif not str(given).startswith("cpu"):
                raise RuntimeError(f"Module.to: expected the device 'cpu', the only one there is, got {str(given)!r}.")
        if dtype is None:
            return self
        target = dtypes.as_dtype(dtype)
        if not dtypes.is_float(target):
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={target}")
        return self._convert(lambda a: a.astype(target, copy=False) if a.dtype.kind == "f" else a)

    def type(self, dst_type: Any) -> Self:
        """Convert all parameters and buffers to a dtype."""
        target = dtypes.as_dtype(dst_type)
        return self._convert(lambda a: a.astype(target, copy=False))

    def float(self) -> Self:
        """Convert floating-point parameters and buffers to float32."""
        return self.to(dtypes.float32)

    def cuda(self, device: Any = None) -> Self:
        """Raises RuntimeError: there is no other device than the CPU."""
        return self.to("cuda")

    def double(self) -> Self:
        """Convert floating-point parameters and buffers to float64."""
        return self.to(dtypes.float64)

    def cpu(self) -> Self:
        """The module itself: everything is on the CPU."""
        return self

    def _convert(self, function: Callable[[np.ndarray], np.ndarray]) -> Self:
        """Replace the array of every parameter, gradient and buffer, in place of the tensors that optimisers hold."""
        tensors = {
            id(t): t for m in self.modules() for t in (*m._parameters.values(), *m._buffers.values()) if t is not None
        }
        for tensor in tensors.values():
            grad = None if tensor.node is None else tensor.node.grad
            tensor.data = make(function(tensor.array))
            if grad is not None and tensor.node is not None:
                tensor.node.grad = make(function(grad.array))
        return self

    # printing
    def extra_repr(self) -> str:
        """What `repr` prints about the module itself, for instance its sizes; override it."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        own = extra.split("\n") if extra else []
        below = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        if not below and len(own) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(own + below) + "\n)"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = self.__class__.__new__(self.__class__)
        memo[id(self)] = made
        for key, value in self.__dict__.items():
            if key == "_buffers":
                value = {n: None if b is None else memo.setdefault(id(b), _copied(b)) for n, b in value.items()}
            else:
                value = copy.deepcopy(value, memo)
            made.__dict__[key] = value
        return made


def _copied(buffer: Tensor) -> Tensor:
    return make(buffer.array.copy())


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
