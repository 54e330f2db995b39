"""What a command reads and where it may write, asked before the work is done."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from ..errors import MissingCheckpointError
from .console import MissingExtraError, RefusedError

__all__ = ["check_folder", "check_plot", "load_model", "refuse_replacing", "same_file"]


def check_plot(path: str | None) -> None:
    """Refuse before the work is done what could not be drawn after it."""
    if path is None:
        return
    if os.path.splitext(path)[1].lower() not in (".png", ".svg", ".pdf"):
        raise RefusedError(f"--plot {path}: expected a name that ends in .png, .svg or .pdf.")
    check_folder(path)
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("--plot", "plot")


def check_folder(path: str) -> None:
    """Refuse a path that is a folder, or in one that does not exist."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise RefusedError(f"{path}: there is no folder {folder}. Create it first, or choose another name.")
    if os.path.isdir(path):
        raise RefusedError(f"{path}: expected a file to write, got a folder. Give a name in it.")


def same_file(one: str, other: str) -> bool:
    """Whether two paths lead to one file, through links too, be it there or still to be made."""
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there
        return os.path.realpath(one) == os.path.realpath(other)
    except ValueError:  # a NUL in the path: there is no such file
        return False


def refuse_replacing(flag: str, target: str | None, source: str, what: str = "which is read") -> None:
    """Refuse to write the target of a flag over a file of the user's. what: it is, after "which", for the message."""
    if target is not None and same_file(target, source):
        raise RefusedError(
            f"{flag} {target}: expected another file than {source}, {what} and would be replaced. Choose another name."
        )


def load_model(path: str) -> Any:
    """The model that `train` saved. Raises what `language.load` does; where there is none, it tells how to get one."""
    from ..language import load

    try:
        return load(path)
    except MissingCheckpointError as error:
        raise RefusedError(f"{error} Train a model first with: tinygrad-rnn train") from error
