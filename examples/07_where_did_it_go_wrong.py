"""Errors know the module and the time step: NaN is traced to the op that bore it, a wrong shape to where it met.

    python examples/07_where_did_it_go_wrong.py

Prints:
    without help: the loss is nan
    detect_anomaly names: log at t=3
    a wrong shape names: rnn
"""

import argparse
import re
import warnings

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.errors import AnomalyError


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(3, 4)

    def forward(self, x):
        return self.rnn(x)[0]


def loss_of(x):
    total = 0.0
    for t in range(len(x)):
        with tg.scope(t=t):
            total = total + tg.log(x[t]).sum()
    return total


def main(argv=None):
    argparse.ArgumentParser(description=__doc__.partition("\n\n")[0]).parse_args(argv)
    x = tg.tensor([[1.0], [2.0], [0.5], [-1.0]], requires_grad=True)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print("without help: the loss is", loss_of(x).item())
        try:
            with tg.detect_anomaly():
                loss_of(x).backward()
        except AnomalyError as error:
            print("detect_anomaly names:", re.search(r"log at t=\d", str(error))[0])
    try:
        Model()(tg.rand(5, 1, 2))  # 2 features, where 3 are expected
    except RuntimeError as error:
        print("a wrong shape names:", re.search(r"\brnn\b", str(error))[0])


if __name__ == "__main__":
    main()
