"""Recurrent networks as recorded graphs: reverse-mode autodiff on NumPy, in PyTorch's words."""
