"""Helpers around training, under PyTorch's names: `data`."""

from . import data

__all__ = ["data"]
