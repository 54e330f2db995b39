"""A model of the library's own layers. Golden files hold its line numbers: move lines only to overwrite them."""

import tinygrad_rnn as tg
from tests.viz.networks import Maker


class Sequenced(tg.nn.Module):
    """A recurrent layer of the library and a linear head."""

    def __init__(self, cell, **options):
        super().__init__()
        self.rnn = cell(3, 4, **options)
        self.head = tg.nn.Linear(4 * (2 if options.get("bidirectional") else 1), 5)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.head(y)


def library(cell, T=5, **options):
    """A module of `nn` and its sample input."""
    make, module = Maker(0), Sequenced(cell, **options)
    for parameter in module.parameters():
        tg.nn.init.uniform_(parameter, -0.3, 0.3, generator=make.rng)
    return module, make.data(T, 2, 3)
