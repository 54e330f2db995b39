"""PyTorch's spelling of everything that acts on tensors: one table.

Floor 5, above `functions/`. Each row is a name and what it stands for; `install` gives Tensor the methods, and the
package its functions (`tg.exp`). `dim` and `keepdim` may also be written `axis` and `keepdims`. A row `name` in
IN_PLACE makes `name_`, which writes its result into the tensor's own memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import graph
from .creation import drawing_from
from .dtypes import as_dtype, bool_, float32, float64, int8, int16, int32, int64, uint8
from .errors import GraphError
from .functions import indexing, pointwise, reduction, shaping
from .functions.common import floating, sizes_of
from .ops import contract, elementwise, special
from .primitive import PRIMITIVES, Primitive
from .tensor import Tensor, apply, as_array, cast, make


# templates of rows
def _unary(primitive: Primitive, to_float: bool = True) -> Callable[..., Tensor]:
    """An elementwise function of one tensor; integers are made float first where PyTorch does so."""

    def function(x: Any) -> Tensor:
        if x.__class__ is not Tensor or (to_float and x.array.dtype.kind != "f"):
            x = floating(x) if to_float else x
        return apply(primitive, (x,))

    function.__doc__ = f"{primitive.name}(x), entry by entry."
    return function


def _operator(symbol: str) -> Callable[..., Tensor]:
    """A function that is one of Tensor's operators."""
    method = getattr(Tensor, f"__{symbol}__")

    def function(x: Any, other: Any) -> Tensor:
        return method(x if isinstance(x, Tensor) else make(as_array(x)), other)

    function.__doc__ = f"The operator {symbol}, entry by entry, with broadcasting."
    return function


def _logical(name: str) -> Callable[..., Tensor]:
    primitive = PRIMITIVES[name]

    def function(*args: Any) -> Tensor:
        return apply(primitive, args)

    function.__doc__ = f"{name}, entry by entry, as bool."
    return function


def _pairwise(primitive: Primitive) -> Callable[..., Tensor]:
    def function(x: Tensor, other: Any) -> Tensor:
        return apply(primitive, (x, other))

    function.__doc__ = f"{primitive.name}(x, other), entry by entry, with broadcasting."
    return function


def _either_spelling(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let `axis` and `keepdims` stand for `dim` and `keepdim`."""
    if "dim" not in function.__code__.co_varnames[: function.__code__.co_argcount]:
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for numpy_name, name in (("axis", "dim"), ("keepdims", "keepdim")):
                if numpy_name in kwargs:
                    kwargs[name] = kwargs.pop(numpy_name)
        return function(*args, **kwargs)

    return call


_F, _P = PRIMITIVES, _pairwise
FUNCTIONS: dict[str, Callable[..., Any]] = {
    # elementwise, one tensor
    **{name: _unary(_F[name]) for name in (
        "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
        "reciprocal",
        "sigmoid", "erf",
    )},
    **{name: _unary(_F[name], to_float=False) for name in ("relu", "square", "sign", "floor", "ceil", "trunc")},
    "atan": _unary(_F["arctan"]), "abs": _unary(elementwise.absolute, False),
    "neg": _unary(elementwise.negative, False),
    "round": _unary(_F["rint"], False), "rsqrt": pointwise.rsqrt,
    "isnan": _logical("isnan"), "isinf": _logical("isinf"), "isfinite": _logical("isfinite"),
    # elementwise, two tensors
    "add": pointwise.add, "sub": pointwise.sub, "mul": _operator("mul"), "div": pointwise.div, "pow": _operator("pow"),
    "floor_divide": _operator("floordiv"), "remainder": _operator("mod"),
    "eq": _operator("eq"), "ne": _operator("ne"), "lt": _operator("lt"), "le": _operator("le"), "gt": _operator("gt"),
    "ge": _operator("ge"), "logical_and": _logical("logical_and"), "logical_or": _logical("logical_or"),
    "logical_xor": _logical("logical_xor"), "logical_not": _logical("logical_not"), "bitwise_not": _logical("invert"),
    "maximum": _P(elementwise.maximum), "minimum": _P(elementwise.minimum), "logaddexp": _P(special.logaddexp),
    "clamp": pointwise.clamp, "where": pointwise.where, "lerp": pointwise.lerp, "addcmul": pointwise.addcmul,
    "addcdiv": pointwise.addcdiv, "masked_fill": pointwise.masked_fill, "masked_select": pointwise.masked_select,
    # reductions
    **{name: getattr(reduction, name) for name in (
        "sum", "mean", "prod", "var", "std", "amax", "amin", "max", "min", "argmax", "argmin", "norm", "logsumexp",
        "softmax",
        "log_softmax", "cumsum", "any", "all",
    )},
    # shape
    **{name: getattr(shaping, name) for name in (
        "reshape", "flatten", "unflatten", "transpose", "t", "permute", "movedim", "squeeze", "unsqueeze", "cat",
        "stack",
        "narrow", "select", "split", "chunk", "unbind", "repeat_interleave", "roll", "flip", "tril", "triu",
    )},
    "tile": shaping.repeat, "concat": shaping.cat, "swapaxes": shaping.transpose,
    # indices and order
    **{name: getattr(indexing, name) for name in (
        "index_select", "gather", "scatter", "scatter_add", "argsort", "sort", "topk",
    )},
    # products
    "matmul": _operator("matmul"), "mm": pointwise.mm, "bmm": pointwise.bmm, "mv": _operator("matmul"), "dot":
    _operator("matmul"),
    "addmm": pointwise.addmm, "einsum": pointwise.einsum, "outer": contract.outer, "tensordot": contract.tensordot,
}  # fmt: skip
FUNCTIONS |= {
    "multiply": FUNCTIONS["mul"], "subtract": FUNCTIONS["sub"], "divide": FUNCTIONS["div"],
    "true_divide": FUNCTIONS["div"],
    "absolute": FUNCTIONS["abs"], "negative": FUNCTIONS["neg"], "clip": FUNCTIONS["clamp"], "arctan": FUNCTIONS["atan"],
    "greater": FUNCTIONS["gt"], "greater_equal": FUNCTIONS["ge"], "less": FUNCTIONS["lt"],
    "less_equal": FUNCTIONS["le"],
    "concatenate": FUNCTIONS["cat"],
}  # fmt: skip
FUNCTIONS = {name: _either_spelling(function) for name, function in FUNCTIONS.items()}

_NOT_METHODS = {"cat", "stack", "concat", "concatenate", "einsum", "tensordot", "where"}
IN_PLACE = (
    "add", "sub", "mul", "div", "pow", "exp", "log", "sqrt", "tanh", "sigmoid", "relu", "abs", "neg", "clamp", "floor",
    "ceil", "round", "reciprocal", "square", "remainder", "masked_fill", "scatter", "scatter_add", "addcmul", "addcdiv",
    "lerp", "clip", "sin", "cos", "tril", "triu",
)  # fmt: skip


# methods that are no functions
def _fill(self: Tensor, value: Any) -> Tensor:
    """Write `value` into every entry."""
    value = value.item() if isinstance(value, Tensor) else value
    return self.rewrite(make(np.full(self.shape, value, self.dtype)))


def _copy(self: Tensor, source: Any) -> Tensor:
    """Write the entries of `source`, broadcast, into this tensor."""
    source = source if isinstance(source, Tensor) else make(as_array(source))
    return self.rewrite(shaping.expand(cast(source, self.dtype), *self.shape))


def _drawn(name: str) -> Callable[..., Tensor]:
    def fill(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Any = None) -> Tensor:
        return self.rewrite(
            make(np.asarray(getattr(drawing_from(generator), name)(a, b, self.shape), dtype=self.dtype))
        )

    fill.__doc__ = f"Fill with draws of numpy's Generator.{name}(a, b)."
    return fill


def _to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, **_: Any) -> Tensor:
    """This tensor in another dtype; "cpu" is the only device. A tensor as argument gives its dtype."""
    for arg in args:
        if isinstance(arg, Tensor):
            dtype = arg.dtype
        elif isinstance(arg, str) and arg.partition(":")[0] in ("cpu", "cuda", "mps", "meta", "xla"):
            device = arg
        elif arg is not None and not isinstance(arg, bool):
            dtype = arg
    if device is not None and str(device).partition(":")[0] != "cpu":
        raise GraphError(f"to: expected device 'cpu', got {str(device)!r}; there is no other device here.")
    result = self if dtype is None else cast(self, as_dtype(dtype))
    return _clone(result) if copy and result is self else result


def _clone(self: Tensor) -> Tensor:
    """A copy with its own memory; gradients flow through."""
    return apply(elementwise.copy, (self,))


def _type(self: Tensor, dtype: Any = None) -> Any:
    """The name of the type, or this tensor in another dtype."""
    return f"torch.{self.dtype}" if dtype is None else cast(self, as_dtype(dtype))


def _caster(dtype: np.dtype) -> Callable[[Tensor], Tensor]:
    def method(self: Tensor) -> Tensor:
        return cast(self, dtype)

    method.__doc__ = f"This tensor as {dtype}."
    return method


def _size(self: Tensor, dim: int | None = None) -> Any:
    """Sizes of all axes as a tuple, or of one."""
    return self.array.shape if dim is None else self.array.shape[dim]


def _set_requires_grad(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Set whether gradients shall flow to this leaf; returns it."""
    self.requires_grad = requires_grad
    return self


def _detach_in_place(self: Tensor) -> Tensor:
    """Forget the history of this tensor; returns it."""
    self.node = None
    return self


def _register_hook(self: Tensor, hook: Callable[[Tensor], Any]) -> HookHandle:
    """Call `hook(gradient)` when the gradient of this tensor is known; what it returns, if not None, replaces the
    gradient."""
    if self.node is None or not self.node.needs_grad:
        raise GraphError("cannot register a hook on a tensor that doesn't require gradient")
    self.node.hooks = {} if self.node.hooks is None else self.node.hooks
    return HookHandle(self.node.hooks, hook)


class HookHandle:
    """What registering a hook returns: `remove()` takes the hook away again."""

    _next = iter(range(1 << 62))

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self._hooks, self._key = hooks, next(HookHandle._next)
        hooks[self._key] = hook

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()


class device(str):  # noqa: N801
    """PyTorch's device object; "cpu" is the only one."""

    def __new__(cls, name: Any = "cpu", index: int | None = None) -> device:
        kind = str(name).partition(":")[0]
        if kind != "cpu":
            raise GraphError(f"device: expected 'cpu', got {str(name)!r}; there is no other device here.")
        return super().__new__(cls, "cpu")

    @property
    def type(self) -> str:
        """ "cpu"."""
        return "cpu"

    def __repr__(self) -> str:
        return "device(type='cpu')"


class GradFn:
    """What `tensor.grad_fn` shows of the recorded graph, under PyTorch's names; the node itself is `.node`."""

    _NAMES = {
        "multiply": "Mul", "subtract": "Sub", "divide": "Div", "negative": "Neg", "absolute": "Abs", "power": "Pow",
    "matmul": "Mm",
        "getitem": "Select", "take": "Index", "concatenate": "Cat", "broadcast_to": "Expand", "astype": "ToCopy",
    "copy": "Clone",
        "log_softmax": "LogSoftmax", "reshape": "View", "max": "Max", "min": "Min",
    }  # fmt: skip

    __slots__ = ("node",)

    def __init__(self, node: graph.Node) -> None:
        self.node = node

    def name(self) -> str:
        """ "AddBackward0" and the like."""
        if self.node.primitive is None:
            return "AccumulateGrad"
        op = self.node.op
        return self._NAMES.get(op, "".join(word.capitalize() for word in op.split("_"))) + "Backward0"

    @property
    def next_functions(self) -> tuple[tuple[GradFn | None, int], ...]:
        """The same for each argument, None where no gradient flows."""
        return tuple((GradFn(p) if p.needs_grad else None, 0) for p in self.node.parents)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


METHODS: dict[str, tuple[Callable[..., Any], str] | Callable[..., Any]] = {
    "size": _size, "clone": _clone, "to": _to, "type": _type, "view": shaping.view, "ravel": shaping.flatten,
    "expand": shaping.expand, "repeat": shaping.repeat, "fill_": _fill, "copy_": _copy, "register_hook": _register_hook,
    "requires_grad_": _set_requires_grad, "detach_": _detach_in_place,
    "float": _caster(float32), "double": _caster(float64), "long": _caster(int64), "int": _caster(int32),
    "bool": _caster(bool_), "short": _caster(int16), "char": _caster(int8), "byte": _caster(uint8),
    "uniform_": _drawn("uniform"), "normal_": _drawn("normal"),
    "dim": (lambda self: self.array.ndim, "Number of axes."),
    "numel": (lambda self: self.array.size, "Number of entries."),
    "nelement": (lambda self: self.array.size, "Number of entries."),
    "element_size": (lambda self: self.array.itemsize, "Bytes of one entry."),
    "tolist": (lambda self: self._readable("tolist()") or self.array.tolist(), "The entries as nested lists."),
    "contiguous": (lambda self: self if self.array.flags.c_contiguous else _clone(self), "Rows in C order; may copy."),
    "is_contiguous": (lambda self: self.array.flags.c_contiguous, "Whether rows lie one after another."),
    "is_floating_point": (lambda self: self.array.dtype.kind == "f", "Whether the dtype is float32 or float64."),
    "cpu": (lambda self: self, "This tensor: there is no other device."),
    "cuda": (lambda self, *_, **__: _to(self, "cuda"), "Raises GraphError: there is no other device than the CPU."),
    "half": (lambda self: cast(self, as_dtype("float16")), "Raises DTypeError: there is no half precision."),
    "type_as": (lambda self, other: cast(self, other.dtype), "This tensor in the dtype of another."),
    "astype": (lambda self, dtype: cast(self, as_dtype(dtype)), "This tensor in another dtype (NumPy's name)."),
    "view_as": (lambda self, other: shaping.reshape(self, other.shape), "The same entries in another's shape."),
    "reshape_as": (lambda self, other: shaping.reshape(self, other.shape), "The same entries in the shape of another."),
    "expand_as": (lambda self, other: shaping.expand(self, other.shape), "Stretched to the shape of another tensor."),
    "where": (lambda self, condition, other: pointwise.where(condition, self, other), "Self where it holds, or other."),
    "new_zeros": (lambda self, *size, dtype=None, **_: _new(np.zeros, self, size, dtype), "Zeros of this dtype."),
    "new_ones": (lambda self, *size, dtype=None, **_: _new(np.ones, self, size, dtype), "Ones of this dtype."),
    "new_empty": (lambda self, *size, dtype=None, **_: _new(np.zeros, self, size, dtype), "Zeros of this dtype."),
    "new_full": (lambda self, size, value, dtype=None: _fill(_new(np.zeros, self, size, dtype), value), "`value`s."),
    "new_tensor": (lambda self, data, dtype=None: make(as_array(data, dtype or self.dtype)), "`data` in this dtype."),
    "zero_": (lambda self: _fill(self, 0), "Write 0 into every entry."),
    "allclose": (
        lambda self, other, **kw: bool(np.allclose(self._known("allclose()"), as_array(other), **kw)),
        "As np.allclose.",
    ),
    "equal": (
        lambda self, other: bool(np.array_equal(self._known("equal()"), as_array(other))),
        "Whether all entries agree.",
    ),
    "nonzero": (
        lambda self, as_tuple=False: pointwise.where(self) if as_tuple else make(np.argwhere(self._known("nonzero()"))),
        "Indices of the entries that are not 0, (N, ndim), or a tuple of one index tensor per axis.",
    ),
    "bernoulli_": (
        lambda self, p=0.5, *, generator=None: _fill(self, drawing_from(generator).random(self.shape) < p),
        "Fill with 1 (probability p) and 0.",
    ),
}  # fmt: skip


def _new(maker: Callable[..., np.ndarray], like: Tensor, size: tuple[Any, ...], dtype: Any) -> Tensor:
    return make(maker(sizes_of(size), as_dtype(dtype) if dtype is not None else like.dtype))


PROPERTIES: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "T": (lambda self: shaping.permute(self, *range(self.array.ndim)[::-1]), "All axes in reverse order."),
    "mT": (lambda self: shaping.transpose(self, -2, -1), "The last two axes exchanged."),
    "device": (lambda self: device("cpu"), "Where it lies: the CPU."),
    "itemsize": (lambda self: self.array.itemsize, "Bytes of one entry."),
    "nbytes": (lambda self: self.array.nbytes, "Bytes of all entries."),
    "is_cuda": (lambda self: False, "Never."),
    "grad_fn": (
        lambda self: None if self.is_leaf or self.node is None else GradFn(self.node),
        "The op that made it, as PyTorch shows it; None for leaves. The recorded node itself is `.node`.",
    ),
}


def _in_place(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.rewrite(function(self, *args, **kwargs))

    method.__doc__ = f"`{name}`, written into the memory of this tensor; returns it."
    return method


def install() -> None:
    """Give Tensor its methods and properties: called once, when the package is imported."""
    for name, function in FUNCTIONS.items():
        if name not in _NOT_METHODS:
            setattr(Tensor, name, function)
    for name in IN_PLACE:
        setattr(Tensor, name + "_", _in_place(FUNCTIONS[name], name))
    for name, row in METHODS.items():
        method, doc = row if isinstance(row, tuple) else (row, row.__doc__)
        method.__doc__ = doc
        setattr(Tensor, name, method)
    for name, (getter, doc) in PROPERTIES.items():
        setattr(Tensor, name, property(getter, doc=doc))


install()
globals().update(FUNCTIONS)  # so that `from .vocabulary import exp` gives the function that `Tensor.exp` is

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Any]: ...
