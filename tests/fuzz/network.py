"""Build and run a model of `models` in this library or in PyTorch: one text for both, for their names are the same."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_rnn as tg

from .models import CELLS, CLASSES, RECURRENT, WORDS, Model, Part


class Run:
    """A model built in one library, with fresh leaves.

    lib: `tinygrad_rnn` or `torch`. moves, scale: leaves and parameters are moved by scale * moves, by name.
    leaves: name -> tensor that requires grad: float inputs, initial states, parameters. fixed: integer inputs.
    """

    def __init__(self, lib: Any, model: Model, moves: dict[str, np.ndarray] | None = None, scale: float = 0.0) -> None:
        self.lib, self.model = lib, model
        self.dtype = getattr(lib, model.dtype)
        self.moves, self.scale = moves, scale
        self.own = [tg.Generator().manual_seed(model.seed)] if lib is tg and model.draws == "own" else [None]
        self.parts = lib.nn.ModuleList()
        self.shapes: dict[str, tuple[int, ...]] = {}
        width = model.features
        for k, part in enumerate(model.parts):
            module, width = self._build(k, part, width)
            self.parts.append(module)
        self.parts.append(lib.nn.Linear(width, CLASSES, dtype=self.dtype))
        self.parts.append(self._loss())
        self.parts.train(model.training)
        if (
            model.loss.around
            and model.parts[0].kind == "Embedding"
            and width == model.parts[0].options["embedding_dim"]
        ):
            self.parts[-2].weight = lib.nn.Parameter(lib.zeros((WORDS, width), dtype=self.dtype))
            self.parts[-2].bias = None
            self.parts[0].weight = self.parts[-2].weight  # one parameter at both ends
        self.leaves: dict[str, Any] = {}
        self.fixed: list[Any] = []
        self.targets: Any = None
        self._fill()

    def _build(self, k: int, part: Part, width: int) -> tuple[Any, int]:
        """The layer for an input of this width, and the width of what it returns."""
        nn, options, model = self.lib.nn, dict(part.options), self.model
        typed = {"dtype": self.dtype}
        drawn = {"generator": self.own[0]} if self.own[0] is not None else {}
        if part.kind == "Embedding":
            return nn.Embedding(WORDS, **options, **typed), options["embedding_dim"]
        if part.kind in RECURRENT:
            if model.flaw == "projection as wide as the state":
                options["proj_size"] = options["hidden_size"]
            if model.flaw == "a probability above one":
                options["dropout"] = 1.5
            layer = getattr(nn, part.kind)(width, **options, **typed, **drawn)
            sides = 1 + options.get("bidirectional", False)
            out = options.get("proj_size") or options["hidden_size"]
            lead = (options.get("num_layers", 1) * sides,) + (() if part.form == "unbatched" else (model.batch,))
            if part.state:
                self.shapes[f"h{k}"] = (*lead, out)
                if part.kind == "LSTM":
                    self.shapes[f"c{k}"] = (*lead, options["hidden_size"])
            return layer, out * sides
        if part.kind in CELLS:
            hidden = options["hidden_size"]
            if part.state:
                self.shapes |= {f"{name}{k}": (model.batch, hidden) for name in ("hc" if "LSTM" in part.kind else "h")}
            return getattr(nn, part.kind)(width, **options, **typed), hidden
        if part.kind in ("Linear", "Bilinear"):
            out = options.pop("out")
            sizes = (width, out) if part.kind == "Linear" else (width, width, out)
            return getattr(nn, part.kind)(*sizes, **options, **typed), out
        if part.kind in ("LayerNorm", "BatchNorm1d"):
            return getattr(nn, part.kind)(width, **options, **typed), width
        if part.kind == "Attention":
            return nn.Identity(), width
        if part.kind.startswith("Dropout"):
            options["p"] = 1.5 if model.flaw == "a probability above one" else options.get("p", 0.5)
            return getattr(nn, part.kind)(**options, **drawn), width
        return getattr(nn, part.kind)(**options), width

    def _loss(self) -> Any:
        options = dict(self.model.loss.options)
        for name in ("weight", "pos_weight"):
            if name in options:
                short = self.model.flaw == "a class without weight" and name == "weight"
                options[name] = self.lib.tensor(options[name][short:], dtype=self.dtype)
        if self.model.flaw == "a reduction unknown":
            options["reduction"] = "average"
        return getattr(self.lib.nn, self.model.loss.kind)(**options)

    def _fill(self) -> None:
        """Give numbers to leaves, parameters, buffers and targets: the same in both libraries."""
        model, rng, lib = self.model, np.random.default_rng(self.model.seed), self.lib
        words = model.parts[0].kind == "Embedding"
        rows = rng.integers(0, WORDS, (model.steps, model.batch))
        if words:
            rows[-1, -1] = {"a row too many": WORDS, "a negative row": -1}.get(model.flaw, rows[-1, -1])
            self.fixed.append(lib.tensor(rows))
        else:
            more = model.flaw == "one feature too many"
            self.shapes = {"x": (model.steps, model.batch, model.features + more)} | self.shapes
        for name, shape in self.shapes.items():
            if name != "x" and model.flaw == "a state of another size":
                shape = (*shape[:-1], shape[-1] + 1)
            leaf = lib.tensor(self._moved(name, rng.standard_normal(shape)), dtype=self.dtype)
            if name == "x" and model.flaw == "inputs of another dtype":
                leaf = leaf.to(lib.float32 if self.dtype == lib.float64 else lib.float64)
            self.leaves[name] = leaf.requires_grad_()
        with lib.no_grad():
            for name, p in self.parts.named_parameters():
                p.copy_(lib.tensor(self._moved(name, 0.6 * rng.standard_normal(tuple(p.shape))), dtype=self.dtype))
                self.leaves[name] = p
            for name, b in self.parts.named_buffers():
                if "running" in name:
                    b.copy_(lib.tensor(rng.uniform(0.3, 1.5, tuple(b.shape)), dtype=self.dtype))
        self.targets = self._targets(rng)

    def _moved(self, name: str, a: np.ndarray) -> np.ndarray:
        return a if self.moves is None else a + self.scale * self.moves[name]

    def _targets(self, rng: np.random.Generator) -> Any:
        model, lib, kind = self.model, self.lib, self.model.loss.kind
        lead = {"last": (model.batch,), "mean": (model.batch,), "channels": (model.batch, model.steps)}.get(
            model.loss.form, (model.steps * model.batch,)
        )
        if kind in ("CrossEntropyLoss", "NLLLoss") and not model.loss.state:
            targets = rng.integers(0, CLASSES, lead)
            ignored = model.loss.options.get("ignore_index")
            if ignored is not None:
                targets[rng.random(lead) < 0.3] = ignored
                targets.reshape(-1)[0] = 0  # were all ignored, the mean would be 0 / 0
            wrong = {"a class too many": CLASSES, "a negative class": -3}.get(model.flaw)
            if wrong is not None:
                targets.reshape(-1)[-1] = wrong
            if model.flaw == "targets of another shape":
                targets = np.concatenate([targets, targets])
            return lib.tensor(targets)
        shape = (model.batch, CLASSES, model.steps) if model.loss.form == "channels" else (*lead, CLASSES)
        if kind == "CrossEntropyLoss" or kind == "KLDivLoss":
            shares = np.exp(rng.standard_normal(shape))
            values = shares / shares.sum(1, keepdims=True)
            values = np.log(values) if model.loss.options.get("log_target") else values
        elif kind in ("BCELoss", "BCEWithLogitsLoss"):
            values = rng.random(shape)
        else:
            values = rng.standard_normal(shape)
        return lib.tensor(np.concatenate([values, values]) if model.flaw == "targets of another shape" else values).to(
            self.dtype
        )

    def inputs(self) -> list[Any]:
        """What a call takes as arguments: words or float inputs, initial states, and the targets."""
        return [*self.fixed, *(self.leaves[name] for name in self.shapes), self.targets]

    def named(self, inputs: Sequence[Any]) -> dict[str, Any]:
        """The leaves by name, where the inputs of a call are these."""
        return self.leaves | dict(zip(self.shapes, inputs[len(self.fixed) :], strict=False))

    def others(self) -> list[Any]:
        """Other arguments of the same shapes."""
        return [
            (x.detach() * 0.9).requires_grad_() if x.requires_grad else self.lib.flip(x, (0,)) for x in self.inputs()
        ]

    def function(self) -> Callable[..., Any]:
        """The loss as a function that closes over the modules: what a user would compile."""
        parts = self.parts
        return lambda *inputs: self(*inputs) if parts else None

    def __call__(self, *inputs: Any) -> Any:
        """The scalar: the loss, and a little of every last state."""
        lib = self.lib
        *inputs, targets = inputs
        named = dict(zip([*("words" for _ in self.fixed), *self.shapes], inputs, strict=True))
        x = named.get("words", named.get("x"))
        rest: list[Any] = []
        for k, part in enumerate(self.model.parts):
            with tg.scope(f"part{k}") if lib is tg else contextlib.nullcontext():
                y = self._apply(k, part, x, named, rest)
            x = x + y if part.around and x.shape == y.shape and part.kind != "Embedding" else y
        loss = self._measured(self.parts[-2](x), targets)
        for number, state in enumerate(rest):
            loss = loss + lib.tanh(state).sum() * (0.1 + 0.07 * number)
        return loss

    def _apply(self, k: int, part: Part, x: Any, named: dict[str, Any], rest: list[Any]) -> Any:
        lib, layer = self.lib, self.parts[k]
        if part.kind in RECURRENT or part.kind in CELLS:
            state = tuple(named[f"{name}{k}"] for name in "hc" if f"{name}{k}" in named)
            given = None if not state else state if "LSTM" in part.kind else state[0]
            run = self._recur if part.kind in RECURRENT else self._loop
            y, last = run(part, layer, x, given)
            rest.extend(last if isinstance(last, tuple) else [last])
            return y
        if part.kind == "Bilinear":
            return layer(x, lib.tanh(x))
        if part.kind == "GLU":
            return layer(lib.cat([x, x * 0.7], -1))
        if part.form == "rows":
            return layer(x.reshape(-1, x.shape[-1])).reshape(x.shape)
        if part.form == "channels":
            return layer(x.permute(1, 2, 0)).permute(2, 0, 1)
        if part.kind == "Attention":
            q = x.permute(1, 0, 2)
            scores = (q @ q.transpose(1, 2)) / float(x.shape[-1]) ** 0.5
            if part.form == "causal":
                later = lib.tensor(np.triu(np.ones((x.shape[0], x.shape[0]), bool), 1))
                scores = scores.masked_fill(later, -1e9)
            return (lib.softmax(scores, -1) @ q).permute(1, 0, 2)
        return layer(x)

    def _recur(self, part: Part, layer: Any, x: Any, state: Any) -> tuple[Any, Any]:
        """Whole sequences in one of the forms; (T, B, D) goes in and (T, B, H) comes out."""
        rnn, first, form = self.lib.nn.utils.rnn, layer.batch_first, part.form
        lengths = list(self.model.lengths)
        if self.model.flaw == "a length of zero":
            lengths[-1] = 0
        elif self.model.flaw == "a length too long":
            lengths[-1] = self.model.steps + 1
        elif form == "packed" and self.model.flaw == "lengths out of order":
            lengths = list(range(1, len(lengths) + 1))
        elif form == "packed":
            lengths.sort(reverse=True)
        if form == "unbatched":
            y, last = layer(x[:, 0], state)
            return y.unsqueeze(1) + 0 * x[..., :1], last
        if form == "sequences":
            packed = rnn.pack_sequence([x[:n, b] for b, n in enumerate(lengths)], enforce_sorted=False)
        else:
            x = x.transpose(0, 1) if first else x
            if form == "batched":
                y, last = layer(x, state)
                return (y.transpose(0, 1) if first else y), last
            if form == "lengths" and self.lib is tg:
                y, last = layer(x, state, lengths=lengths)
                return (y.transpose(0, 1) if first else y), last
            packed = rnn.pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=form == "packed")
        y, last = layer(packed, state)
        y, _ = rnn.pad_packed_sequence(y, batch_first=first, total_length=self.model.steps)
        return (y.transpose(0, 1) if first else y), last

    def _loop(self, part: Part, cell: Any, x: Any, state: Any) -> tuple[Any, Any]:
        """A cell in a loop over time, as a user writes it."""
        steps: dict[int, Any] = {}
        times = range(x.shape[0])
        for t in reversed(times) if part.form == "backwards" else times:
            with tg.scope("cell", t=t) if self.lib is tg else contextlib.nullcontext():
                state = cell(x[t], state)
            steps[t] = state[0] if isinstance(state, tuple) else state
        return self.lib.stack([steps[t] for t in times]), state

    def _measured(self, scores: Any, targets: Any) -> Any:
        """The loss of scores (T, B, C), and a weighted sum of it where it is not reduced."""
        lib, loss = self.lib, self.model.loss
        if loss.form == "each":
            scores = scores.reshape(-1, CLASSES)
        elif loss.form == "channels":
            scores = scores.permute(1, 2, 0)
        else:
            scores = scores[-1] if loss.form == "last" else scores.mean(0)
        if loss.kind in ("NLLLoss", "KLDivLoss"):
            scores = lib.log_softmax(scores, 1)
        if loss.kind == "BCELoss":
            scores = lib.sigmoid(scores)
        if loss.form == "channels" and "B" in loss.kind[:1]:
            # weights of classes broadcast along the last axis
            scores, targets = scores.transpose(1, 2), targets.transpose(1, 2)
        value = self.parts[-1](scores, targets)
        if value.ndim:
            weights = np.cos(1.0 + np.arange(np.prod(value.shape))).reshape(tuple(value.shape))
            value = (value * lib.tensor(weights, dtype=self.dtype)).sum()
        return value
