"""RNN, LSTM, GRU: stacks of layers, in one or both directions, over whole sequences.

Each is a Python loop over the steps of `steps`; what follows here is what PyTorch's layers have around it: names and
order of parameters, layouts, initial states, unequal lengths, dropout between layers.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from ...ops.index import Slot, getitem, take
from ...ops.shape import concatenate, reshape, stack
from ...state import scope
from ...tensor import Tensor, apply, make
from .. import functional as F
from .. import init
from ..layers.linear import new
from ..module import Module, Parameter
from .checks import check_input, check_state
from .packed import PackedSequence, pack_padded_sequence, pad_packed_sequence
from .steps import STEPS, Prepare, State, Step, gru_step, lstm_step, prepare, prepare_gru
from .unroll import Slices, unroll

WHOLE: ContextVar[Callable[..., Any] | None] = ContextVar("tinygrad_rnn_whole_layers", default=None)
"""What stands in for `forward` while layers are recorded whole and not step by step: `f(layer, input, hx, lengths)`."""


class RNNBase(Module):
    """What RNN, LSTM and GRU share; use those.

    gates: blocks of rows in the weights. states: parts of the state, 2 for the LSTM.
    """

    mode: str
    gates = 1
    states = 1
    prepare: Prepare = staticmethod(prepare)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_options(hidden_size, num_layers, dropout, proj_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self.generator = generator
        self._names: list[list[str]] = []
        rows, out = self.gates * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            wide = input_size if layer == 0 else out * self._directions
            for suffix in self._suffixes():
                shapes = {"weight_ih": (rows, wide), "weight_hh": (rows, out)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
                self._names.append([f"{name}_l{layer}{suffix}" for name in shapes])
                for name, shape in shapes.items():
                    self.register_parameter(f"{name}_l{layer}{suffix}", new(*shape, dtype=dtype))
        self.reset_parameters(generator)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw all weights and biases anew, evenly from -1/sqrt(H) to 1/sqrt(H)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound, generator)

    def _step(self) -> Step:
        raise NotImplementedError

    def flatten_parameters(self) -> None:
        """Nothing: memory needs no rearranging here; scripts written for PyTorch call it."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction: w_ih, w_hh, b_ih, b_hh, w_hr, as far as there are."""
        return [[self._parameters[name] for name in names] for names in self._names]  # type: ignore[misc]

    def _weights(self, k: int) -> Any:
        """The parameters of layer and direction number k, prepared for the steps."""
        own: list[Any] = [self._parameters[name] for name in self._names[k]]
        if not self.bias:
            own[2:2] = [None, None]
        return self.prepare(*own)

    def forward(self, input: Any, hx: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        """Run over whole sequences.

        input: (T, B, D), (B, T, D) if batch_first, (T, D) unbatched, or a PackedSequence.
        hx: initial state h0 (layers x directions, B, H), for the LSTM a pair (h0, c0); never batch-first; without B if
        unbatched. Zeros if not given.
        lengths: (B,) int, if the sequences of a padded input have unequal lengths: the numbers are those of packing.
        Returns the outputs (T, B, directions x H) in the layout of the input, zero behind the end of a shorter
        sequence, and the last state of each sequence, shaped like hx.
        Raises ShapeError (a RuntimeError and ValueError) for sizes that do not fit, DTypeError for another dtype than
        the weights'.
        """
        whole = WHOLE.get()
        if whole is not None:
            return whole(self, input, hx, lengths)
        if lengths is not None and not isinstance(input, PackedSequence):
            total = input.shape[1 if self.batch_first else 0]
            packed = pack_padded_sequence(input, lengths, self.batch_first, enforce_sorted=False)
            output, state = self.forward(packed, hx)
            return pad_packed_sequence(output, self.batch_first, total_length=total)[0], state
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        check_input(self, input)
        unbatched = input.ndim == 2
        time, batch = (1, 0) if self.batch_first and not unbatched else (0, 1)
        x = reshape(input, shape=(input.shape[0], 1, input.shape[1])) if unbatched else input
        lead = (slice(None),) * time
        xs = Slices(x, [(*lead, t) for t in range(x.shape[time])])
        state = None if hx is None else check_state(self, hx, None if unbatched else x.shape[batch])
        if unbatched and state is not None:
            state = tuple(reshape(part, shape=(part.shape[0], 1, part.shape[1])) for part in state)
        outputs, state = self._run(xs, state or self._zeros(x.shape[batch], x.dtype), None)
        sides = [apply(stack, side, {"axis": time}) for side in outputs]
        output = sides[0] if len(sides) == 1 else apply(concatenate, sides, {"axis": 2})
        if unbatched:
            output = reshape(output, shape=(output.shape[0], output.shape[2]))
            state = tuple(reshape(part, shape=(part.shape[0], part.shape[2])) for part in state)
        return output, self._packed_up(state)

    def _forward_packed(self, input: PackedSequence, hx: Any) -> tuple[Any, Any]:
        check_input(self, input.data, packed=True)
        sizes = input.batch_sizes._known("the lengths in a PackedSequence (pack inside, by a list)").tolist()
        state = None if hx is None else check_state(self, hx, sizes[0])
        if state is not None and input.sorted_indices is not None:
            state = _reordered(state, input.sorted_indices)
        ends = np.cumsum(sizes).tolist()
        xs = Slices(input.data, [(slice(end - size, end),) for size, end in zip(sizes, ends, strict=True)])
        outputs, state = self._run(xs, state or self._zeros(sizes[0], input.data.dtype), sizes)
        sides = [apply(concatenate, side, {"axis": 0}) for side in outputs]
        data = sides[0] if len(sides) == 1 else apply(concatenate, sides, {"axis": 1})
        if input.unsorted_indices is not None:
            state = _reordered(state, input.unsorted_indices)
        return input._replace(data=data), self._packed_up(state)

    def _zeros(self, batch: int, dtype: Any) -> State:
        """One initial state for all layers, without the axis that tells them apart."""
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)[: self.states]
        return tuple(make(np.zeros((batch, size), dtype)) for size in sizes)

    def _run(self, xs: Sequence[Tensor], state: State, sizes: list[int] | None) -> tuple[list[list[Tensor]], State]:
        """All layers: inputs of each step -> outputs of each step, per direction of the last layer, and last states."""
        last: list[State] = []
        sides: list[list[Tensor]] = []
        for layer in range(self.num_layers):
            if layer:
                xs = self._between(sides)
            sides = []
            for direction, suffix in enumerate(self._suffixes()):
                k = layer * self._directions + direction
                with scope(f"l{layer}{suffix}"):
                    first = tuple(apply(getitem, (s,), {"index": (k,)}) if s.ndim == 3 else s for s in state)
                    outputs, end = unroll(self._step(), xs, first, self._weights(k), direction == 1, sizes)
                sides.append(outputs)
                last.append(end)
        return sides, tuple(apply(stack, parts, {"axis": 0}) for parts in zip(*last, strict=True))

    def _between(self, sides: list[list[Tensor]]) -> list[Tensor]:
        """The inputs of the next layer: both directions side by side, and dropout."""
        xs = []
        for t, parts in enumerate(zip(*sides, strict=True)):
            with scope(t=t):
                x = parts[0] if len(parts) == 1 else apply(concatenate, parts, {"axis": 1})
                xs.append(F.dropout(x, self.dropout, self.training, generator=self.generator) if self.dropout else x)
        return xs

    def _packed_up(self, state: State) -> Any:
        return state if self.states > 1 else state[0]

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        options = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False,
        }  # fmt: skip
        return text + "".join(f", {k}={getattr(self, k)}" for k, usual in options.items() if getattr(self, k) != usual)


def _reordered(state: Any, order: Tensor) -> State:
    order = make(order.array)  # the caller's stays one without history, whose values are known
    return tuple(take(part, order, pattern=(slice(None), Slot(0))) for part in state)


def _check_options(hidden_size: Any, num_layers: Any, dropout: Any, proj_size: int) -> None:
    if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= float(dropout) <= 1:  # type: ignore[arg-type]
        raise ValueError(
            f"dropout should be a number in range [0, 1] representing the probability of an element being zeroed, got "
            f"{dropout!r}"
        )
    if float(dropout) > 0 and num_layers == 1:  # type: ignore[arg-type]
        warnings.warn(
            f"dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            UserWarning,
            stacklevel=4,
        )
    for name, value in (("hidden_size", hidden_size), ("num_layers", num_layers)):
        if not isinstance(value, int | np.integer):
            raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


class RNN(RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), or relu instead of tanh. Source: Elman 1990.

    input_size, hidden_size: sizes D and H. num_layers: each layer reads the outputs of the one below.
    nonlinearity: "tanh" or "relu". bias: whether there are biases. batch_first: (B, T, D) instead of (T, B, D).
    dropout: probability of dropping entries between layers while training. bidirectional: run backwards, too; outputs
    side by side. generator: what draws initial weights and dropout.
    Parameters per layer k: weight_ih_l{k} (H, D), weight_hh_l{k} (H, H), bias_ih_l{k} (H,), bias_hh_l{k} (H,); the same
    with the suffix _reverse. Call: see `forward`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **more: Any,
    ) -> None:
        if nonlinearity not in STEPS:
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        _refuse_projection(more)
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, **more)
        self.nonlinearity = nonlinearity
        self.mode = "RNN_" + nonlinearity.upper()

    def _step(self) -> Step:
        return STEPS[self.nonlinearity]


class LSTM(RNNBase):
    """Long short-term memory: gates i, f, g, o; see `steps`. Source: Hochreiter and Schmidhuber 1997, Gers et al. 2000.

    Arguments as `RNN`, without nonlinearity. proj_size: if positive, outputs and h are projected to this size P.
    Parameters per layer k: weight_ih_l{k} (4H, D), weight_hh_l{k} (4H, H or P), bias_ih_l{k} (4H,), bias_hh_l{k} (4H,),
    and weight_hr_l{k} (P, H); rows in the order i, f, g, o. Call: see `forward`; the state is a pair (h, c).
    """

    mode = "LSTM"
    gates = 4
    states = 2

    def _step(self) -> Step:
        return lstm_step


class GRU(RNNBase):
    """Gated recurrent unit: gates r, z, n; see `steps`. Source: Cho et al. 2014.

    Arguments as `RNN`, without nonlinearity.
    Parameters per layer k: weight_ih_l{k} (3H, D), weight_hh_l{k} (3H, H), bias_ih_l{k} (3H,), bias_hh_l{k} (3H,); rows
    in the order r, z, n. Call: see `forward`.
    """

    mode = "GRU"
    gates = 3
    prepare = staticmethod(prepare_gru)

    def _step(self) -> Step:
        return gru_step

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        super().__init__(*args, **kwargs)


def _refuse_projection(options: dict[str, Any]) -> None:
    if "proj_size" in options:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
