"""One training loop for every model: it evaluates, clips, saves, stops, and goes on bit for bit where it stopped.

Imports what lies beside it, `generators` and clipping. What a run is made of, all of it saved:
the weights, the optimiser, the schedulers, the carried state, the place in the data, every generator, the counters.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rnn.errors import AnomalyError, CheckpointError, explain
from tinygrad_rnn.files import Path
from tinygrad_rnn.generators import default_generator
from tinygrad_rnn.nn.utils import clip_grad_norm_
from tinygrad_rnn.tensor import Tensor
from tinygrad_rnn.train.evaluation import Objective, apply_objective, detached, mean_loss
from tinygrad_rnn.train.feed import Feed, restorer, states
from tinygrad_rnn.train.folder import LAST, RunFolder
from tinygrad_rnn.train.interruption import Interruption
from tinygrad_rnn.train.reports import Progress, Report, suited

__all__ = ["Ended", "Outcome", "Trainer"]


class Ended(Enum):
    """Why `fit` returned."""

    FINISHED = "finished"
    STOPPED_EARLY = "stopped early"
    INTERRUPTED = "interrupted"


class Outcome(NamedTuple):
    """How a run ended: why, after which step and epoch, and the lowest validation loss, NaN if there was none."""

    ended: Ended
    step: int
    epoch: int
    best: float


@dataclass
class _Tally:
    """The counters of a run; losses and norms are those since the last line of metrics."""

    step: int = 0
    epoch: int = 0
    best: float = math.inf
    evaluations_since_best: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)


class Trainer:
    """Train a model on batches, with everything that a long run needs.

    model: a Module. optimizer: over its parameters.
    batches: an iterable that gives an epoch each time it is iterated; `Feed` says how its place is kept.
    objective: `objective(model, batch, state)` -> loss, or (loss, state) to carry a state to the next batch, detached.
    validation: batches to evaluate on, by the same objective; or evaluate: `evaluate(model)` -> float, lower is better.
    folder: where last.safetensors (the whole run), best.safetensors (the weights of the lowest validation loss) and
        metrics.jsonl go; it is made if need be. None saves nothing.
    clip: the largest total norm of the gradients; None leaves them alone.
    closure: let the optimiser evaluate the loss as often as it likes within a step, as LBFGS must.
    step_scheduler, epoch_scheduler, plateau_scheduler: stepped after every step, after every epoch, and with the loss
        of every evaluation.
    evaluate_every, save_every, log_every: in steps; None for once an epoch (log_every: a line of metrics).
    patience: stop after so many evaluations without a new lowest loss.
    generators: all that is drawn from in training, so that a resumed run draws the same; the default one, those
        that batches and validation show as `generator`, and those that the modules of the model hold need not be named.
    description: of the model, whatever JSON can hold; saved, and compared when a run is resumed.
    report: what a person sees; by default a bar on a terminal and lines elsewhere.
    resume_hint: a sentence that tells how to go on, for the message after an interruption.
    overwrite: let a new run replace the one that the folder holds, which is otherwise refused.
    Raises ValueError for options that contradict each other or are out of range.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        batches: Iterable[Any],
        objective: Objective,
        *,
        validation: Iterable[Any] | None = None,
        evaluate: Callable[[Any], float] | None = None,
        folder: Path | None = None,
        clip: float | None = None,
        closure: bool = False,
        step_scheduler: Any = None,
        epoch_scheduler: Any = None,
        plateau_scheduler: Any = None,
        evaluate_every: int | None = None,
        save_every: int | None = None,
        log_every: int | None = 100,
        patience: int | None = None,
        generators: Sequence[np.random.Generator] = (),
        description: Any = None,
        report: Report | None = None,
        resume_hint: str = "To go on, build the same Trainer, then call resume() and fit().",
        overwrite: bool = False,
    ) -> None:
        if validation is not None and evaluate is not None:
            raise ValueError(explain("Trainer", expected="validation or evaluate", got="both"))
        everies = {"evaluate_every": evaluate_every, "save_every": save_every, "log_every": log_every}
        for name, value in (everies | {"patience": patience}).items():
            if value is not None and value < 1:
                raise ValueError(explain(f"Trainer, {name}", expected="at least 1, or None", got=str(value)))
        if clip is not None and not clip > 0:
            raise ValueError(explain("Trainer, clip", expected="a positive norm, or None", got=str(clip)))
        self.model, self.optimizer, self.objective = model, optimizer, objective
        drawn_from = [getattr(source, "generator", None) for source in (batches, validation)]
        drawn_from += [value for module in model.modules() for value in vars(module).values()]
        found = [source for source in drawn_from if isinstance(source, np.random.Generator)]
        every = {id(generator): generator for generator in (default_generator, *generators, *found)}
        self.generators = list(every.values())
        self.feed = Feed(batches, self.generators)
        if validation is not None:
            evaluate = lambda model: mean_loss(model, objective, validation)
        self.evaluate, self.patience = evaluate, patience
        self.evaluate_every, self.save_every, self.log_every = evaluate_every, save_every, log_every
        self.schedulers = {"step": step_scheduler, "epoch": epoch_scheduler, "plateau": plateau_scheduler}
        self.clip, self.closure = clip, closure
        self.folder = None if folder is None else RunFolder(folder, description)
        self.report = suited() if report is None else report
        self.resume_hint, self.overwrite = resume_hint, overwrite
        self._tally = _Tally()
        self._carried: Any = None
        self._saved: tuple[int, int] | None = None  # step and epoch of the last save or resumption
        self._resumed_at: int | None = None
        self._total: int | None = None
        self._began = 0.0
        self._line_began = 0.0, 0  # time and step

    def fit(self, *, steps: int | None = None, epochs: int | None = None) -> Outcome:
        """Train until so many steps or epochs in all are done, whichever comes first, or until stopped.

        Ctrl-C and SIGTERM end it after the step at hand, saved. At least one of steps and epochs must be given.
        Raises AnomalyError if the loss is not finite, before the weights are touched; CheckpointError if the folder
        holds another run, or cannot be written.
        """
        if steps is None and epochs is None:
            raise ValueError(explain("fit", expected="steps or epochs", got="neither", do="Say fit(steps=1000)."))
        at = self._tally
        with self._interruption() as interruption:
            if self.folder is not None and self._saved is None:
                # What cannot be saved shall fail now, and a kill at any time find something to resume.
                self.folder.claim(overwrite=self.overwrite)
                self.save()
            self._total = self._steps_in_all(steps, epochs)
            self._began, self._line_began = time.monotonic() - at.seconds, (time.monotonic(), at.step)
            self.model.train()
            self.report.begin(at.step, self._total)
            try:
                ended = self._loop(steps, epochs, interruption)
                if self._saved != (at.step, at.epoch):
                    self.save()
                self._tell(ended, interruption.cause)
            finally:
                self.report.end()
        return Outcome(ended, at.step, at.epoch, at.best if math.isfinite(at.best) else math.nan)

    def save(self) -> None:
        """Write last.safetensors, from which `resume` goes on; nothing without a folder. Raises CheckpointError."""
        if self.folder is None:
            return
        run = {
            "tally": vars(self._tally),
            "carried": self._carried,
            "optimizer": self.optimizer.state_dict(),
            "schedulers": {name: s.state_dict() for name, s in self.schedulers.items() if s is not None},
            "generators": states(self.generators),
            "feed": self.feed.state_dict(),
        }
        self.folder.save_last(self.model.state_dict(), run)
        self._saved = self._tally.step, self._tally.epoch

    def resume(self) -> None:
        """Take up the run that the folder's last.safetensors holds: `fit` then gives what it would have given unbroken.

        Raises MissingCheckpointError if there is none, CheckpointError or StateDictError if it is of another model, and
        DataError if it was trained on other data.
        """
        if self.folder is None:
            do = "Pass folder=... to save and resume."
            raise ValueError(explain("Trainer", expected="a folder", got="none", do=do))
        where = self.folder.of(LAST)
        weights, run = self.folder.load_last()
        differing = {name for name, s in self.schedulers.items() if s is not None} ^ set(run["schedulers"])
        if differing:
            do = "Pass the schedulers that the run began with."
            got = f"a difference in the {', '.join(sorted(differing))} scheduler"
            raise CheckpointError(explain(where, expected="the same schedulers", got=got, do=do))
        restore_generators = restorer(self.generators, run["generators"], where)
        self.feed.load_state_dict(run["feed"])
        self.model.load_state_dict(weights)
        self.optimizer.load_state_dict(run["optimizer"])
        for name, state in run["schedulers"].items():
            self.schedulers[name].load_state_dict(state)
        self._tally, self._carried = _Tally(**run["tally"]), run["carried"]
        restore_generators()
        self.folder.rewind(self._tally.step)
        self._resumed_at = self._tally.step
        self._saved = self._tally.step, self._tally.epoch

    def _loop(self, steps: int | None, epochs: int | None, interruption: Interruption) -> Ended:
        at = self._tally
        while (epochs is None or at.epoch < epochs) and (steps is None or at.step < steps):
            for batch in self.feed.rest():
                self._train_on(batch)
                if self._due(self.evaluate_every):
                    self._evaluate()
                if self._due(self.save_every):
                    self.save()
                if self._out_of_patience():
                    return Ended.STOPPED_EARLY
                if interruption:
                    return Ended.INTERRUPTED
                if steps is not None and at.step >= steps:
                    return Ended.FINISHED
            self._end_epoch()
            if self._out_of_patience():
                return Ended.STOPPED_EARLY
            if interruption:
                return Ended.INTERRUPTED
        return Ended.FINISHED

    def _train_on(self, batch: Any) -> None:
        at = self._tally
        if self.closure:
            carried = None

            def closure() -> Tensor:
                nonlocal carried
                loss, carried = self._differentiate(batch)
                return loss

            # The loss reported is the one before the step; the state carried on is that of the last try.
            value = float(self.optimizer.step(closure))
        else:
            loss, carried = self._differentiate(batch)
            value = float(loss.item())
            self.optimizer.step()
        if self.schedulers["step"] is not None:
            self.schedulers["step"].step()
        self._carried = detached(carried)
        at.step += 1
        at.losses.append(value)
        at.seconds = time.monotonic() - self._began
        progress = self._progress()
        self.report.step(progress)
        if self._due(self.log_every):
            self._log(progress)

    def _differentiate(self, batch: Any) -> tuple[Tensor, Any]:
        """Loss and state of a batch, and fresh gradients, clipped, in the parameters."""
        self.optimizer.zero_grad()
        loss, carried = apply_objective(self.objective, self.model, batch, self._carried)
        self._refuse(float(loss.item()))
        loss.backward()
        self._clip()
        return loss, carried

    def _refuse(self, loss: float) -> None:
        """Raise AnomalyError if the loss is not finite."""
        if not math.isfinite(loss):
            where = f"training step {self._tally.step + 1}"
            do = "Lower the learning rate or clip gradients (clip=1.0); detect_anomaly() names the op it comes from."
            raise AnomalyError(explain(where, expected="a finite loss", got=str(loss), do=do))

    def _clip(self) -> None:
        if self.clip is not None:
            self._tally.norms.append(float(clip_grad_norm_(self.model.parameters(), self.clip)))

    def _interruption(self) -> Interruption:
        """What notes signals while `fit` runs."""
        return Interruption()

    def _end_epoch(self) -> None:
        self._tally.epoch += 1
        self._carried = None
        if self.schedulers["epoch"] is not None:
            self._step_epoch_scheduler()
        if self.log_every is None and self._tally.losses:
            self._log(self._progress())
        if self.evaluate_every is None:
            self._evaluate()
        if self.save_every is None:
            self.save()

    def _step_epoch_scheduler(self) -> None:
        if self._tally.step != self._resumed_at:
            self.schedulers["epoch"].step()
            return
        # Resumed at the very end of an epoch: schedulers, as PyTorch's, look for a step of the optimiser and see none.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Detected call of `lr_scheduler\.step\(\)` before")
            self.schedulers["epoch"].step()

    def _evaluate(self) -> None:
        if self.evaluate is None:
            return
        at = self._tally
        loss = float(self.evaluate(self.model))
        best = loss < at.best
        if best:
            at.best, at.evaluations_since_best = loss, 0
            if self.folder is not None:
                self.folder.save_best(self.model.state_dict(), step=at.step, validation_loss=loss)
        else:
            at.evaluations_since_best += 1
        if self.schedulers["plateau"] is not None:
            self.schedulers["plateau"].step(loss)
        self.report.evaluated(at.step, loss, best)
        self._note({"step": at.step, "epoch": at.epoch, "validation_loss": loss, "best": best})

    def _progress(self) -> Progress:
        at = self._tally
        began, step = self._line_began
        passed = time.monotonic() - began
        loss = math.fsum(at.losses) / len(at.losses)
        norm = math.fsum(at.norms) / len(at.norms) if at.norms else None
        speed = (at.step - step) / passed if passed > 0 else 0.0
        return Progress(at.step, self._total, at.epoch, loss, float(self.optimizer.param_groups[0]["lr"]), norm, speed)

    def _log(self, progress: Progress) -> None:
        self.report.line(progress)
        figures = {name: value for name, value in progress._asdict().items() if name != "total"}
        self._note({**figures, "seconds": self._tally.seconds})
        self._tally.losses, self._tally.norms = [], []
        self._line_began = time.monotonic(), self._tally.step

    def _note(self, figures: dict[str, Any]) -> None:
        if self.folder is not None:
            self.folder.note(figures)

    def _due(self, every: int | None) -> bool:
        return every is not None and self._tally.step % every == 0

    def _out_of_patience(self) -> bool:
        return self.patience is not None and self._tally.evaluations_since_best >= self.patience

    def _steps_in_all(self, steps: int | None, epochs: int | None) -> int | None:
        """Where the progress bar ends; None if the batches do not know how many they are."""
        known = epochs is not None and hasattr(self.feed.batches, "__len__")
        ends = [
            end for end in (steps, epochs * len(self.feed) if epochs is not None and known else None) if end is not None
        ]
        return min(ends, default=None)

    def _tell(self, ended: Ended, cause: str | None) -> None:
        at = self._tally
        if ended is Ended.STOPPED_EARLY:
            text = (
                f"Stopped early after step {at.step:,}: {at.evaluations_since_best} evaluations without a better loss."
            )
            self.report.say(f"{text} The best was {at.best:.4f}.")
        elif ended is Ended.INTERRUPTED and self.folder is None:
            self.report.say(f"Interrupted by {cause} after step {at.step:,}. Nothing was saved: no folder was given.")
        elif ended is Ended.INTERRUPTED and self.folder is not None:
            saved = f"Saved to {self.folder.of(LAST)}. {self.resume_hint}"
            self.report.say(f"Interrupted by {cause} after step {at.step:,}. {saved}")
