"""What PyTorch's functions and methods mean here, written in the primitives: signatures with `dim` and `keepdim`, its
defaults.

`vocabulary.py` names them. Where PyTorch and NumPy agree there is no function here: the table points at the primitive.
Order of floors inside: common < shaping < indexing < reduction < pointwise.
"""
