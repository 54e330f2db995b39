"""What scripts ask of the machinery below them, and set: `cudnn` takes any flag and does nothing, `mps` is not there.

Source: PyTorch, `torch.backends`.
"""

from __future__ import annotations

from types import SimpleNamespace

__all__ = ["cudnn", "mps"]

cudnn = SimpleNamespace(enabled=False, deterministic=True, benchmark=False, is_available=lambda: False)
mps = SimpleNamespace(is_available=lambda: False, is_built=lambda: False)
