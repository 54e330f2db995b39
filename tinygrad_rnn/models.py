"""The models of `manual` once more, written in `nn`: the same mathematics, differentiated by the recorded graph.

Floor 6. A twin is an ordinary module. `pairs` says which of its parameters is which of the handwritten side, and in
which layout, so that weights can be handed over, gradients compared, and both sides trained together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from . import nn
from .errors import ShapeError, StateDictError, explain
from .nn import functional as F
from .nn.utils.stateless import functional_call
from .tensor import Tensor

__all__ = [
    "CharModel", "GRUModel", "LSTMModel", "NextWord", "Regression", "Sentiment", "SequenceClassifier", "TanhModel",
    "Twin",
]  # fmt: skip

_CELL = {name: (f"rnn.{name}_l0", "same") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
_HEAD = {name: (name, "same") for name in ("head.weight", "head.bias")}


class Twin(nn.Module):
    """The base of all twins.

    pairs: name on the handwritten side -> (name of the parameter here, layout). layout: how the handwritten array lies:
    "same", "transposed", or "column" for (N, 1) in place of (N,).
    """

    pairs: ClassVar[Mapping[str, tuple[str, str]]] = {}

    @classmethod
    def sizes(cls, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """The arguments of the constructor that fit handwritten parameters of these shapes."""
        raise NotImplementedError

    @classmethod
    def from_manual(cls, parameters: Mapping[str, Any]) -> Any:
        """Build the twin of handwritten parameters, with copies of their values and in their dtype.

        parameters: the names of `pairs` -> arrays or lists. Raises StateDictError for a name too many or too few.
        """
        arrays = {name: np.asarray(value) for name, value in parameters.items()}
        if arrays.keys() != cls.pairs.keys():
            raise StateDictError(
                explain(
                    f"{cls.__name__}.from_manual", expected=", ".join(cls.pairs), got=", ".join(arrays) or "nothing"
                )
            )
        twin = cls(*cls.sizes({name: array.shape for name, array in arrays.items()}))
        twin.to(next(iter(arrays.values())).dtype)
        twin.load_manual(arrays)
        return twin

    def load_manual(self, parameters: Mapping[str, Any]) -> None:
        """Take over the values of handwritten parameters. Raises ShapeError where one does not fit."""
        for name, own in self._paired().items():
            value = _laid_out(np.asarray(parameters[name]), self.pairs[name][1])
            if value.shape != own.shape:
                raise ShapeError(
                    explain(f"{type(self).__name__}: {name}", expected=str(own.shape), got=str(value.shape))
                )
            own.data.array[...] = value

    def manual_parameters(self) -> dict[str, np.ndarray]:
        """Copies of the parameters under the names, and in the layout, of the handwritten side."""
        return {name: self._handed_back(name, own.data.array) for name, own in self._paired().items()}

    def manual_gradients(self) -> dict[str, np.ndarray]:
        """The same for the gradients that `backward()` left; zeros where there are none."""
        return {
            name: self._handed_back(name, np.zeros_like(own.array) if own.grad is None else own.grad.array)
            for name, own in self._paired().items()
        }

    def loss_fn(self, *data: Any) -> Callable[[Mapping[str, Tensor]], Tensor]:
        """`loss_fn(params)` for the comparer and the doctor: the loss on `data`, of Tensors named and laid out as by
        hand.
        """

        def of(params: Mapping[str, Tensor]) -> Tensor:
            own = {path: _laid_out(params[name], layout) for name, (path, layout) in self.pairs.items()}
            return functional_call(_Loss(self), {f"model.{path}": value for path, value in own.items()}, data)

        return of

    def loss(self, *args: Any, **kwargs: Any) -> Tensor:
        """The loss that the handwritten side differentiates, a Tensor with one entry."""
        raise NotImplementedError

    def _paired(self) -> dict[str, Any]:
        named = dict(self.named_parameters())
        return {name: named[path] for name, (path, _) in self.pairs.items()}

    def _handed_back(self, name: str, array: np.ndarray) -> np.ndarray:
        layout = self.pairs[name][1]
        return np.array(array[:, None] if layout == "column" else array.T if layout == "transposed" else array)


class _Loss(nn.Module):
    """A twin's loss as the call of a module, so that its parameters can be replaced for one call."""

    def __init__(self, model: Twin) -> None:
        super().__init__()
        self.model = model

    def forward(self, *data: Any) -> Tensor:
        return self.model.loss(*data)


def _laid_out(value: Any, layout: str) -> Any:
    """A handwritten array or Tensor as the module has it."""
    return value[:, 0] if layout == "column" else np.transpose(value) if layout == "transposed" else value


def _constant(value: Any, like: Tensor) -> Tensor:
    """Data as a Tensor of the model's dtype. A Tensor stays one: it may be traced, and then has no value to read."""
    return value.to(like.dtype) if isinstance(value, Tensor) else Tensor(np.asarray(value, dtype=like.dtype))


def _features_last(x: Any) -> Any:
    """(X, m, T) -> (T, m, X)."""
    return np.transpose(x if isinstance(x, Tensor) else np.asarray(x), (2, 1, 0))


def _frozen_second_bias(rnn: nn.RNN) -> None:
    """By hand there is one bias, and PyTorch has two: the second stays zero."""
    rnn.bias_hh_l0.data.array[...] = 0.0
    rnn.bias_hh_l0.requires_grad = False


class Regression(Twin):
    """Twin of `manual.regression`: tanh RNN over one sequence, linear output without bias.

    n_features, n_neurons: D, H.
    """

    pairs = {
        "Wh": ("rnn.weight_hh_l0", "same"), "Wi": ("rnn.weight_ih_l0", "same"), "Wo": ("head.weight", "same"),
        "bias": ("rnn.bias_ih_l0", "column"),
    }  # fmt: skip

    def __init__(self, n_features: int, n_neurons: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(n_features, n_neurons)
        self.head = nn.Linear(n_neurons, 1, bias=False)
        _frozen_second_bias(self.rnn)

    @classmethod
    def sizes(cls, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """D, H."""
        return shapes["Wi"][1], shapes["Wi"][0]

    def forward(self, x: Any) -> Tensor:
        """x: (T, D) or (T,) float. Returns (T, 1)."""
        x = _constant(x, self.head.weight)
        return self.head(self.rnn(x if x.ndim == 2 else x[:, None])[0])

    def loss(self, x: Any, y: Any) -> Tensor:
        """1/2 sum (y_hat - y)^2, a sum and no mean. y: (T, 1) or (T,)."""
        y_hat = self(x)
        error = y_hat - _constant(y, y_hat).reshape(y_hat.shape)
        return (error * error).sum() * 0.5


class SequenceClassifier(Twin):
    """Twin of `manual.classifier`: tanh RNN over a batch, linear output from the last state.

    n_features, n_nodes, n_output: D, H, C.
    """

    pairs = {
        "Wx": ("rnn.weight_ih_l0", "transposed"), "Wh": ("rnn.weight_hh_l0", "transposed"),
        "Wy": ("head.weight", "transposed"), "Bh": ("rnn.bias_ih_l0", "same"), "By": ("head.bias", "same"),
    }  # fmt: skip

    def __init__(self, n_features: int, n_nodes: int, n_output: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(n_features, n_nodes, batch_first=True)
        self.head = nn.Linear(n_nodes, n_output)
        _frozen_second_bias(self.rnn)

    @classmethod
    def sizes(cls, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """D, H, C."""
        return *shapes["Wx"], shapes["Wy"][1]

    def forward(self, x: Any) -> Tensor:
        """x: (B, T, D) float. Returns (B, C)."""
        _, last = self.rnn(_constant(x, self.head.weight))
        return self.head(last[0])

    def loss(self, x: Any, y: Any) -> Tensor:
        """The mean of (y_hat - y)^2. y: (B, C)."""
        y_hat = self(x)
        return F.mse_loss(y_hat, _constant(y, y_hat))


class CharModel(Twin):
    """Twin of `manual.charmodel`: arrays are (features, batch, time), softmax at every step.

    n_a, n_x, n_y: sizes of state, input, output.
    """

    pairs = {
        "Waa": ("rnn.weight_hh_l0", "same"), "Wax": ("rnn.weight_ih_l0", "same"), "Wya": ("head.weight", "same"),
        "ba": ("rnn.bias_ih_l0", "column"), "by": ("head.bias", "column"),
    }  # fmt: skip

    def __init__(self, n_a: int, n_x: int, n_y: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(n_x, n_a)
        self.head = nn.Linear(n_a, n_y)
        _frozen_second_bias(self.rnn)

    @classmethod
    def sizes(cls, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """A, X, Y."""
        return *shapes["Wax"], shapes["Wya"][0]

    def forward(self, x: Any) -> Tensor:
        """x: (X, m, T) float. Returns the scores z: (T, m, Y)."""
        return self.head(self.rnn(_constant(_features_last(x), self.head.weight))[0])

    def loss(self, x: Any, y: Any, epsilon: float = 0.0) -> Tensor:
        """-1/m sum y log(softmax(z) + epsilon), summed over time. y: (Y, m, T), one-hot."""
        z = self(x)
        target = _constant(_features_last(y), z)
        logs = np.log(F.softmax(z, dim=-1) + epsilon) if epsilon else F.log_softmax(z, dim=-1)
        return (target * logs).sum() * (-1.0 / target.shape[1])


class Sentiment(Twin):
    """Twin of `manual.sentiment`: one sentence of one-hot words, judged from the last state.

    vocab_size, hidden_size, n_classes: V, H, C.
    """

    pairs = {
        "Wxh": ("rnn.weight_ih_l0", "same"), "Whh": ("rnn.weight_hh_l0", "same"), "Why": ("head.weight", "same"),
        "bh": ("rnn.bias_ih_l0", "column"), "by": ("head.bias", "column"),
    }  # fmt: skip

    def __init__(self, vocab_size: int, hidden_size: int = 64, n_classes: int = 2) -> None:
        super().__init__()
        self.rnn = nn.RNN(vocab_size, hidden_size)
        self.head = nn.Linear(hidden_size, n_classes)
        _frozen_second_bias(self.rnn)

    @classmethod
    def sizes(cls, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """V, H, C."""
        return shapes["Wxh"][1], shapes["Wxh"][0], shapes["Why"][0]

    def forward(self, inputs: Any) -> Tensor:
        """inputs: (T, V) float, one-hot words. Returns the scores (C,)."""
        _, last = self.rnn(_constant(inputs, self.head.weight))
        return self.head(last[0])

    def loss(self, inputs: Any, label: int) -> Tensor:
        """Cross entropy of one sentence. label: index of its class."""
        return F.cross_entropy(self(inputs), Tensor(np.asarray(int(label))))


class NextWord(Twin):
    """Twin of `manual.nextword`, which is written in lists: the scores of the next word after every word.

    vocab_size, hidden_size: V, H.
    """

    pairs = {
        "Wx": ("rnn.weight_ih_l0", "same"), "Wh": ("rnn.weight_hh_l0", "same"), "Wy": ("head.weight", "same"),
        "bh": ("rnn.bias_ih_l0", "same"), "by": ("head.bias", "same"),
    }  # fmt: skip

    def __init__(self, vocab_size: int, hidden_size: int = 8) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.rnn = nn.RNN(vocab_size, hidden_size)
        self.head = nn.Linear(hidden_size, vocab_size)
        _frozen_second_bias(self.rnn)

    @classmethod
    def sizes(cls, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """V, H."""
        return shapes["Wx"][1], shapes["Wx"][0]

    def forward(self, words: Any) -> Tensor:
        """words: (T,) int, indices. Returns the scores (T, V)."""
        return self.head(self.rnn(_constant(np.eye(self.vocab_size)[np.asarray(words)], self.head.weight))[0])

    def loss(self, words: Any, targets: Any) -> Tensor:
        """The sum over all words of -log p(next word). targets: (T,) int."""
        return F.cross_entropy(self(words), Tensor(np.asarray(targets)), reduction="sum")


class _CellModel(Twin):
    """A recurrent layer and a linear head at every step: twin of `manual.rnn`, `manual.gated`, `manual.vectorized`."""

    pairs = _CELL | _HEAD
    layer: ClassVar[Callable[..., Any]]

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.rnn = type(self).layer(input_size, hidden_size)
        self.head = nn.Linear(hidden_size, output_size)

    @classmethod
    def sizes(cls, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """D, H, C."""
        return shapes["weight_ih"][1], shapes["weight_hh"][1], shapes["head.weight"][0]

    def forward(self, x: Any) -> Tensor:
        """x: (T, B, D) float. Returns (T, B, C)."""
        return self.head(self.rnn(_constant(x, self.head.weight))[0])

    def loss(self, x: Any, targets: Any) -> Tensor:
        """The mean over steps and batch: cross entropy for targets (T, B) int, squared error for (T, B, C) float."""
        y, targets = self(x), targets if isinstance(targets, Tensor) else Tensor(np.asarray(targets))
        if targets.dtype.kind in "iu":
            return F.cross_entropy(y.reshape(-1, y.shape[-1]), targets.reshape(-1))
        return F.mse_loss(y, _constant(targets, y))


class TanhModel(_CellModel):
    """Twin of `manual.rnn`. input_size, hidden_size, output_size: D, H, C."""

    layer = nn.RNN


class LSTMModel(_CellModel):
    """Twin of `manual.gated`'s LSTM. input_size, hidden_size, output_size: D, H, C."""

    layer = nn.LSTM


class GRUModel(_CellModel):
    """Twin of `manual.gated`'s GRU. input_size, hidden_size, output_size: D, H, C."""

    layer = nn.GRU
