"""The Trainer on several ranks: the same run, step by step, that one process would make of the same batches.

Imports `distributed` and what lies beside it.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_rnn.distributed.parallel import DataParallel
from tinygrad_rnn.distributed.sharing import carried_by_all, carried_by_one, examples, share
from tinygrad_rnn.distributed.world import World
from tinygrad_rnn.distributed.world import world as this_world
from tinygrad_rnn.errors import DistributedError, TinygradError, explain
from tinygrad_rnn.files import Path
from tinygrad_rnn.tensor import Tensor, make
from tinygrad_rnn.train.evaluation import Objective, apply_objective, summed_loss
from tinygrad_rnn.train.folder import Held, RunFolder
from tinygrad_rnn.train.interruption import Interruption
from tinygrad_rnn.train.reports import Quiet, Report
from tinygrad_rnn.train.trainer import Ended, Outcome, Trainer

__all__ = ["ParallelTrainer"]


class ParallelTrainer(Trainer):
    """A Trainer that shares the work among the ranks of a world; in a process by itself it is a Trainer.

    Arguments as of Trainer, the same on every rank; the batches and the validation are the global ones. And:
    world: who takes part; `distributed.world()` if not given.
    axis: which axis of the arrays of a batch counts examples, where the batches do not say (`distributed.share`).
    weight: `weight(batch)` -> over how many examples the objective takes its mean; by default the entries of the last
        array, as in `mean_loss`.
    An example is drawn, computed and reported once: rank 0 alone reports and writes, the others hear of it. A run can
    be resumed on another number of ranks. An exception on one rank ends all.
    Dropout draws on each rank from a stream of its own, so its masks depend on the number of ranks.
    Raises DistributedError on every rank if versions or models differ; and what Trainer raises.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        batches: Iterable[Any],
        objective: Objective,
        *,
        world: World | None = None,
        axis: int | None = None,
        weight: Callable[[Any], float] = examples,
        validation: Iterable[Any] | None = None,
        evaluate: Callable[[Any], float] | None = None,
        folder: Path | None = None,
        description: Any = None,
        report: Report | None = None,
        **options: Any,
    ) -> None:
        self.world = world = this_world() if world is None else world
        self.weight = weight
        self._signal = _Agreed()
        with world:
            if validation is not None:
                validation = share(validation, world, axis)
            super().__init__(
                model,
                optimizer,
                share(batches, world, axis),
                objective,
                validation=validation,
                evaluate=evaluate,
                folder=folder,
                description=description,
                report=report if world.leads else _Silent(),
                **options,
            )
            self.parallel = DataParallel(model, world)
            for generator in self.generators:
                generator.bit_generator.state = world.spread(generator.bit_generator.state)
            if world.size == 1:
                return
            self._same_data()
            if folder is not None:
                self.folder = (_Keeper if world.leads else _Onlooker)(folder, description, world)
            if validation is not None:
                self.evaluate = lambda model: self._mean(*summed_loss(model, objective, validation))
            elif evaluate is not None:
                self.evaluate = lambda model: world.spread(evaluate(model), "the result of the evaluation")

    def fit(self, *, steps: int | None = None, epochs: int | None = None) -> Outcome:
        """As Trainer.fit, on every rank. A signal to any rank interrupts all, after the step at hand."""
        with self.world:
            return super().fit(steps=steps, epochs=epochs)

    def save(self) -> None:
        """As Trainer.save, to be called on every rank: rank 0 writes. Raises DistributedError if the weights differ."""
        if self.folder is None or self.world.size == 1:
            return super().save()
        self.parallel.check()
        own, self._carried = self._carried, carried_by_one(self._carried, self.world)
        try:
            super().save()
        finally:
            self._carried = own

    def resume(self) -> None:
        """As Trainer.resume, on every rank; rank 0 reads, and the run may have had another number of ranks."""
        with self.world:
            super().resume()
            self._carried = carried_by_all(self._carried, self.world)

    def _differentiate(self, batch: Any) -> tuple[Tensor, Any]:
        if self.world.size == 1:
            return super()._differentiate(batch)
        self.optimizer.zero_grad()
        carried = self._carried
        before = [generator.bit_generator.state for generator in self.generators]
        weight = self.weight(batch)
        if weight:
            self._diverge()
            started = [generator.bit_generator.state for generator in self.generators]
            loss, carried = apply_objective(self.objective, self.model, batch, carried)
            value = float(loss.item())
            if math.isfinite(value):
                self.parallel.backward(loss, weight)
            else:
                self.parallel.note(value, weight)  # all ranks will see it, and raise alike
            drew = started != [generator.bit_generator.state for generator in self.generators]
        else:
            drew = False
        value = self.parallel.exchange(raised=self._signal.noticed, drew=drew)
        self._signal.agreed = self.parallel.raised > 0
        self._converge(before, self.parallel.drew)
        try:
            self._refuse(value)
        except TinygradError as error:
            raise self.world.known_to_all(error) from None
        self._clip()
        return make(np.asarray(value)), carried

    def _same_data(self) -> None:
        """Raise DistributedError, on every rank, if the batches say that they are of other data than on rank 0."""
        for rank, place in enumerate(
            places := self.world.collect(repr(self.feed.state_dict()), "the comparison of data")
        ):
            if place != places[0]:
                do = "Give every rank the same batches; each takes its rows of them."
                text = explain(
                    f"rank {rank}, data", expected=f"{places[0]:.300} as on rank 0", got=f"{place:.300}", do=do
                )
                raise self.world.known_to_all(DistributedError(text))

    def _diverge(self) -> None:
        """Let what is drawn in this step differ from rank to rank, but not the states that follow from it."""
        for generator in self.generators:
            advance = getattr(generator.bit_generator, "advance", None)
            if advance is not None and self.world.rank:
                advance(self.world.rank << 64)

    def _converge(self, states: list[Any], drew: bool) -> None:
        """The same states on all ranks again: those before the step, moved on if any rank drew in it."""
        for generator, state in zip(self.generators, states, strict=True):
            generator.bit_generator.state = state
            advance = getattr(generator.bit_generator, "advance", None)
            if drew and advance is not None:
                advance(1 << 40)

    def _mean(self, total: float, weight: float) -> float:
        sums = np.array([total, weight])
        self.world.total(sums, "the sum of validation losses")
        return float(sums[0] / sums[1]) if sums[1] else math.nan

    def _interruption(self) -> Interruption:
        if self.world.size == 1:
            return super()._interruption()
        self._signal = _Agreed()
        return self._signal

    def _tell(self, ended: Ended, cause: str | None) -> None:
        super()._tell(ended, cause or "a signal to another rank")


class _Silent(Quiet):
    """The report of the ranks that do not lead."""

    def say(self, text: str) -> None:
        """Nothing."""


class _Agreed(Interruption):
    """A signal that counts once all ranks know of it, so that all stop after the same step."""

    agreed = False

    @property
    def noticed(self) -> bool:
        """Whether this rank has had one."""
        return self.cause is not None

    def __bool__(self) -> bool:
        return self.agreed


class _Keeper(RunFolder):
    """The folder on rank 0, which lets the others know what it reads."""

    def __init__(self, path: Path, description: Any, world: World) -> None:
        super().__init__(path, description)
        self.world = world

    def load_last(self) -> Held:
        """Read, and spread what was read, or the error."""
        try:
            held = super().load_last()
        except TinygradError as error:
            self.world.spread(error, "the checkpoint")
            raise self.world.known_to_all(error) from None
        return self.world.spread(held, "the checkpoint")


class _Onlooker(_Keeper):
    """The folder on the other ranks, which write nothing: it may be on another machine."""

    def claim(self, *, overwrite: bool) -> None:
        """Nothing."""

    def save_last(self, weights: Any, run: Any) -> None:
        """Nothing."""

    def save_best(self, weights: Any, **figures: Any) -> None:
        """Nothing."""

    def load_last(self) -> Held:
        """What rank 0 has read. Raises what it has raised."""
        found = self.world.spread(None, "the checkpoint")
        if isinstance(found, TinygradError):
            raise self.world.known_to_all(found)
        return found

    def rewind(self, step: int) -> None:
        """Nothing."""

    def note(self, figures: dict[str, Any]) -> None:
        """Nothing."""
