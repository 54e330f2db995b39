"""`export`: a trained model as ONNX, or its bare weights as safetensors."""

from __future__ import annotations

import argparse
import importlib.util
import os

from .arguments import Commands, command
from .console import OK, Console, MissingExtraError, RefusedError
from .paths import check_folder, load_model, refuse_replacing

__all__ = ["add"]

_EXAMPLES = """
export run --out model.onnx             for ONNX Runtime; time and batch may be of any size
export run --out weights.safetensors    for PyTorch: safetensors.torch.load_file
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "export", run, "write a trained model for other programs", _EXAMPLES)
    parser.add_argument("path", nargs="?", default="run", help="folder or file that `train` wrote (default: run)")
    parser.add_argument("--out", default="model.onnx", help=".onnx or .safetensors (default: model.onnx)")


def run(options: argparse.Namespace) -> int:
    """Export; returns the exit code."""
    console = Console(options)
    suffix = os.path.splitext(options.out)[1].lower()
    if suffix not in (".onnx", ".safetensors"):
        raise RefusedError(f"--out {options.out}: expected a name that ends in .onnx or .safetensors.")
    check_folder(options.out)
    _refuse_checkpoints(options.path, options.out)
    if suffix == ".onnx" and importlib.util.find_spec("onnx") is None:
        raise MissingExtraError("export to ONNX", "onnx")
    from .. import checkpoint, zeros
    from ..dtypes import int64

    model = load_model(options.path)
    if suffix == ".onnx":
        from ..export import export

        export(model, (zeros(8, 2, dtype=int64),), options.out)
    else:
        checkpoint.save(options.out, model.state_dict(), description={"model": model.describe()})
    size = os.path.getsize(options.out)
    console.result(f"Wrote {options.out}, {size:,} bytes.", out=options.out, bytes=size)
    return OK


def _refuse_checkpoints(path: str, out: str) -> None:
    """Refuse to write over what is exported, over the checkpoints beside it, and over those of another run."""
    from ..train.folder import BEST, LAST

    refuse_replacing("--out", out, path)
    run = path if os.path.isdir(path) else os.path.dirname(path)
    written = os.path.dirname(os.path.realpath(out))
    for folder in (run, written) if os.path.exists(os.path.join(written, LAST)) else (run,):
        for name in (LAST, BEST):
            refuse_replacing("--out", out, os.path.join(folder, name), "which is a checkpoint of a run")
