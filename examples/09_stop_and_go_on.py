"""A run that is stopped and taken up again ends with the same weights, bit for bit, as one that was not.

    python examples/09_stop_and_go_on.py

Prints:
    unbroken: 12 steps
    stopped after 5, resumed, 12 steps
    the weights are the same, bit for bit: True
"""

import argparse
import tempfile

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.data import StreamBatches, Vocabulary
from tinygrad_rnn.language import LanguageModel, objective
from tinygrad_rnn.train import Quiet, Trainer

TEXT = "the cat sat on the mat and the dog sat on the cat. " * 20


def trainer(folder):
    """The same run every time: weights, dropout and data are functions of the seed."""
    tg.manual_seed(0)
    vocabulary = Vocabulary.of_characters(TEXT)
    model = LanguageModel(vocabulary, "gru", hidden=8, layers=2, dropout=0.2)
    batches = StreamBatches(vocabulary.encode(TEXT), batch=4, time=20)
    optimizer = tg.optim.Adam(model.parameters())
    return Trainer(model, optimizer, batches, objective, folder=folder, report=Quiet())


def main(argv=None):
    argparse.ArgumentParser(description=__doc__.partition("\n\n")[0]).parse_args(argv)
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as broken:
        unbroken = trainer(whole)
        print(f"unbroken: {unbroken.fit(steps=12).step} steps")
        trainer(broken).fit(steps=5)
        resumed = trainer(broken)
        resumed.resume()
        print(f"stopped after 5, resumed, {resumed.fit(steps=12).step} steps")
    one, other = (run.model.state_dict() for run in (unbroken, resumed))
    same = all(np.array_equal(one[name].numpy(), other[name].numpy()) for name in one)
    print("the weights are the same, bit for bit:", same)


if __name__ == "__main__":
    main()
