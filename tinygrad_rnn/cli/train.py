"""`train`: a language model on a text, in a folder from which the run can be resumed."""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import asdict, fields, replace
from typing import Any

from .arguments import Commands, command
from .config import CHECKS, CHOICES, Settings, read, settle, write
from .console import OK, Console, MissingExtraError, RefusedError, report_for

__all__ = ["add"]

CONFIG = "config.toml"
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
    from ..language import LanguageModel, load, objective
    from ..train import Ended, ParallelTrainer

    words = settings.unit == "words"
    pieces = TextPieces(settings.text, encoding=settings.encoding, words=words) if settings.text else [embedded_text()]
    text = SharedText(pieces, words=words, ranks=here)
    manual_seed(settings.seed)
    if options.resume:
        vocabulary = here.spread(load(os.path.join(options.out, "last.safetensors")).vocabulary if here.leads else None)
    else:
        vocabulary = text.vocabulary(size=settings.vocabulary)
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
        report=report_for(console),
        resume_hint=f"Go on with: tinygrad-rnn train --resume --out {options.out}",
        overwrite=options.overwrite,
    )
    if options.resume:
        trainer.resume()
    elif not options.overwrite and here.leads:
        _refuse_used(options.out)
    weights = sum(p.numel() for p in model.parameters())
    what = settings.text or "the Python language reference"
    console.say(f"{len(stream):,} {settings.unit} of {what}, {len(vocabulary):,} different")
    console.say(f"{settings.model}, {weights:,} weights; kept in {options.out}")
    if here.size > 1:
        console.say(f"{here.size} ranks, {settings.batch / here.size:.3g} tracks each")
    if here.leads:
        _keep(options.out, settings)
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
        return settle(options.config, given)
    kept = Settings(**read(os.path.join(options.out, CONFIG)))
    changed = [name for name, value in given.items() if name not in ("steps", "text") and value != getattr(kept, name)]
    if changed or options.config or options.overwrite:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in changed) or "--config or --overwrite"
        raise RefusedError(
            f"train --resume: expected the settings that {options.out} began with, got another {names}. "
            "Leave it out, or start a new run in another --out."
        )
    return replace(kept, **given)


def _refuse_used(folder: str) -> None:
    if any(os.path.lexists(os.path.join(folder, name)) for name in ("last.safetensors", "best.safetensors")):
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
