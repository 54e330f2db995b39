"""Optimisers and learning-rate schedules in PyTorch's words: `import tinygrad_rnn.optim as optim`."""

from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD
