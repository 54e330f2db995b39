"""`export`: a trained model as ONNX, or its bare weights as safetensors."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
from typing import Any

from .arguments import Commands, at_least, command
from .console import OK, Console, MissingExtraError, RefusedError

__all__ = ["add"]

_EXAMPLES = """
export run --out model.onnx             for ONNX Runtime, of 40 steps
export run --out weights.safetensors    for PyTorch: safetensors.torch.load_file
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "export", run, "write a trained model for other programs", _EXAMPLES)
    parser.add_argument("path", nargs="?", default="run", help="folder or file that `train` wrote (default: run)")
    parser.add_argument("--out", default="model.onnx", help=".onnx or .safetensors (default: model.onnx)")
    parser.add_argument("--time", type=at_least(1), default=40, help="steps of the ONNX graph (default: 40)")
    parser.add_argument("--batch", type=at_least(1), default=1, help="sequences of the ONNX graph (default: 1)")


def run(options: argparse.Namespace) -> int:
    """Export; returns the exit code."""
    console = Console(options)
    suffix = os.path.splitext(options.out)[1].lower()
    if suffix not in (".onnx", ".safetensors"):
        raise RefusedError(f"--out {options.out}: expected a name that ends in .onnx or .safetensors.")
    exporter = _exporter() if suffix == ".onnx" else None
    from .. import checkpoint
    from ..language import load

    model = load(options.path)
    if exporter is None:
        checkpoint.save(options.out, model.state_dict(), description={"model": model.describe()})
    else:
        import numpy as np

        from .. import from_numpy

        exporter(model, (from_numpy(np.zeros((options.time, options.batch), np.int64)),), options.out)
    size = os.path.getsize(options.out)
    console.result(f"Wrote {options.out}, {size:,} bytes.", out=options.out, bytes=size)
    return OK


def _exporter() -> Any:
    """`export(model, args, path)`. Raises MissingExtraError without onnx, RefusedError in a release without it."""
    if importlib.util.find_spec("tinygrad_rnn.export") is None:
        raise RefusedError("export: this release writes no ONNX yet. Write the weights: --out weights.safetensors")
    if importlib.util.find_spec("onnx") is None:
        raise MissingExtraError("export to ONNX", "onnx")
    return importlib.import_module("tinygrad_rnn.export").export
