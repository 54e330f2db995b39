"""Exports to ONNX under PyTorch's name: `tinygrad_rnn.onnx.export(model, args, path)`."""

from .export import export, to_onnx

__all__ = ["export", "to_onnx"]
