"""`train`: a language model on a text, in a folder from which the run can be resumed."""

from __future__ import annotations

import argparse
import math
import os
import warnings
from dataclasses import asdict, fields, replace
from typing import Any

from .arguments import Commands, command
from .config import CHECKS, CHOICES, Settings, read, settle, write
from .console import OK, Console, MissingExtraError, RefusedError, report_for
from .paths import load_model, same_file

__all__ = ["add"]

CONFIG = "config.toml"
_WRITTEN = (CONFIG, "last.safetensors", "best.safetensors", "metrics.jsonl", "curves.png")
_HELP = {
    "text": "text file to learn (default: the Python language reference, which ships with the interpreter)",
    "encoding": "of the text file",
    "unit": "what is predicted",
    "vocabulary": "at most so many words, with --unit words",
    "hidden": "units of a layer",
    "layers": "recurrent layers",
    "embedding": "size of a token's vector",
    "dropout": "between layers",
    "batch": "tracks of text side by side",
    "time": "steps that gradients go back",
    "steps": "updates in all",
    "lr": "learning rate of Adam",
    "clip": "largest norm of the gradient",
    "validation": "share of the text, at its end, to measure the loss on; 0 for none",
    "evaluate_every": "steps between two measurements; 0: eight in all",
    "patience": "stop after so many measurements without a better loss; 0: never",
    "seed": "of weights and dropout",
}
_EXAMPLES = """
train                                      an LSTM on the embedded text
train gru --text book.txt --steps 5000     a GRU on a text of yours
train --config run.toml --out runs/big     settings from a file, such as: hidden = 256
train --resume --out runs/big              go on where it stopped
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "train", run, "train an RNN, LSTM or GRU on text", _EXAMPLES)
    parser.epilog = (
        f"{parser.epilog}\n  mpiexec -n 4 tinygrad-rnn train ...                     on four processes or machines"
    )
    # Flags not given are absent from the options, so that a file may decide them.
    parser.add_argument("model", nargs="?", choices=CHOICES["model"], help="default: lstm")
    for field in fields(Settings):
        if field.name != "model":
            default = f" (default: {field.default})" if field.default not in ("", 0) else ""
            parser.add_argument(
                f"--{field.name.replace('_', '-')}",
                type=CHECKS.get(field.name, str),
                choices=CHOICES.get(field.name),
                default=argparse.SUPPRESS,
                metavar=None if field.name in CHOICES else type(field.default).__name__.upper(),
                help=_HELP[field.name] + default,
            )
    parser.add_argument("--config", metavar="TOML", help="file of settings; flags win over it")
    parser.add_argument("--out", default="run", metavar="FOLDER", help="where the run is kept (default: run)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out; --steps may be raised")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in --out")


def run(options: argparse.Namespace) -> int:
    """Train, on all ranks if `mpiexec` started this; returns the exit code."""
    from ..distributed import DistributedError, world

    try:
        here = world()
    except DistributedError as error:
        raise MissingExtraError(text=str(error)) from error
    with here:
        return _run(options, here)


def _run(options: argparse.Namespace, here: Any) -> int:
    console = Console(options)
    console.quiet = console.quiet or not here.leads
    settings = here.spread(_settings(options) if here.leads else None)  # the folder may be on the first machine alone
    # Imported here, so that `--help` and a mistyped flag cost nothing.
    from .. import manual_seed, optim
    from ..data import SharedText, StreamBatches, TextPieces, embedded_text, split
    from ..language import LanguageModel, objective
    from ..train import Ended, ParallelTrainer

    words = settings.unit == "words"
    pieces = TextPieces(settings.text, encoding=settings.encoding, words=words) if settings.text else [embedded_text()]
    text = SharedText(pieces, words=words, ranks=here)
    manual_seed(settings.seed)
    if options.resume:
        last = os.path.join(options.out, "last.safetensors")
        vocabulary = here.spread(load_model(last).vocabulary if here.leads else None)
        _check_tokens(options.out, vocabulary, text.found)
    else:
        vocabulary = text.vocabulary(size=settings.vocabulary)
    _check_length(settings, len(text))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of dropout without effect, which is told below
        model = LanguageModel(
            vocabulary, settings.model, hidden=settings.hidden, layers=settings.layers, embedding=settings.embedding,
            dropout=settings.dropout,
        )  # fmt: skip
    stream, held_out = text.numbers(vocabulary), None
    if settings.validation:
        stream, ending = split(stream, validation=settings.validation)
        tracks = max(1, min(16, len(ending) // 100))
        held_out = StreamBatches(ending, batch=tracks, time=100, ranks=here)
    batches = StreamBatches(stream, batch=settings.batch, time=settings.time, ranks=here)
    report = report_for(console)
    trainer = ParallelTrainer(
        model,
        optim.Adam(model.parameters(), lr=settings.lr),
        batches,
        objective,
        validation=held_out,
        evaluate_every=settings.evaluate_every or max(1, settings.steps // 8),
        log_every=max(1, settings.steps // 20),
        save_every=max(1, min(500, settings.steps // 4)),
        patience=(settings.patience or None) if held_out else None,
        clip=settings.clip,
        folder=options.out,
        description=model.describe(),
        report=report,
        resume_hint=f"Go on with: tinygrad-rnn train --resume --out {options.out}",
        overwrite=options.overwrite,
    )
    if options.resume:
        trainer.resume()
    elif not options.overwrite and here.leads:
        _refuse_used(options.out)
    if here.leads:
        _keep(options.out, settings)
    weights = sum(p.numel() for p in model.parameters())
    what = settings.text or "the Python language reference"
    console.say(f"{len(stream):,} {settings.unit} of {what}, {len(vocabulary):,} different")
    console.say(f"{settings.model}, {weights:,} weights; kept in {options.out}")
    if here.size > 1:
        tracks = settings.batch / here.size
        console.say(f"{here.size} ranks, {tracks:.3g} {'track' if tracks == 1 else 'tracks'} each")
    if here.leads and settings.dropout and settings.layers == 1:
        report.say("Dropout acts between layers: with one layer it changes nothing. --layers 2 has a place for it.")
    outcome = trainer.fit(steps=settings.steps)
    figure = _figure(options.out) if here.leads else ""
    unit = settings.unit[:-1]
    if outcome.ended is not Ended.INTERRUPTED:
        best = "" if math.isnan(outcome.best) else f" {outcome.best / math.log(2):.3f} bits per {unit} held out."
        console.say(f"Done after step {outcome.step:,}.{best}{f' Curves: {figure}.' if figure else ''}")
        console.say(f"Let it write with: tinygrad-rnn sample {options.out}")
    if options.json and here.leads:
        data = {"ended": outcome.ended.value, "step": outcome.step, "epoch": outcome.epoch, "best": outcome.best}
        console.result("", **data, folder=options.out, weights=weights, settings=asdict(settings))
    return 130 if outcome.ended is Ended.INTERRUPTED else OK


def _settings(options: argparse.Namespace) -> Settings:
    found = {field.name: getattr(options, field.name, None) for field in fields(Settings)}
    given: dict[str, Any] = {name: value for name, value in found.items() if value is not None}
    if not options.resume:
        settings = settle(options.config, given)
        if settings.encoding != Settings.encoding and not settings.text:
            do = "Give --text with it, or leave it out: the text that comes with Python needs none."
            raise RefusedError(f"--encoding {settings.encoding}: expected a file that is written so, got none. {do}")
        _refuse_replaced(options, settings)
        return settings
    if not os.path.lexists(os.path.join(options.out, CONFIG)):
        raise RefusedError(
            f"train --resume: expected a run in {options.out}, got no {CONFIG} there. Check --out, or leave --resume "
            "out to begin one."
        )
    kept = Settings(**read(os.path.join(options.out, CONFIG)))
    changed = [name for name, value in given.items() if name not in ("steps", "text") and value != getattr(kept, name)]
    if changed or options.config or options.overwrite:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in changed) or "--config or --overwrite"
        raise RefusedError(
            f"train --resume: expected the settings that {options.out} began with, got another {names}. "
            "Leave it out, or start a new run in another --out."
        )
    kept = replace(kept, **given)
    _refuse_replaced(options, kept)
    return kept


def _refuse_replaced(options: argparse.Namespace, settings: Settings) -> None:
    """Refuse to read what the run would write over: its own files as a text, settings that are not those of a run."""
    text = settings.text and any(same_file(settings.text, os.path.join(options.out, name)) for name in _WRITTEN)
    config = options.config and same_file(options.config, os.path.join(options.out, CONFIG))
    if text or (config and not (options.overwrite and _used(options.out))):
        flag = f"--text {settings.text}" if text else f"--config {options.config}"
        raise RefusedError(
            f"{flag}: expected a file that the run does not write, got one that it would replace. Copy it elsewhere, "
            "or choose another --out."
        )


def _check_length(settings: Settings, count: int) -> None:
    """Refuse a text of too few tokens in the words of the flags; what is made of it would speak of its own parts."""
    what, unit = settings.text or "the text", settings.unit
    held = max(1, round(count * settings.validation)) if settings.validation else 0
    needed = 2 * settings.batch
    if count - held < needed:
        rest = f" beside {held:,} held out" if held else ""
        raise RefusedError(
            f"{what}: expected at least {needed:,} {unit} to learn{rest} with --batch {settings.batch}, got "
            f"{count - held:,}. Give a longer text, or a smaller --batch."
        )
    if held == 1:
        raise RefusedError(
            f"{what}: expected at least 2 {unit} held out with --validation {settings.validation:g}, got 1 of "
            f"{count:,}. Give a longer text, a larger --validation, or --validation 0 for none."
        )


def _check_tokens(folder: str, vocabulary: Any, found: Any) -> None:
    """Refuse to go on with a text that has what the run's model has no number for."""
    foreign = [] if vocabulary.unknown is not None else sorted(set(found) - set(vocabulary.tokens))
    if foreign:
        raise RefusedError(
            f"train --resume: expected the text that {folder} began with, got another, which has {foreign[0]!r}. "
            "Give --text with the path of the first one."
        )


def _used(folder: str) -> bool:
    return any(os.path.lexists(os.path.join(folder, name)) for name in ("last.safetensors", "best.safetensors"))


def _refuse_used(folder: str) -> None:
    if _used(folder):
        raise RefusedError(
            f"{folder} holds a run already. Go on with it: tinygrad-rnn train --resume --out {folder}; or choose "
            "another --out; or replace it with --overwrite."
        )


def _keep(folder: str, settings: Settings) -> None:
    if settings.text:
        settings = replace(settings, text=os.path.abspath(settings.text))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise RefusedError(
            f"{folder}: expected a folder for the run, got: {error.strerror}. Choose another --out."
        ) from error
    write(os.path.join(folder, CONFIG), settings)


def _figure(folder: str) -> str:
    """Draw the curves if matplotlib is there; the path, or nothing."""
    from ..plots import run as draw
    from ..plots import save
    from ..train import read_metrics

    metrics = os.path.join(folder, "metrics.jsonl")
    if not os.path.exists(metrics):
        return ""
    path = os.path.join(folder, "curves.png")
    try:
        save(draw(read_metrics(metrics), "training"), path)
    except ModuleNotFoundError:
        return ""
    return path
