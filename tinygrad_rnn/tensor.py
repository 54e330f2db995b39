"""`Tensor`: an array and the recipe that made it.

This file records: `apply` runs a primitive on arrays and, where a gradient may be wanted, notes a node.
Operators take that path directly; NumPy functions arrive through the two protocols of NumPy (NEP 13 and NEP 18) and
are looked up in the registry, and one without a rule is refused by name. All other methods come from one table,
`vocabulary.py`.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import graph, printing, writes
from .backward import deposit, pull
from .complaints import mismatch, no_gradient, raise_if_born_forward
from .dtypes import (
    check,
    check_assignable,
    float32,
    get_default_dtype,
    is_float,
    mixed,
    of_numbers,
    plain_number,
    with_number,
)  # fmt: skip
from .errors import GraphError, ShapeError, explain
from .graph import Node
from .ops import contract, index
from .ops import elementwise as _e
from .primitive import PRIMITIVES as _BY
from .primitive import Primitive
from .protection import lift
from .protocols import NumpyProtocols
from .reading import Readable
from .state import BIRTHS, STATE, WRITES, current, settled
from .writes import rewritten

_NUMBERS = (int, float, bool)
_KNOWN = (np.ndarray, np.generic, *_NUMBERS)
_new = object.__new__
_NO_PARAMS: dict[str, Any] = {}


def _binary(primitive: Primitive, reflected: bool = False, divides: bool = False) -> Callable[[Tensor, Any], Any]:
    """A Python operator: PyTorch's dtype rules, then `apply`."""

    def operate(self: Tensor, other: Any) -> Any:
        if isinstance(other, Tensor):
            if other.array.dtype is not self.array.dtype:
                dtype = mixed(self.array.dtype, self.array.ndim, other.array.dtype, other.array.ndim)
                self, other = cast(self, dtype), cast(other, dtype)
        elif other.__class__ in _NUMBERS:
            if self.array.dtype.kind != "f":
                self = cast(self, with_number(self.array.dtype, other))
        elif isinstance(other, (np.ndarray, list, tuple)):
            return operate(self, make(as_array(other)))
        elif isinstance(other, (np.generic, *_NUMBERS)):  # np.float64(2) is a number and no array: it must not widen
            return operate(self, other.item() if isinstance(other, np.generic) else plain_number(other))
        else:
            return NotImplemented
        if divides and self.array.dtype.kind != "f":
            self = cast(self, get_default_dtype())
            other = cast(other, get_default_dtype()) if isinstance(other, Tensor) else other
        return apply(primitive, (other, self) if reflected else (self, other))

    operate.__name__ = primitive.name
    return operate


def _inplace(operate: Callable[[Tensor, Any], Any]) -> Callable[[Tensor, Any], Tensor]:
    """The augmented form of an operator: `t += x` writes into the memory of t, as in PyTorch."""
    return lambda self, other: self.rewrite(operate(self, other))


class Tensor(NumpyProtocols, Readable):
    """An array that remembers how it was made: `Tensor([1.0, 2.0], requires_grad=True)`.

    data: array-like of float32, float64, an integer dtype or bool. A NumPy array keeps its dtype and is shared, not
    copied; Python floats become the default dtype.
    requires_grad: whether `backward()` shall leave a gradient in `.grad`.
    Raises DTypeError for other dtypes, and if an integer or bool tensor shall have a gradient.
    """

    __slots__ = ("__weakref__", "array", "node")
    array: np.ndarray
    node: Node | None

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        self.array = as_array(data)
        self.node = None
        if requires_grad:
            self.requires_grad = requires_grad

    if TYPE_CHECKING:  # methods from the table in vocabulary.py

        def __getattr__(self, name: str) -> Any: ...

    # what it is
    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the entries."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.array.ndim

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor. Can be set on leaves."""
        return self.node is not None and self.node.needs_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not self.is_leaf:
            raise GraphError(
                "you can only change requires_grad flags of leaf variables; use detach() for a tensor without history."
            )
        if value not in (True, False) or (value and not is_float(self.array.dtype)):
            raise no_gradient(self.array.dtype, value)
        if value != self.requires_grad:
            self.node = graph.leaf(self.array, needs_grad=True) if value else None

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user and not by a recorded op."""
        return self.node is None or self.node.primitive is None or not self.node.needs_grad

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward() has accumulated, or None."""
        node = self.node
        if node is None:
            return None
        if node.grad is None and node.needs_grad and not node.keeps_grad:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute "
                "won't be "
                "populated during backward(). Call .retain_grad() on it first if you want the gradient.",
                stacklevel=2,
            )
        return node.grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and value.shape != self.shape:
            raise ShapeError(explain("grad", expected=f"shape {list(self.shape)}", got=str(list(value.shape))))
        if self.node is None and value is not None:
            self.node = graph.leaf(self.array)
        if self.node is not None:
            self.node.grad = value

    @property
    def data(self) -> Tensor:
        """The same memory as a tensor without history. Assigning replaces the array: `t.data = other`."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        self.array = as_array(value)
        if self.node is not None and self.node.primitive is None:
            self.node.value, self.node.shape, self.node.dtype = self.array, self.array.shape, self.array.dtype

    def __repr__(self) -> str:
        history = self.node is not None and self.node.needs_grad and self.node.primitive is not None
        suffix = f", grad_fn={self.grad_fn!r}" if history else ", requires_grad=True" if self.requires_grad else ""
        return printing.describe(self.array, suffix)

    # gradients
    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Add the gradient of this tensor to `.grad` of every leaf that it depends on.

        gradient: cotangent of this tensor's shape; may be left out if it has one entry.
        retain_graph: keep the residuals for another call; default: what create_graph is.
        create_graph: record the sweep, for gradients of gradients.
        inputs: the tensors whose `.grad` is wanted, if not all leaves.
        Raises GraphError without recorded history, without `gradient` on more than one entry, or through a freed graph.
        """
        wanted = None if inputs is None else [inputs] if isinstance(inputs, Tensor) else list(inputs)
        if gradient is not None and not isinstance(gradient, Tensor):
            gradient = make(as_array(gradient, self.array.dtype))
        found = pull([self], [gradient], make, inputs=wanted, retain_graph=retain_graph, create_graph=create_graph)
        for node, (g, exclusive) in found.items():
            deposit(node, g, exclusive, make)

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor in `.grad` though it is not a leaf."""
        if not self.requires_grad or self.node is None:
            raise GraphError("can't retain_grad on Tensor that has requires_grad=False")
        self.node.keeps_grad = True

    def detach(self) -> Tensor:
        """The same memory without history: gradients stop here."""
        if not current().tracing:
            return make(self.array, graph.leaf(self.array) if writes.rewritten else None)
        view = apply(_BY["reshape"], (self,), {"shape": self.array.shape})  # a program must see where it comes from
        assert view.node is not None
        view.node.needs_grad = False
        return view

    # reading and writing parts
    def __getitem__(self, key: Any) -> Tensor:
        pattern, arrays = index.split_index(key)
        if arrays:
            return apply(index.take, (self, *arrays), {"pattern": pattern})
        return apply(index.getitem, (self,), {"index": pattern})

    def __setitem__(self, key: Any, value: Any) -> None:
        pattern, arrays = index.split_index(key)
        if not isinstance(value, Tensor):
            value = make(np.asarray(value, dtype=self.array.dtype))
        state = current()
        if state.tracing or (state.recording and (self.requires_grad or value.requires_grad)):
            # after `t[k] += x` the memory already holds the value, and t itself is what it was recorded as
            target = make(self.array.copy(), self.node) if writes.written_by(value.node, self.array) else self
            self.rewrite(apply(index.put_value, (target, value, *arrays), {"pattern": pattern}))
        else:
            plain = tuple(array_of(arrays[part.i]) if isinstance(part, index.Slot) else part for part in pattern)
            writes.overwrite(self.array, value.array, plain)

    def rewrite(self, new: Tensor) -> Tensor:
        """Take over the value and the history of `new`, in this tensor's own memory: the core of every in-place op.

        Raises GraphError on a leaf that requires grad, ShapeError if the shape of the result is another one.
        """
        if new.array.shape != self.array.shape:
            raise ShapeError(
                f"output with shape {list(self.shape)} doesn't match the broadcast shape {list(new.shape)}"
            )
        lift(self.array)
        if not self.array.flags.writeable:
            raise GraphError(
                "in-place write to memory that is read-only, or of which one entry is shown in many places (expand, "
                "broadcast_to): clone() the tensor first."
            )
        state = current()
        recorded = new.node is not None and (new.node.needs_grad or bool(state.tracing))
        if state.recording and writes.shows_leaf(self.node, self.array):
            raise GraphError(
                f"a {'' if self.is_leaf else 'view of a '}leaf Variable that requires grad is being used in an "
                "in-place operation. Do it within tg.no_grad(), or on .data."
            )
        if not recorded and self.requires_grad and state.recording:
            # what is overwritten depends on nothing any more; the record must say so
            new, recorded = apply(_e.where, (np.True_, new, self)), True
        if recorded:
            assert new.node is not None
            writes.preserve(new.node, self.array, since=self.node.index if self.node else -1)
            if state.written is not None:
                state.written.append((weakref.ref(self), self.node, self.array, self.array.copy()))
        else:
            writes.refuse_while_recording()
        check_assignable(new.array.dtype, self.array.dtype)
        np.copyto(self.array, new.array, casting="unsafe")
        writes.mutated(self.array, by=new.node if recorded else None)
        if recorded:
            self.node = new.node
        return self

    # operators
    __add__, __radd__ = _binary(_e.add), _binary(_e.add, reflected=True)
    __sub__, __rsub__ = _binary(_e.subtract), _binary(_e.subtract, reflected=True)
    __mul__, __rmul__ = _binary(_e.multiply), _binary(_e.multiply, reflected=True)
    __truediv__, __rtruediv__ = _binary(_e.divide, divides=True), _binary(_e.divide, reflected=True, divides=True)
    __floordiv__, __rfloordiv__ = _binary(_e.floor_divide), _binary(_e.floor_divide, reflected=True)
    __mod__, __rmod__ = _binary(_e.remainder), _binary(_e.remainder, reflected=True)
    __matmul__, __rmatmul__ = _binary(contract.matmul), _binary(contract.matmul, reflected=True)
    __pow__, __rpow__ = _binary(_e.power), _binary(_e.power, reflected=True)
    __and__, __or__, __xor__ = _binary(_BY["bitwise_and"]), _binary(_BY["bitwise_or"]), _binary(_BY["bitwise_xor"])
    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__
    __lt__, __le__ = _binary(_BY["less"]), _binary(_BY["less_equal"])
    __gt__, __ge__ = _binary(_BY["greater"]), _binary(_BY["greater_equal"])
    __eq__, __ne__ = _binary(_BY["equal"]), _binary(_BY["not_equal"])  # type: ignore[assignment]
    __iadd__, __isub__ = _inplace(__add__), _inplace(__sub__)
    __imul__, __itruediv__ = _inplace(__mul__), _inplace(__truediv__)
    __hash__ = object.__hash__

    def __neg__(self) -> Tensor:
        return apply(_e.negative, (self,))

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return apply(_e.absolute, (self,))

    def __invert__(self) -> Tensor:
        return apply(_BY["invert"], (self,))

    @staticmethod
    def __apply_primitive__(primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Tensor:
        return apply(primitive, args, params)


def make(array: np.ndarray, node: Node | None = None) -> Tensor:
    """A Tensor around an ndarray, without any check."""
    tensor = _new(Tensor)
    tensor.array = array
    tensor.node = node
    return tensor


def array_of(x: Any) -> Any:
    """The array of a Tensor, and anything else as it is."""
    return x.array if isinstance(x, Tensor) else x


def as_array(data: Any, dtype: Any = None) -> np.ndarray:
    """An ndarray of a supported dtype from whatever the user has; Python floats become the default dtype."""
    if isinstance(data, Tensor):
        data._readable("making a tensor of its values")
        data = data.array
    elif isinstance(data, (list, tuple)) and any(isinstance(x, Tensor) for x in data):
        data = [x.item() if isinstance(x, Tensor) and not x.ndim else array_of(x) for x in data]
    array = np.asarray(data)
    if dtype is None and not isinstance(data, (np.ndarray, np.generic)) and array.dtype == np.float64:
        dtype = get_default_dtype()
    target = check(array.dtype) if dtype is None else dtype
    if target.kind in "iu" and not isinstance(data, (np.ndarray, np.generic)):
        return of_numbers(data, np.int64 if dtype is None and target == np.uint64 else target)
    return array if array.dtype == target and type(array) is np.ndarray else np.asarray(array, dtype=target)


def apply(primitive: Primitive, args: Sequence[Any], params: dict[str, Any] = _NO_PARAMS) -> Tensor:  # noqa: C901
    """Run a primitive on Tensors, arrays and numbers, and record it where a gradient may be wanted."""
    arrays: list[Any] = []
    nodes: list[Any] = []
    needs_grad = unnamed = False
    for a in args:
        if isinstance(a, Tensor):
            arrays.append(a.array)
            node = a.node
            nodes.append(node)
            if node is None:
                unnamed = True
            elif node.needs_grad:
                needs_grad = True
        else:
            arrays.append(a if isinstance(a, _KNOWN) else np.asarray(a))
            nodes.append(None)
            unnamed = True
    try:
        out = primitive.forward(*arrays, **params) if params else primitive.forward(*arrays)
    except (ValueError, TypeError) as error:
        raise mismatch(primitive, arrays, params, current().scope.where(), error) from error
    if type(out) is not np.ndarray:
        out = np.asarray(out)
    tensor = _new(Tensor)
    tensor.array = out
    state = STATE.get()
    if state.bound:
        state = settled(state)
    needs_grad = needs_grad and state.recording and primitive.differentiable and out.dtype.kind == "f"
    if not needs_grad and out.dtype.char == "e":  # NumPy has integers of 8 bits through half precision; PyTorch float32
        tensors = [a if isinstance(a, Tensor) else make(np.asarray(a)) for a in args]
        return apply(primitive, [cast(a, float32) for a in tensors], params)
    if rewritten and state.recording and primitive.differentiable:
        writes.check_current(args)
    if needs_grad or state.everything:
        if unnamed:
            nodes = [node or _leaf_of(a) for node, a in zip(nodes, args, strict=True)]
        tensor.node = Node(primitive, tuple(nodes), params, arrays, out, state, needs_grad)
    else:
        tensor.node = graph.leaf(out) if rewritten and writes.in_rewritten(out) else None
    if state.watched:
        if state.watched & WRITES:
            writes.protect(tensor.node, arrays, out)
        if state.watched & BIRTHS:
            raise_if_born_forward(primitive, arrays, out, state.scope.where())
    return tensor


def _leaf_of(a: Any) -> Node:
    """The node of a constant: kept on the tensor, so that using it twice gives one node."""
    if isinstance(a, Tensor):
        a.node = graph.leaf(a.array)
        return a.node
    node = graph.leaf(np.asarray(a))
    node.value = a  # a Python number stays one: it must not widen dtypes when replayed
    return node


def cast(x: Tensor, dtype: np.dtype) -> Tensor:
    """x in another dtype, recorded; x itself if it has that dtype."""
    return x if x.array.dtype is dtype or x.array.dtype == dtype else apply(_e.astype, (x,), {"dtype": dtype})
