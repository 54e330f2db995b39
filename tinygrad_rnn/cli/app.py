"""`app`: the dashboard, in the browser."""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

from .arguments import Commands, at_least, command
from .console import INTERRUPTED, OK, Console, MissingExtraError, RefusedError
from .threads import VARIABLES, chosen

__all__ = ["add"]

_EXAMPLES = """
app                           opens http://127.0.0.1:8501
app --port 8600 --no-browser
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "app", run, "open the dashboard in a browser, on this machine only", _EXAMPLES)
    parser.add_argument("--port", type=at_least(1), default=8501, help="default: 8501")
    parser.add_argument("--no-browser", action="store_true", help="open no window; print the address")


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; returns the exit code."""
    console = Console(options)
    missing = [name for name in ("streamlit", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"the dashboard ({' and '.join(missing)})", "app")
    _refuse_taken(options.port)
    page = Path(__file__).resolve().parent.parent / "dashboard" / "page.py"
    console.result(f"The dashboard: http://127.0.0.1:{options.port}  (Ctrl-C ends it)", port=options.port)
    flags = {
        "server.address": "127.0.0.1", "server.port": options.port, "browser.gatherUsageStats": "false",
        "server.fileWatcherType": "none",
        "server.showEmailPrompt": "false",  # it would wait for an address, unseen, on the first run of all
        "server.maxUploadSize": 5,
        "client.toolbarMode": "minimal",
        "server.headless": "true" if options.no_browser else "false",
    }  # fmt: skip
    words = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
    # The server is a process of its own, and must find the package that is running here.
    paths = [str(page.parent.parent.parent), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(page), *words],
        stdout=subprocess.DEVNULL,
        # One BLAS thread, unless the user chose: the products are small, and two sessions must not fight for cores.
        env={
            **({} if chosen() else dict.fromkeys(VARIABLES, "1")),
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        },
    )
    try:
        return OK if process.wait() == 0 else process.returncode
    except KeyboardInterrupt:
        console.say("The dashboard has ended. Start it again with: tinygrad-rnn app")
        return INTERRUPTED
    finally:
        # Ctrl-C in a terminal has reached the server as well; a signal to this process alone has not.
        process.terminate()
        process.wait()


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server, which may follow another closely
        try:
            probe.bind(("127.0.0.1", port))
        except OverflowError as error:
            raise RefusedError(f"--port {port}: expected a number from 1 to 65535.") from error
        except OSError as error:
            raise RefusedError(
                f"--port {port}: expected a free port, got: {error.strerror}. Is the dashboard running already? "
                "If not, choose another one."
            ) from error
