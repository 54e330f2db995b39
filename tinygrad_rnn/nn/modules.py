"""Modules under PyTorch's longer names: `nn.modules.rnn.LSTM`, `nn.modules.sparse.Embedding` and the like."""

from . import losses as loss
from .layers import activation, container, dropout, linear, normalization, transformer
from .layers import embedding as sparse
from .layers import linear as flatten
from .layers import normalization as batchnorm
from .module import Module
from .module import module as module
from .recurrent import layers as rnn

__all__ = [
    "Module",
    "activation",
    "batchnorm",
    "container",
    "dropout",
    "flatten",
    "linear",
    "loss",
    "module",
    "normalization",
    "rnn",
    "sparse",
    "transformer",
]
