"""Models as ONNX files. sizes < recording < graph < operators < layers < exporter."""

from .exporter import export, to_onnx

__all__ = ["export", "to_onnx"]
