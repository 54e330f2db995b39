"""Rows S3.1 to S3.6 and S3.8 (main, data, rnn and clipping stand apart): the mood of a sentence."""

import numpy as np
import pytest

from tests.manual.oracles import assert_is_gradient, random_shapes, relative
from tinygrad_rnn.manual import sentiment
from tinygrad_rnn.manual.sentiment import build_vocabulary, encode, loss_and_gradients, train
from tinygrad_rnn.manual.sentiment_data import test_data as held_out
from tinygrad_rnn.manual.sentiment_data import train_data

GOOD, BAD = {"good", "great", "lovely"}, {"bad", "awful", "dull"}


def mood(sentence: str) -> bool:
    """Read a sentence by rule: a negation turns the next judgement round, and all judgements must agree."""
    negated, moods = False, set()
    for word in sentence.split():
        negated ^= word in {"not", "never"}
        if word in GOOD | BAD:
            moods.add((word in GOOD) != negated)
            negated = False
    (single,) = moods
    return single


def test_s3_1_the_data_set_is_our_own_with_unseen_test_sentences():
    assert (len(train_data), len(held_out)) == (58, 20)
    assert sum(held_out.values()) == 10
    assert not set(train_data) & set(held_out)
    words = set(build_vocabulary(train_data))
    assert set(build_vocabulary(held_out)) <= words
    assert 15 <= len(words) <= 20
    assert max(len(sentence.split()) for sentence in [*train_data, *held_out]) <= 9


def test_s3_1_labels_follow_from_the_words_with_negation_and_intensifiers():
    both = train_data | held_out
    assert {sentence: mood(sentence) for sentence in both} == both
    for word in ("not", "never", "very", "truly"):
        for data in (train_data, held_out):
            assert {label for sentence, label in data.items() if word in sentence.split()} == {True, False}, word


def test_s3_2_vocabulary_is_sorted_and_words_are_one_hot():
    word_to_ix = build_vocabulary(["b a", "c a"])
    assert word_to_ix == {"a": 0, "b": 1, "c": 2}
    np.testing.assert_array_equal(encode("c a", word_to_ix), [[0, 0, 1], [1, 0, 0]])


def test_s3_3_cell_and_initialisation():
    p = sentiment.initialize_parameters(17, rng=np.random.default_rng(0))
    shapes = {"Wxh": (64, 17), "Whh": (64, 64), "Why": (2, 64), "bh": (64, 1), "by": (2, 1)}
    assert {name: value.shape for name, value in p.items()} == shapes
    assert np.std(p["Whh"]) == pytest.approx(1e-3, rel=0.05)
    assert not p["bh"].any()
    assert not p["by"].any()
    rng = np.random.default_rng(1)
    p = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    x = np.eye(17)[[3, 5]]
    h1 = np.tanh(p["Wxh"] @ x[0][:, None] + p["bh"])
    h2 = np.tanh(p["Wxh"] @ x[1][:, None] + p["Whh"] @ h1 + p["bh"])
    y, states = sentiment.forward(p, x)
    np.testing.assert_allclose(states[2], h2[:, 0], rtol=1e-12)
    np.testing.assert_allclose(y, (p["Why"] @ h2 + p["by"])[:, 0], rtol=1e-12)


def test_s3_4_loss_is_cross_entropy_and_evaluate_averages_it():
    p = sentiment.initialize_parameters(3, 4, rng=np.random.default_rng(0))
    p["by"] = np.array([[1.0], [-1.0]])
    p["Why"] = np.zeros((2, 4))
    likely, unlikely = -np.log(np.exp(1) / (np.exp(1) + np.exp(-1))), -np.log(np.exp(-1) / (np.exp(1) + np.exp(-1)))
    assert loss_and_gradients(p, np.eye(3), 0)[0] == pytest.approx(likely, rel=1e-14)
    loss, accuracy = sentiment.evaluate(p, [(np.eye(3), 0), (np.eye(3), 1), (np.eye(3), 1)])
    assert loss == pytest.approx((likely + 2 * unlikely) / 3, rel=1e-14)
    assert accuracy == pytest.approx(1 / 3)


def test_s3_5_every_gradient_is_the_derivative_at_50_shapes():
    for rng, (T, V, H, C) in random_shapes("TVHC", seed=35):
        shapes = {"Wxh": (H, V), "Whh": (H, H), "Why": (C, H), "bh": (H, 1), "by": (C, 1)}
        p = {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}
        x, label = rng.standard_normal((T, V)), int(rng.integers(C))
        assert_is_gradient(lambda q: loss_and_gradients(q, x, label)[0], p, loss_and_gradients(p, x, label)[1], rng)  # noqa: B023


def test_s3_5_the_published_missing_transpose_spoils_three_of_five():
    rng = np.random.default_rng(0)
    shapes = {"Wxh": (6, 4), "Whh": (6, 6), "Why": (2, 6), "bh": (6, 1), "by": (2, 1)}
    p = {name: 0.7 * rng.standard_normal(shape) for name, shape in shapes.items()}
    x = rng.standard_normal((5, 4))
    y, states = sentiment.forward(p, x)
    dy = np.exp(y) / np.exp(y).sum() - [0, 1]
    right = sentiment.backward(p, x, states, dy)
    published = sentiment.backward(p | {"Whh": p["Whh"].T}, x, states, dy)
    off = {name: relative(published[name], right[name]) for name in right}
    assert max(off["Why"], off["by"]) == 0
    assert min(off["Whh"], off["Wxh"], off["bh"]) > 0.1


def test_s3_5_clipping_is_by_element():
    clipped = sentiment.clip_gradients({"w": np.array([-3.0, 0.5, 1.5])})
    np.testing.assert_array_equal(clipped["w"], [-1.0, 0.5, 1.0])


def test_s3_5_training_steps_along_the_clipped_gradients(monkeypatch):
    steep = {"Wxh": np.full((4, 3), 9.0), "Whh": np.full((4, 4), -0.2)}
    monkeypatch.setattr(sentiment, "backward", lambda *_: steep)
    before = sentiment.initialize_parameters(3, 4, rng=np.random.default_rng(0))
    parameters = {name: value.copy() for name, value in before.items()}
    sentiment._epoch(parameters, [(np.eye(3), 0)], lr=0.5)
    np.testing.assert_allclose(parameters["Wxh"], before["Wxh"] - 0.5, rtol=1e-15)
    np.testing.assert_allclose(parameters["Whh"], before["Whh"] + 0.1, rtol=1e-15)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_s3_6_all_sentences_right_by_epoch_500(seed, capsys):
    trained = train(rng=np.random.default_rng(seed), report_each=250)
    assert trained.history["train_accuracy"][-1] == trained.history["test_accuracy"][-1] == 1.0
    assert {len(curve) for curve in trained.history.values()} == {500}
    assert trained.history["test_loss"][-1] < 0.05 < trained.history["test_loss"][0]
    for sentence, label in (train_data | held_out).items():
        assert sentiment.predict(trained, sentence) == label, sentence
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 250", "Epoch 500"]
    assert lines[-1].endswith("accuracy 1.000")


def test_s3_4_history_starts_with_what_the_first_weights_say():
    """With lr=0 nothing changes: each epoch's curves are the evaluation of the initial weights, for train and test."""
    trained = train(epochs=2, lr=0, report_each=0)
    for split, data in (("train", train_data), ("test", held_out)):
        examples = [(encode(s, trained.word_to_ix), int(label)) for s, label in data.items()]
        loss, accuracy = sentiment.evaluate(trained.parameters, examples)
        assert trained.history[f"{split}_loss"] == pytest.approx([loss, loss], rel=1e-12)
        assert trained.history[f"{split}_accuracy"] == [accuracy, accuracy]


def test_s3_8_main_trains_and_saves_the_curves_it_is_asked_for(monkeypatch):
    saved = []
    monkeypatch.setattr(sentiment, "train", lambda: "trained")
    assert sentiment.main() == "trained"
    trained = sentiment.Trained({}, {}, {"train_loss": [1.0]})
    monkeypatch.setattr(sentiment, "train", lambda: trained)
    monkeypatch.setattr(sentiment.figures, "train_test_curves", lambda *arguments: saved.append(arguments))
    assert sentiment.main("curves.png") is trained
    assert saved == [(trained.history, "curves.png")]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build_vocabulary([]), "at least one word"),
        (lambda: encode("", {"a": 0}), "empty"),
        (lambda: encode("a b", {"a": 0}), "got 'b'. Known: a"),
        (lambda: train(epochs=-1), "at least 0, got -1"),
        (lambda: train({}), "got 0 and 20"),
        (lambda: sentiment.initialize_parameters(0), "vocabulary 0"),
        (lambda: loss_and_gradients(sentiment.initialize_parameters(3), np.eye(3), 2), "label from 0 to 1, got 2"),
        (lambda: loss_and_gradients(sentiment.initialize_parameters(3), np.eye(4), 0), "vocabulary=3"),
    ],
)
def test_bad_input_is_told_so(call, message):
    with pytest.raises(ValueError, match=message):
        call()
