"""The settings of a training run: defaults, then a TOML file, then flags; and written back for `--resume`."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..data import read_text
from ..errors import DataError, explain
from ..files import advice, replace
from .arguments import at_least, fraction, positive
from .console import RefusedError

__all__ = ["CHECKS", "Settings", "read", "settle", "write"]


@dataclass(frozen=True)
class Settings:
    """All that decides how a run goes; the help of each flag says what it is."""

    model: str = "lstm"
    text: str = ""
    encoding: str = "utf-8"
    unit: str = "characters"
    vocabulary: int = 10_000
    hidden: int = 128
    layers: int = 1
    embedding: int = 32
    dropout: float = 0.0
    batch: int = 32
    time: int = 40
    steps: int = 1000
    lr: float = 0.003
    clip: float = 5.0
    validation: float = 0.05
    evaluate_every: int = 0
    patience: int = 0
    seed: int = 0


CHECKS: dict[str, Any] = {
    "hidden": at_least(1), "layers": at_least(1), "embedding": at_least(1), "dropout": fraction, "batch": at_least(1),
    "time": at_least(1), "steps": at_least(1), "lr": positive, "clip": positive, "validation": fraction,
    "evaluate_every": at_least(0), "patience": at_least(0), "seed": at_least(0), "vocabulary": at_least(2),
}  # fmt: skip
CHOICES = {"model": ("rnn", "lstm", "gru"), "unit": ("characters", "words")}


def settle(file: str | None, given: dict[str, Any]) -> Settings:
    """Defaults, over them what the TOML file says, over that the flags given. Raises RefusedError or DataError."""
    return Settings(**{**(read(file) if file else {}), **given})


def read(path: str) -> dict[str, Any]:
    """The settings in a TOML file; dashes in names may be underscores.

    Raises DataError if it cannot be read, RefusedError for what is no TOML, unknown names, and values of a wrong kind.
    """
    try:
        found = tomllib.loads(read_text(path))
    except DataError as error:
        if not isinstance(error.__cause__, UnicodeDecodeError):
            raise
        do = "TOML has no other encoding: convert the file."  # there is no flag to pass
        raise RefusedError(explain(path, expected="UTF-8", got=str(error.__cause__), do=do)) from error
    except tomllib.TOMLDecodeError as error:
        raise RefusedError(explain(path, expected="TOML", got=str(error), do="Such as: hidden = 256")) from error
    kinds = {field.name: type(field.default) for field in fields(Settings)}
    checked = {}
    for name, value in found.items():
        key = name.replace("-", "_")
        if key not in kinds:
            do = f"There are {', '.join(kinds)}."
            raise RefusedError(explain(path, expected="names of settings", got=repr(name), do=do))
        checked[key] = _checked(path, key, value, kinds[key])
    return checked


def write(path: str, settings: Settings) -> None:
    """Write the settings as TOML, so that `--resume` and `--config` find them. Raises RefusedError."""
    # A JSON string, and a JSON number, is a TOML one as well.
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in asdict(settings).items())
    try:
        replace(path, text.encode())
    except OSError as error:
        got, do = advice(error)
        raise RefusedError(explain(path, expected="a place to write the settings", got=got, do=do)) from error


def _checked(path: str, name: str, value: Any, kind: type) -> Any:
    where = f"{path}, {name}"
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise RefusedError(explain(where, expected=f"a value of type {kind.__name__}", got=repr(value)))
    if name in CHOICES and value not in CHOICES[name]:
        raise RefusedError(explain(where, expected=f"one of {', '.join(CHOICES[name])}", got=repr(value)))
    if name in CHECKS:
        try:
            return CHECKS[name](str(value))
        except Exception as error:
            raise RefusedError(f"{where}: {error}") from error
    return value
