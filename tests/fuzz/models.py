"""Random models as data: layers with their options, a loss with its own, and how they are called.

A model is drawn from one seed and says nothing about sizes in between: those follow from the parts when it is built, so
that any part can be left out and a model remains.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

CLASSES = 4
WORDS = 4


class Part(NamedTuple):
    """One layer. kind: its name in `nn`, or "Attention". options: for its constructor, or "out" for its width.

    form: how it is called. state: whether it is given an initial state, which then is a leaf. around: whether its input
    is added to its output, where the widths allow.
    """

    kind: str
    options: dict[str, Any]
    form: str = ""
    state: bool = False
    around: bool = False


class Model(NamedTuple):
    """seed: of all numbers in it. steps, batch, features: T, B, D. lengths: one per sequence, for unequal lengths.

    loss: kind and options, its form says which steps it reads. dtype: "float64" or "float32". draws: what dropout draws
    from, "default" or "own". flaw: what is wrong with it on purpose, "" for a sound one.
    """

    seed: int
    steps: int
    batch: int
    features: int
    lengths: tuple[int, ...]
    parts: tuple[Part, ...]
    loss: Part
    training: bool
    dtype: str
    draws: str
    flaw: str = ""

    def __str__(self) -> str:
        sizes = f"T={self.steps} B={self.batch} D={self.features} lengths={list(self.lengths)} {self.dtype}"
        mode = f"{'training' if self.training else 'evaluating'}, draws: {self.draws}"
        lines = [f"model of seed {self.seed}: {sizes}, {mode}" + (f", FLAW: {self.flaw}" if self.flaw else "")]
        for k, part in enumerate([*self.parts, self.loss]):
            options = ", ".join(f"{name}={value!r}" for name, value in part.options.items())
            extra = [part.form, "given a state" * part.state, "residual" * part.around]
            lines.append(f"  {k}. {part.kind}({options}) {', '.join(filter(None, extra))}".rstrip())
        return "\n".join(lines)


RECURRENT = ("RNN", "LSTM", "GRU")
CELLS = ("RNNCell", "LSTMCell", "GRUCell")
SMOOTH = (
    "Tanh",
    "Sigmoid",
    "LogSigmoid",
    "SiLU",
    "Mish",
    "GELU",
    "Softplus",
    "Softmax",
    "Softmin",
    "LogSoftmax",
    "GLU",
)
KINKED = ("ReLU", "LeakyReLU", "ELU", "SELU", "Hardtanh", "Softsign", "Identity")
LOSSES = (
    "CrossEntropyLoss", "NLLLoss", "MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCELoss", "BCEWithLogitsLoss",
    "KLDivLoss",
)  # fmt: skip
FORMS = ("batched", "batched", "unbatched", "packed", "packed in any order", "lengths", "sequences")
FLAWS = (
    "one feature too many", "a class too many", "a negative class", "a class without weight", "a row too many",
    "a negative row", "a state of another size", "inputs of another dtype", "a length of zero", "a length too long",
    "lengths out of order", "targets of another shape", "projection as wide as the state", "a probability above one",
    "a reduction unknown",
)  # fmt: skip


class _Dice:
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def pick(self, options: Any) -> Any:
        """One of several."""
        return options[int(self.rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < share)

    def number(self, low: float, high: float) -> float:
        """A number with few digits, so that a printed model can be read."""
        return round(float(self.rng.uniform(low, high)), 2)


def draw_model(seed: int, flaws: float = 0.12) -> Model:
    """The model of a seed. flaws: the share of models that have one, and are to be refused."""
    dice = _Dice(seed)
    steps, batch = dice.pick([1, 2, 3, 3, 4, 5]), dice.pick([1, 2, 2, 3])
    lengths = tuple(int(n) for n in dice.rng.integers(1, steps + 1, batch))
    parts = [_embedding(dice)] if dice.chance(0.4) else []
    makers = [_recurrent, _recurrent, _recurrent, _cell, _other, _other]
    parts += [dice.pick(makers)(dice) for _ in range(1 + dice.pick([0, 1, 1, 2]))]
    return Model(
        seed,
        steps,
        batch,
        dice.pick([1, 2, 3, 4]),
        lengths,
        tuple(parts),
        _loss(dice),
        dice.chance(0.8),
        "float32" if dice.chance(0.2) else "float64",
        dice.pick(["default", "own"]),
        dice.pick(FLAWS) if dice.chance(flaws) else "",
    )


def simpler(model: Model) -> Iterator[Model]:
    """Models with one thing less: what a failure is tried on, to find the smallest that still fails."""
    for k in range(len(model.parts)):
        if len(model.parts) > 1:
            yield model._replace(parts=model.parts[:k] + model.parts[k + 1 :])
    for k, part in enumerate(model.parts):
        fewer = [part._replace(state=False)] * part.state + [part._replace(around=False)] * part.around
        fewer += [part._replace(form="batched")] if part.kind in RECURRENT and part.form != "batched" else []
        for name in part.options:
            if name not in ("out", "hidden_size", "embedding_dim"):
                fewer.append(part._replace(options={n: v for n, v in part.options.items() if n != name}))
        for one in fewer:
            yield model._replace(parts=(*model.parts[:k], one, *model.parts[k + 1 :]))
    for name in model.loss.options:
        rest = {n: v for n, v in model.loss.options.items() if n != name}
        yield model._replace(loss=model.loss._replace(options=rest))
    if model.steps > 1:
        yield model._replace(steps=model.steps - 1, lengths=tuple(min(n, model.steps - 1) for n in model.lengths))
    if model.batch > 1:
        yield model._replace(batch=model.batch - 1, lengths=model.lengths[1:])
    if model.features > 1:
        yield model._replace(features=1)


def _embedding(dice: _Dice) -> Part:
    options: dict[str, Any] = {"embedding_dim": dice.pick([1, 3, 4])}
    if dice.chance(0.4):
        options["padding_idx"] = dice.pick([0, 2, -1])
    if dice.chance(0.15):
        options |= {"max_norm": dice.number(0.4, 1.2), "norm_type": dice.pick([1.0, 2.0])}
    if dice.chance(0.05):
        options[dice.pick(["scale_grad_by_freq", "sparse"])] = True
    return Part("Embedding", options)


def _recurrent(dice: _Dice) -> Part:
    kind, hidden = dice.pick(RECURRENT), dice.pick([1, 2, 3, 4])
    options: dict[str, Any] = {"hidden_size": hidden, "num_layers": dice.pick([1, 1, 2, 3])}
    options |= {name: True for name in ("bidirectional", "batch_first") if dice.chance(0.4)}
    if dice.chance(0.3):
        options["bias"] = False
    if kind == "RNN" and dice.chance(0.5):
        options["nonlinearity"] = dice.pick(["relu", "tanh"])
    if kind == "LSTM" and hidden > 1 and dice.chance(0.4):
        options["proj_size"] = dice.pick(range(1, hidden))
    if options["num_layers"] > 1 and dice.chance(0.4):
        options["dropout"] = dice.pick([0.0, 0.2, 0.5, 1.0])
    return Part(kind, options, dice.pick(FORMS), dice.chance(0.5), dice.chance(0.2))


def _cell(dice: _Dice) -> Part:
    kind = dice.pick(CELLS)
    options: dict[str, Any] = {"hidden_size": dice.pick([1, 2, 3])}
    if dice.chance(0.3):
        options["bias"] = False
    if kind == "RNNCell" and dice.chance(0.5):
        options["nonlinearity"] = "relu"
    return Part(kind, options, dice.pick(["", "backwards"]), dice.chance(0.5), dice.chance(0.2))


def _other(dice: _Dice) -> Part:
    kind = dice.pick(["Linear", "Bilinear", "LayerNorm", "BatchNorm1d", "Dropout", "Attention", *SMOOTH, *KINKED])
    options: dict[str, Any] = {}
    form = ""
    if kind in ("Linear", "Bilinear"):
        options = {"out": dice.pick([1, 2, 3])} | ({"bias": False} if dice.chance(0.3) else {})
    elif kind == "LayerNorm":
        options = dice.pick([{}, {"bias": False}, {"elementwise_affine": False}, {"eps": 0.1}])
    elif kind == "BatchNorm1d":
        options = dice.pick([{}, {"affine": False}, {"momentum": None}, {"momentum": 0.3, "eps": 0.1}])
        options = options | ({"track_running_stats": False} if dice.chance(0.2) else {})
        form = dice.pick(["rows", "channels"])
    elif kind == "Dropout":
        kind = dice.pick(["Dropout", "Dropout", "Dropout1d"])
        options = {"p": dice.pick([0.0, 0.3, 0.5, 1.0])}
        form = "channels" if kind == "Dropout1d" else ""
    elif kind == "Attention":
        form = dice.pick(["all", "causal"])
    elif kind == "GELU":
        options = {"approximate": dice.pick(["none", "tanh"])}
    elif kind in ("Softmax", "Softmin", "LogSoftmax"):
        options = {"dim": dice.pick([0, 1, 2, -1])}
    elif kind == "Softplus":
        options = dice.pick([{}, {"beta": 2.0}, {"beta": 0.5, "threshold": 0.2}])
    elif kind in ("LeakyReLU", "ELU"):
        options = {"negative_slope" if kind == "LeakyReLU" else "alpha": dice.number(0.05, 0.9)}
    elif kind == "Hardtanh":
        options = {"min_val": -0.31, "max_val": 0.43}
    return Part(kind, options, form, False, dice.chance(0.15))


def _loss(dice: _Dice) -> Part:
    kind = dice.pick([LOSSES[0], *LOSSES])
    options: dict[str, Any] = {}
    if dice.chance(0.5):
        options["reduction"] = dice.pick(["none", "sum", "mean"])
    if kind in ("CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss") and dice.chance(0.4):
        options["weight"] = tuple(dice.number(0.2, 2.0) for _ in range(CLASSES))
    if kind in ("CrossEntropyLoss", "NLLLoss") and dice.chance(0.3):
        options["ignore_index"] = dice.pick([1, -100, -7])
    if kind == "CrossEntropyLoss" and dice.chance(0.3):
        options["label_smoothing"] = dice.number(0.0, 1.0)
    if kind == "BCEWithLogitsLoss" and dice.chance(0.4):
        options["pos_weight"] = tuple(dice.number(0.2, 2.0) for _ in range(CLASSES))
    if kind == "KLDivLoss":
        options["reduction"] = dice.pick(["batchmean", "sum", "none"])
        if dice.chance(0.4):
            options["log_target"] = True
    if kind in ("SmoothL1Loss", "HuberLoss") and dice.chance(0.6):
        options["beta" if kind == "SmoothL1Loss" else "delta"] = dice.number(0.1, 2.0)
    form = dice.pick(["each", "each", "last", "mean", "channels"])
    soft = kind == "CrossEntropyLoss" and "ignore_index" not in options and dice.chance(0.25)
    return Part(kind, options, form, soft, around=dice.chance(0.15))
