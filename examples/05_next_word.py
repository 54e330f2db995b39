"""The next word, in lists and `math` alone, and its twin on recorded graphs: two programs with nothing in common but
the mathematics.

    python examples/05_next_word.py [--epochs 300]

Prints:
    parameter  shape   verdict  max abs  max rel  cosine    differences
    Wx         [8, 6]  exact    1.7e-16  3.2e-16  1.000000  8.3e-12
    Wh         [8, 8]  exact    5.6e-17  3.2e-16  1.000000  4.2e-11
    Wy         [6, 8]  exact    1.1e-16  2.7e-16  1.000000  1.8e-11
    bh         [8]     exact    2.8e-16  4.1e-16  1.000000  6.3e-12
    by         [6]     exact    1.1e-16  1.9e-16  1.000000  1.2e-11
    All sides agree to 4e-10.
    loss per word 1.8832 -> 0.0027; in the end the two sides differ by 8.9e-16
    lists 'hello how are' -> 'how are you'
    twin  'hello how are' -> 'how are you'
    lists 'how are you' -> 'are you doing'
    twin  'how are you' -> 'are you doing'
    lists 'are you doing' -> 'you doing well'
    twin  'are you doing' -> 'you doing well'
"""

import argparse

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import models
from tinygrad_rnn.compare import compare_gradients
from tinygrad_rnn.manual import nextword


def as_lists(params):
    return {name: np.asarray(value).tolist() for name, value in params.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--epochs", type=int, default=300)
    options = parser.parse_args(argv)
    if options.epochs < 1:
        parser.error(f"--epochs: expected at least 1, got {options.epochs}")

    word_to_ix = nextword.build_vocabulary(nextword.SENTENCES)
    encoded = [[word_to_ix[word] for word in sentence.split()] for sentence in nextword.SENTENCES]
    start = nextword.initialize_parameters(len(word_to_ix))
    twin = models.NextWord.from_manual(start)
    words, targets = encoded[0][:-1], encoded[0][1:]
    arrays = {name: np.array(value) for name, value in start.items()}
    by_lists = nextword.loss_and_gradients(start, words, targets)[1]
    print(compare_gradients(twin.loss_fn(words, targets), arrays, {name: np.array(g) for name, g in by_lists.items()}))

    params, _, losses = nextword.train(epochs=options.epochs)
    sgd = tg.optim.SGD([p for p in twin.parameters() if p.requires_grad], lr=0.1)
    for _ in range(options.epochs):
        for sentence in encoded:
            sgd.zero_grad()
            twin.loss(sentence[:-1], sentence[1:]).backward()
            sgd.step()
    own = twin.manual_parameters()
    apart = max(np.abs(own[name] - np.array(params[name])).max() for name in own)
    print(f"loss per word {losses[0]:.4f} -> {losses[-1]:.4f}; in the end the two sides differ by {apart:.1e}")
    for sentence in nextword.SENTENCES:
        text = sentence.rsplit(" ", 1)[0]
        for side, parameters in (("lists", params), ("twin", as_lists(own))):
            print(f"{side:5} {text!r} -> {' '.join(nextword.predict(parameters, word_to_ix, text))!r}")


if __name__ == "__main__":
    main()
