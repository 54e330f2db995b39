"""Layers without recurrence. linear < embedding, dropout, normalization, activation, container."""

from .activation import (
    ELU,
    GELU,
    GLU,
    SELU,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softmin,
    Softplus,
    Softsign,
    Tanh,
)
from .container import ModuleDict, ModuleList, ParameterList, Sequential
from .dropout import Dropout, Dropout1d, Dropout2d
from .embedding import Embedding
from .linear import Bilinear, Flatten, Identity, Linear, Unflatten
from .normalization import BatchNorm1d, LayerNorm
from .transformer import Transformer
