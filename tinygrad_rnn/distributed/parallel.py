"""`DataParallel`: one model on every rank, the gradients of all examples in each.

Imports the engine's Tensor, the World beside it, and `Module` in name only. The exchange is one `Allreduce` of one flat
buffer: all gradients, each weighted with the examples it was taken over, and behind them a few numbers: the examples,
the loss, two flags, and for each parameter how many ranks have a gradient for it.

Why nothing is sent during backward: the weights of a recurrent layer are shared by all time steps, so their gradients
are complete only when the sweep is over; there is nothing to hide the exchange behind but the layers on top.
"""

from __future__ import annotations

import platform
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DistributedError, explain
from ..tensor import Tensor, make
from ..writes import mutated
from .world import World
from .world import world as this_world

__all__ = ["DataParallel"]

_EXAMPLES, _LOSS, _RAISED, _DREW, _HEADER = range(5)


class DataParallel:
    """Keeps a model the same on all ranks and averages its gradients over the examples of all ranks.

    model: a Module. Its parameters and buffers become those of rank 0.
    world: who takes part; `world()` if not given.
    Raises DistributedError on every rank if versions, or names, shapes or dtypes of the parameters differ.

        for x, y in batches:                       # the same global batch on every rank
            rows = parallel.world.rows(len(x))
            optimizer.zero_grad()
            if len(x[rows]):
                parallel.backward(loss_of(model, x[rows], y[rows]), len(x[rows]))
            loss = parallel.exchange()             # of the whole batch; so are the gradients
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    `backward` may be called several times before `exchange`: that is accumulation, and each example counts the same.
    """

    def __init__(self, model: Any, world: World | None = None) -> None:
        self.model, self.world = model, this_world() if world is None else world
        self._agree(_signature(model))
        for tensor in model.state_dict().values():
            array = np.ascontiguousarray(tensor.array)
            self.world.fill(array, "the first weights")
            if self.world.size > 1:
                tensor.array[...] = array
                mutated(tensor.array)
        self.raised = 0
        self.drew = False
        self._examples = self._loss = 0.0
        self._buffer = np.empty(0)

    def backward(self, loss: Tensor, examples: float) -> None:
        """Add the gradient of `examples` times the loss to `.grad`.

        loss: a Tensor with one entry, the mean over this rank's examples. examples: how many, or any other weight, such
        as the number of words that are no padding; positive.
        """
        self.note(float(loss.item()), examples)
        loss.backward(gradient=make(np.full(loss.shape, examples, loss.dtype)))

    def note(self, loss: float, examples: float) -> None:
        """Count a loss without differentiating it."""
        if not examples > 0:
            do = "A rank without examples in this batch calls exchange() alone."
            raise ValueError(explain("examples", expected="a positive number", got=str(examples), do=do))
        self._loss += examples * loss
        self._examples += examples

    def exchange(self, *, raised: bool = False, drew: bool = False) -> float:
        """Make every `.grad` the mean over all examples of all ranks since the last exchange: one Allreduce.

        raised, drew: flags of this rank; afterwards the attribute `raised` is how many ranks raised theirs, and `drew`
        whether any set its own. Returns the mean loss. Clip and step after this, not before.
        Raises DistributedError on every rank if no rank had an example.
        """
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        flat = self._flat(parameters)
        size = flat.size - _HEADER - len(parameters)
        views = _views(flat, parameters)
        tail, present = flat[size : size + _HEADER], flat[size + _HEADER :]
        tail[:] = self._examples, self._loss, raised, drew
        for i, (p, view) in enumerate(zip(parameters, views, strict=True)):
            grad = p.grad
            present[i] = grad is not None
            view[...] = 0 if grad is None else grad.array
        self._examples = self._loss = 0.0
        self.world.exchanges += 1
        self.world.total(flat, f"exchange {self.world.exchanges}")
        examples = float(tail[_EXAMPLES])
        self.raised, self.drew = round(float(tail[_RAISED])), bool(tail[_DREW] > 0)
        if not examples > 0:
            do = "Call backward(loss, examples) on at least one rank before exchange()."
            raise self.world.known_to_all(DistributedError(explain("exchange", expected="examples", got="none", do=do)))
        for p, view, ranks in zip(parameters, views, present, strict=True):
            if ranks > 0:
                self._take(p, view, examples)
        return float(tail[_LOSS]) / examples

    def compile_step(
        self, loss_fn: Callable[..., Any], optimizer: Any, clip: float | None = None
    ) -> Callable[..., Any]:
        """As `tg.compile_step`, with the exchange inside: `step(examples, *args)`, 0 examples for a rank without."""
        from .steps import ParallelStep

        return ParallelStep(loss_fn, optimizer, clip, self.world)

    def check(self) -> None:
        """Raise DistributedError, on every rank, if the parameters are no longer the same bit for bit."""
        own = {name: zlib.crc32(np.ascontiguousarray(p.array).data) for name, p in self.model.named_parameters()}
        everybody = self.world.collect(own, "the comparison of the weights")
        for rank, other in enumerate(everybody):
            differing = [name for name in own if other.get(name) != everybody[0][name]]
            if differing:
                do = "Change weights by the optimiser only, and on all ranks alike."
                got = f"another {differing[0]} on rank {rank} than on rank 0"
                text = explain("weights", expected="the same on all ranks", got=got, do=do)
                raise self.world.known_to_all(DistributedError(text))

    def _flat(self, parameters: Sequence[Tensor]) -> np.ndarray:
        """The buffer, of the widest dtype among the parameters, kept from step to step."""
        size = sum(p.array.size for p in parameters) + _HEADER + len(parameters)
        dtype = np.result_type(np.float32, *(p.dtype for p in parameters))
        if self._buffer.size != size or self._buffer.dtype != dtype:
            self._buffer = np.empty(size, dtype)
        return self._buffer

    def _take(self, p: Tensor, view: np.ndarray, examples: float) -> None:
        grad = p.grad
        if grad is None:
            p.grad = make(np.divide(view, examples, dtype=view.dtype).astype(p.dtype, copy=False))
        else:
            np.divide(view, examples, out=grad.array, casting="same_kind")
            mutated(grad.array)

    def _agree(self, own: dict[str, str]) -> None:
        """Compare signatures: what differs from rank 0 is named, on every rank in the same words."""
        everybody = self.world.collect(own, "the comparison of versions and shapes")
        first = everybody[0]
        for rank, other in enumerate(everybody):
            for name in [*first, *(name for name in other if name not in first)]:
                mine, theirs = first.get(name, "missing"), other.get(name, "missing")
                if mine != theirs:
                    do = "All ranks must run the same versions and build the same model."
                    text = explain(f"rank {rank}, {name}", expected=f"{mine} as on rank 0", got=theirs, do=do)
                    raise self.world.known_to_all(DistributedError(text))


def _signature(model: Any) -> dict[str, str]:
    """What must be the same on all ranks, by the name it has in the error."""
    from importlib.metadata import PackageNotFoundError, version

    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "run from its source"

    versions = {
        "the version of tinygrad_rnn": installed("tinygrad_rnn"),
        "the version of NumPy": np.__version__,
        "the version of Python": ".".join(platform.python_version_tuple()[:2]),
    }
    tensors = {name: f"{t.dtype}{list(t.shape)}" for name, t in model.state_dict().items()}
    return versions | tensors


def _views(flat: np.ndarray, parameters: Sequence[Tensor]) -> list[np.ndarray]:
    """The buffer's part for each parameter, in its shape."""
    views, start = [], 0
    for p in parameters:
        views.append(flat[start : start + p.array.size].reshape(p.shape))
        start += p.array.size
    return views
