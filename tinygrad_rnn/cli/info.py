"""`info`: what is installed here, and what to install for what is missing."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
from typing import Any

from .arguments import Commands, command
from .console import OK, Console
from .threads import chosen

__all__ = ["add"]

EXTRAS = {
    "plot": (("matplotlib",), "figures"),
    "onnx": (("onnx", "onnxruntime"), "export to ONNX"),
    "app": (("streamlit", "matplotlib"), "the dashboard"),
    "picture": (("vl-convert-python",), "drawings as PNG and PDF"),
    "notebook": (("nbclient", "nbformat", "ipykernel"), "running the notebooks"),
    "mpi": (("mpi4py",), "training in several processes"),
    "test": (("pytest", "hypothesis"), "the tests"),
}
"""Extra -> the packages that show whether it is here, and what it is for."""


def add(commands: Commands) -> None:
    """Add the command."""
    command(commands, "info", run, "versions, BLAS, threads, and which extras are here", "info\ninfo --json")


def run(options: argparse.Namespace) -> int:
    """Tell; returns the exit code."""
    import numpy as np

    from .. import __version__

    blas = _blas(np)
    threads = chosen()
    needed = {name: _version(name) for name in ("numpy", "graphviz", "safetensors", "rich", "threadpoolctl")}
    extras = {extra: {name: _version(name) for name in names} for extra, (names, _) in EXTRAS.items()}
    lines = [
        f"tinygrad_rnn   {__version__}",
        f"Python         {platform.python_version()}, {sys.executable}",
        f"machine        {platform.machine()}, {os.cpu_count()} processors, {platform.system()}",
        f"BLAS           {blas}",
        "threads        "
        + (", ".join(f"{k}={v}" for k, v in threads.items()) or "one in commands; OMP_NUM_THREADS=4 for more"),
        "",
        *(f"{name:14} {version or 'missing'}" for name, version in needed.items()),
        "",
    ]
    for extra, versions in extras.items():
        present = all(versions.values())
        shown = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        text = shown if present else f"not here; for {EXTRAS[extra][1]}: pip install 'tinygrad_rnn[{extra}]'"
        lines.append(f"extra {extra:8} {text}")
    Console(options).result(
        "\n".join(lines), version=__version__, python=platform.python_version(), machine=platform.machine(),
        processors=os.cpu_count(), blas=blas, threads=threads, required=needed, extras=extras,
    )  # fmt: skip
    return OK


def _blas(np: Any) -> str:
    found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{found['name']} {found['version']}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
