"""`tinygrad-rnn`: the parser, and what becomes of every exception."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import TinygradError, explain
from ..files import advice
from . import app, bench, compare, completion, doctor, draw, export, forecast, info, sample, train
from .console import INTERRUPTED, MISSING, NO_READER, REFUSED, MissingExtraError, visible
from .threads import one_thread

__all__ = ["main", "parser"]

_EPILOG = """
examples:
  tinygrad-rnn train                           learn to write like the Python language reference
  tinygrad-rnn sample run --prompt "The "      let it write
  tinygrad-rnn draw lstm --out lstm.html       unroll an LSTM, to explore in a browser
  tinygrad-rnn doctor --break 'gradient transposed'

exit codes: 0 done, 1 a check did not pass, 2 cannot be done as asked, 3 something must be installed, 130 Ctrl-C.
NO_COLOR=1 switches colours off; output that is piped has none. OMP_NUM_THREADS=4 gives BLAS more than one thread.
Help on a command: tinygrad-rnn COMMAND --help
"""


# The package tells which of its arguments to pass; the commands that read files have a flag for each.
_ARGUMENT = re.compile(r"\b(encoding|delimiter|decimal)='([^']*)'")


def parser() -> argparse.ArgumentParser:
    """All commands and flags."""
    top = argparse.ArgumentParser(
        prog="tinygrad-rnn",
        description="Train, draw, check and time recurrent networks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"tinygrad_rnn {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (train, sample, forecast, draw, compare, doctor, bench, export, app, info, completion):
        module.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. arguments: without the program's name; those of the process unless given.

    Returns the exit code. Mistakes of the user end in one sentence on standard error, never in a traceback.
    """
    try:
        options = parser().parse_args(arguments)
    except SystemExit as stop:  # after --help, --version, or a sentence about a flag
        return int(stop.code or 0)
    try:
        with one_thread():
            code = options.run(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has what it wanted. Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER
    except MissingExtraError as error:
        return _fail(str(error), MISSING)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("tinygrad_rnn", "viz"):
            raise
        return _fail(f"{error}. `tinygrad-rnn info` shows what to install.", MISSING)
    except TinygradError as error:
        return _fail(_ARGUMENT.sub(_as_flag, str(error)), REFUSED)
    except OSError as error:
        got, do = advice(error)
        return _fail(explain(str(error.filename), got=got, do=do) if error.filename else str(error), REFUSED)
    except MemoryError as error:
        return _fail(f"not enough memory: {error}. Choose smaller sizes.", REFUSED)


def _as_flag(argument: re.Match[str]) -> str:
    name, value = argument.groups()
    plain = value.replace("-", "").isalnum()
    return f"--{name} {value}" if plain else f"--{name} '{value}'"


def _fail(text: str, code: int) -> int:
    print(f"tinygrad-rnn: {visible(text)}", file=sys.stderr)
    return code
