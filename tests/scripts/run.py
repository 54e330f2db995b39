"""Run a training script, PyTorch's own or ours in its place, so that the two can be compared: what a child process
executes.

    python run.py record.json script.py [its arguments]

Every number that the script reads with `item()` goes into record.json. To make both sides start alike, all parameters
of a model are set, at its first call, to numbers that depend on their names alone; what is random while training
(dropout, the order of a loader) is switched off. Which framework it is, the script's own import says.
"""

import ast
import json
import os
import runpy
import sys
import zlib
from pathlib import Path

import numpy as np


def framework(script):
    """The module that a script imports: "torch", or what stands in its place."""
    for node in ast.walk(ast.parse(Path(script).read_text(encoding="utf8"))):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [getattr(node, "module", None) or ""]
        )
        for name in names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            if name.split(".")[0] in ("torch", "tinygrad_rnn"):
                return name.split(".")[0]
    raise SystemExit(f"{script} imports neither torch nor tinygrad_rnn")


def level(torch, record, folder):
    """Take the chance out of a framework, and note what code in `folder` reads."""
    seeded = set()
    call = torch.nn.Module.__call__

    def seeded_call(self, *args, **kwargs):
        if id(self) not in seeded:
            seeded.update(id(module) for module in self.modules())
            for name, p in self.named_parameters():
                values = np.random.default_rng(zlib.crc32(name.encode())).uniform(-0.1, 0.1, tuple(p.shape))
                p.data.copy_(torch.from_numpy(values).to(p.dtype))
        return call(self, *args, **kwargs)

    torch.nn.Module.__call__ = seeded_call
    for name in ("dropout", "dropout1d", "dropout2d"):
        setattr(torch.nn.functional, name, lambda x, *_, **__: x)
    loader = torch.utils.data.DataLoader
    torch.utils.data.DataLoader = lambda data, shuffle=False, **options: loader(data, shuffle=False, **options)
    item = torch.Tensor.item

    def noted_item(self):
        value = item(self)
        if sys._getframe(1).f_code.co_filename.startswith(folder):
            record.append(value)
        return value

    torch.Tensor.item = noted_item


def stand_in_images(torch):
    """A `torchvision` with 28 x 28 images of stripes, whose class is their slope."""
    from types import ModuleType

    def images(*_, train=True, **__):
        rng = np.random.default_rng(train)
        labels = rng.integers(0, 10, 96 if train else 40)
        row, column = np.indices((28, 28))
        stripes = np.sin(row[None] * (labels[:, None, None] + 1) / 5 + column[None] * 0.3)
        pixels = (stripes + rng.normal(size=stripes.shape) * 0.3)[:, None]
        pixels = pixels.astype(np.dtype(str(torch.get_default_dtype()).removeprefix("torch.")))
        return torch.utils.data.TensorDataset(torch.from_numpy(pixels), torch.from_numpy(labels))

    module, module.datasets, module.transforms = (
        ModuleType("torchvision"),
        ModuleType("datasets"),
        ModuleType("transforms"),
    )
    module.datasets.MNIST = images
    for name in ("Compose", "ToTensor", "Normalize"):
        setattr(module.transforms, name, lambda *_, **__: None)
    sys.modules["torchvision"] = module


def main():
    target, script, *arguments = sys.argv[1:]
    if framework(script) == "torch":
        import torch

        torch.set_num_threads(1)
        load = torch.load
        torch.load = lambda f, **options: load(f, **{**options, "weights_only": False})  # an array is a pickle there
    else:
        import tinygrad_rnn as torch
    if os.environ.get("DTYPE") == "float64":
        torch.set_default_dtype(torch.float64)
    record = []
    level(torch, record, os.path.dirname(os.path.abspath(script)))
    stand_in_images(torch)
    sys.argv = [script, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        with open(target, "w", encoding="utf8") as file:
            json.dump(record, file)


if __name__ == "__main__":
    main()
