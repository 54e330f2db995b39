"""Every layer and loss of nn with every option, and what it is called with: a table for the compiler's tests.

A case gives an option a value other than its default. `uncovered()` names what no case sets, so that a new layer or
option without one fails.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tg
from tests.compiler.same import Subject, tensor
from tinygrad_rnn import nn
from tinygrad_rnn.nn.utils.rnn import pack_padded_sequence

# Where and how a layer is made, an older spelling of `reduction`, what eager refuses: tested with the layers. What only
# `compile` refuses has a test beside this table's.
ELSEWHERE = {"device", "dtype", "generator", "size_average", "reduce", "args", "kwargs", "more", "_weight"}
ELSEWHERE |= {"scale_grad_by_freq", "sparse", "max_norm", "norm_type"}
# Not layers, or made of layers that the table calls; Transformer refuses to be built.
NO_LAYERS = {"Buffer", "Module", "Parameter", "RNNBase", "RNNCellBase", "Transformer"}


class Case(NamedTuple):
    """name: of a class of nn. options: its arguments. inputs: makes those of the call. call: of module and inputs."""

    name: str
    options: dict[str, Any]
    inputs: Callable[[], tuple[Any, ...]]
    call: Callable[..., Any] | None = None
    training: bool = True

    def __str__(self) -> str:
        words = [f"{k}={v if np.isscalar(v) or v is None else type(v).__name__}" for k, v in self.options.items()]
        return " ".join([self.name, *words, *([] if self.training else ["eval"])])

    def subject(self) -> Subject:
        """The module and its inputs, the same at every call."""
        tg.manual_seed(0)
        module = getattr(nn, self.name)(**self.options).double()
        module.train(self.training)
        for p in module.parameters():  # ones and zeros would hide what is left out
            p.data = p.data + 0.1 * tg.tensor(np.random.default_rng(p.numel()).normal(size=tuple(p.shape)))
        function = module if self.call is None else lambda *args: self.call(module, *args)  # type: ignore[misc]
        return Subject(function, self.inputs(), module)


def _rows() -> tuple[Any, ...]:
    return (tensor(4, 3, 5),)


def _scaled(module: Any, x: Any) -> Any:
    """A layer that may write into its input is given none of ours."""
    return module(x * 1.5)


def _activations() -> Iterator[Case]:
    for name in ("Tanh", "Sigmoid", "LogSigmoid", "Softsign", "Identity"):
        yield Case(name, {}, _rows)
    for name, options in {
        "ReLU": [{}], "SiLU": [{}], "Mish": [{}], "SELU": [{}], "LeakyReLU": [{}, {"negative_slope": 0.3}],
        "ELU": [{}, {"alpha": 0.7}], "Hardtanh": [{}, {"min_val": -0.5, "max_val": 0.2}],
    }.items():  # fmt: skip
        for given in options:
            yield Case(name, given, _rows)
            yield Case(name, {**given, "inplace": True}, _rows, _scaled)
    for given in ({}, {"approximate": "tanh"}):
        yield Case("GELU", given, _rows)
    for given in ({}, {"beta": 2.0}, {"beta": 3.0, "threshold": 1.0}):
        yield Case("Softplus", given, _rows)
    for name in ("Softmax", "Softmin", "LogSoftmax"):
        yield from (Case(name, {"dim": dim}, _rows) for dim in (0, 1, -1))
    yield from (Case("GLU", {"dim": dim}, lambda: (tensor(4, 2, 6),)) for dim in (0, -1))
    for name in ("Dropout", "Dropout1d", "Dropout2d"):
        for given in ({}, {"p": 0.2}, {"p": 0.0}, {"p": 1.0}):
            yield Case(name, given, _rows)
        yield Case(name, {"inplace": True}, _rows, _scaled)
        yield Case(name, {}, _rows, training=False)


def _plain() -> Iterator[Case]:
    for bias in (True, False):
        yield Case("Linear", {"in_features": 5, "out_features": 2, "bias": bias}, _rows)
        yield Case("Linear", {"in_features": 5, "out_features": 2, "bias": bias}, lambda: (tensor(5),))
        sizes = {"in1_features": 2, "in2_features": 3, "out_features": 4}
        yield Case("Bilinear", {**sizes, "bias": bias}, lambda: (tensor(5, 2), tensor(5, 3, seed=1)))
    words = lambda: (tg.tensor(np.array([[1, 2, 5], [2, 2, 0]])),)
    for given in ({}, {"padding_idx": 2}, {"_freeze": True}):
        yield Case("Embedding", {"num_embeddings": 6, "embedding_dim": 3, **given}, words)
    for given in ({}, {"start_dim": 0}, {"end_dim": 1}):
        yield Case("Flatten", given, _rows)
    yield Case("Unflatten", {"dim": 0, "unflattened_size": (2, 2)}, _rows)
    for given in ({}, {"eps": 0.1}, {"elementwise_affine": False}, {"bias": False}):
        yield Case("LayerNorm", {"normalized_shape": 5, **given}, _rows)
        yield Case("LayerNorm", {"normalized_shape": (3, 5), **given}, _rows)
    for given in ({}, {"eps": 0.1}, {"momentum": None}, {"momentum": 0.3}, {"affine": False}, {"bias": False},
                  {"track_running_stats": False}):  # fmt: skip
        for training in (True, False):
            yield Case("BatchNorm1d", {"num_features": 3, **given}, _rows, training=training)
    yield Case("Sequential", {}, _rows)
    yield Case("ModuleList", {"modules": [nn.Linear(5, 4), nn.Linear(4, 3)]}, _rows, lambda m, x: m[1](m[0](x)))
    yield Case("ModuleDict", {"modules": {"a": nn.Linear(5, 4)}}, _rows, lambda m, x: m["a"](x))
    values = [np.ones((5, 2)), np.full((2, 3), 0.5)]
    yield Case("ParameterList", {"values": [tg.tensor(v) for v in values]}, _rows, lambda m, x: x @ m[0] @ m[1])


def _recurrent() -> Iterator[Case]:
    sequence, states = lambda: (tensor(4, 2, 3),), lambda n, *b: [tensor(n, *b, 5, seed=s) for s in (1, 2)]
    own = {"RNN": [{"nonlinearity": "relu"}], "LSTM": [{"proj_size": 2}, {"proj_size": 2, "bidirectional": True}],
           "GRU": []}  # fmt: skip
    shared: list[dict[str, Any]] = [
        {}, {"num_layers": 2}, {"bias": False}, {"batch_first": True}, {"bidirectional": True},
        {"num_layers": 3, "bidirectional": True, "dropout": 0.4}, {"num_layers": 2, "dropout": 0.5, "bias": False},
    ]  # fmt: skip
    for name, more in own.items():
        sizes = {"input_size": 3, "hidden_size": 5}
        for given in [*shared, *more]:
            yield Case(name, {**sizes, **given}, sequence)
            yield Case(name, {**sizes, **given}, sequence, training=False)
        pair = (lambda s: (s[0], s[1])) if name == "LSTM" else (lambda s: s[0])
        yield Case(name, sizes, lambda pair=pair: (tensor(4, 2, 3), pair(states(1, 2))))
        yield Case(name, sizes, lambda pair=pair: (tensor(4, 3), pair(states(1))))
        yield Case(name, sizes, lambda: (tensor(5, 3, 3),), lambda m, x: m(pack_padded_sequence(x, [5, 3, 2]))[0].data)
        yield Case(name, {**sizes, "bidirectional": True}, lambda: (tensor(5, 3, 3),),
                   lambda m, x: m(pack_padded_sequence(x, [2, 5, 3], enforce_sorted=False))[0].data)  # fmt: skip
        yield Case(name, {**sizes, "batch_first": True}, lambda: (tensor(3, 5, 3),),
                   lambda m, x: m(x, lengths=[2, 5, 3]))  # fmt: skip
        for given in [{}, {"bias": False}, *([{"nonlinearity": "relu"}] if name == "RNN" else [])]:
            yield Case(f"{name}Cell", {**sizes, **given}, lambda: (tensor(3, 2, 3),), _three_steps)


def _three_steps(cell: Any, xs: Any) -> Any:
    state = None
    for x in xs:
        state = cell(x, state)
    return state


def _losses() -> Iterator[Case]:
    rows, weight = (4, 3), np.random.default_rng(5).uniform(0.2, 2, size=3)
    classes = lambda: (tensor(*rows), tg.tensor(np.array([0, 2, 1, 2])))
    numbers = lambda: (tensor(*rows), tensor(*rows, seed=1))
    shares = lambda: (tensor(*rows, low=0.1, high=0.9), tensor(*rows, seed=1, low=0.1, high=0.9))
    table: dict[str, tuple[Callable[[], tuple[Any, ...]], list[dict[str, Any]]]] = {
        "CrossEntropyLoss": (classes, [{"weight": weight}, {"ignore_index": 2}, {"label_smoothing": 0.1}]),
        "NLLLoss": (classes, [{"weight": weight}, {"ignore_index": 2}]),
        "MSELoss": (numbers, []), "L1Loss": (numbers, []), "SmoothL1Loss": (numbers, [{"beta": 0.3}, {"beta": 0.0}]),
        "HuberLoss": (numbers, [{"delta": 0.4}]), "BCELoss": (shares, [{"weight": weight}]),
        "BCEWithLogitsLoss": (lambda: (tensor(*rows), shares()[1]), [{"weight": weight}, {"pos_weight": weight}]),
        "KLDivLoss": (shares, [{"log_target": True}, {"reduction": "batchmean"}]),
    }  # fmt: skip
    for name, (inputs, more) in table.items():
        plain = {"reduction": "sum"} if name == "KLDivLoss" else {}  # whose mean warns, as in PyTorch
        for given in [{}, {"reduction": "sum"}, {"reduction": "none"}, *more]:
            arrays = {k: tg.tensor(v) if isinstance(v, np.ndarray) else v for k, v in given.items()}
            yield Case(name, {**plain, **arrays}, inputs)
    yield Case("CrossEntropyLoss", {"label_smoothing": 0.2}, lambda: (tensor(*rows), tensor(*rows).softmax(1).detach()))


CASES = [*_activations(), *_plain(), *_recurrent(), *_losses()]


def uncovered() -> set[str]:
    """Classes of nn, and options of them, that no case names."""
    missing = set()
    for name, found in vars(nn).items():
        if not (inspect.isclass(found) and issubclass(found, nn.Module)) or name in NO_LAYERS:
            continue
        own = [case.options for case in CASES if case.name == name]
        missing |= set() if own else {name}
        base = nn.RNNBase if issubclass(found, nn.RNNBase) else found
        options = {*inspect.signature(base.__init__).parameters, *inspect.signature(found.__init__).parameters}
        given = {option for options in own for option in options}
        missing |= {f"{name}.{option}" for option in options - given - ELSEWHERE - {"self"}}
    return missing - {"RNN.proj_size", "GRU.proj_size"}  # which they refuse
