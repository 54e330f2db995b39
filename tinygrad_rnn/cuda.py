"""What scripts ask of a graphics card before they go on without one: there is none here.

Source: PyTorch, `torch.cuda`, on a machine without one.
"""

from __future__ import annotations

from typing import Any

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "manual_seed_all", "synchronize"]


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing: there is no generator to seed. `tg.manual_seed` seeds the one there is."""


def manual_seed_all(seed: int) -> None:
    """Nothing, likewise."""


def empty_cache() -> None:
    """Nothing: there is no cache."""


def synchronize(device: Any = None) -> None:
    """Nothing: every operation has ended when it returns."""
