"""Vocabularies: round trips, a fixed order, and errors that name the token."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import UNKNOWN, Vocabulary
from tinygrad_rnn.errors import DataError


def test_hello_world():
    letters = Vocabulary.of_characters("hello world")
    assert letters.tokens == tuple(" dehlorw")
    assert len(letters) == 8
    assert "h" in letters
    assert "x" not in letters
    numbers = letters.encode("hello world")
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [3, 2, 4, 4, 5, 0, 7, 5, 6, 4, 1]
    assert letters.decode(numbers) == "hello world"
    assert repr(letters) == "Vocabulary(8 characters, unknown=None)"


@given(st.text(min_size=1))
def test_characters_come_back(text):
    letters = Vocabulary.of_characters(text)
    assert letters.decode(letters.encode(text)) == text
    assert list(letters.tokens) == sorted(set(text))


@given(st.text(min_size=1), st.text(), st.sampled_from([None, UNKNOWN, "a", "\U0010ffff"]))
def test_a_string_is_encoded_as_its_characters_are_one_by_one(known, text, unknown):
    letters = Vocabulary.of_characters(known, unknown=unknown)
    found = []
    for given_as in (text, list(text)):
        try:
            found.append(letters.encode(given_as).tolist())
        except DataError as error:
            found.append(str(error))
    assert found[0] == found[1]


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L"]), min_size=1), min_size=1))
def test_words_come_back(words):
    vocabulary = Vocabulary.of_words(words)
    assert vocabulary.decode(vocabulary.encode(words)) == " ".join(words)


def test_words_by_count_and_then_by_name():
    words = Vocabulary.of_words("b a c b a d b")
    assert words.tokens == (UNKNOWN, "b", "a", "c", "d")
    assert Vocabulary.of_words("b a c b a d b", size=3).tokens == (UNKNOWN, "b", "a")
    assert Vocabulary.of_words("b a c b a d b", min_count=3).tokens == (UNKNOWN, "b")
    assert Vocabulary.of_words("b a b", unknown=None).tokens == ("b", "a")
    assert Vocabulary.of_words("b <unk> b").tokens == (UNKNOWN, "b")
    assert Vocabulary.of_words("b a c", size=1).tokens == (UNKNOWN,)
    assert repr(words) == "Vocabulary(5 words, unknown='<unk>')"


def test_the_order_does_not_depend_on_hashing():
    program = """
from tinygrad_rnn.data import Vocabulary
print(Vocabulary.of_words("d c b a").tokens, Vocabulary.of_characters("dcba").tokens)
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "123"
    }
    assert len(outputs) == 1


def test_unknown_words():
    words = Vocabulary.of_words("a b a", size=2)
    assert words.encode("b a zebra").tolist() == [0, 1, 0]
    assert words.decode(words.encode("b a")) == "<unk> a"
    letters = Vocabulary.of_characters("ab", unknown="?")
    assert letters.tokens == ("?", "a", "b")
    assert letters.decode(letters.encode("abc")) == "ab?"


def test_a_stream_of_words_is_read_once_and_not_kept():
    words = Vocabulary.of_words(iter(["a", "b", "a"]))
    assert words.encode(word for word in ("a", "b", "x")).tolist() == [1, 2, 0]
    assert words.encode([]).shape == (0,)
    assert words.decode([]) == ""


def test_descriptions_bring_a_vocabulary_back():
    for vocabulary in (Vocabulary.of_characters("hé\n\0"), Vocabulary.of_words("a b a")):
        again = Vocabulary.from_description(json.loads(json.dumps(vocabulary.describe())))
        assert again == vocabulary
        assert hash(again) == hash(vocabulary)
        assert again != Vocabulary.of_characters("other")


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: Vocabulary.of_characters(""), "vocabulary: expected at least one token, got none. Give it some text."),
        (lambda: Vocabulary.of_words("", unknown=None), "vocabulary: expected at least one token, got none"),
        (lambda: Vocabulary(["a", "b", "a"]), "vocabulary: expected distinct tokens, got 'a' more than once"),
        (lambda: Vocabulary(["a", 3]), "vocabulary: expected tokens that are strings, got 3"),
        (lambda: Vocabulary.of_words("a", size=0), "vocabulary: expected size of at least 1, got 0"),
        (
            lambda: Vocabulary("ab").encode("abx"),
            r"encode, token 2: expected one of 2 tokens, got 'x'. Build the .*<unk>",
        ),
        (
            lambda: Vocabulary("ab").decode([0, 2]),
            "decode: expected numbers 0 to 1, got 0 to 2. Is this the vocabulary",
        ),
        (lambda: Vocabulary("ab").decode([-1]), "decode: expected numbers 0 to 1, got -1 to -1"),
        (
            lambda: Vocabulary("ab").decode([0.5]),
            r"decode: expected integers of shape \(N,\), got float64 of shape \(1,\)",
        ),
        (
            lambda: Vocabulary("ab").decode(np.zeros((2, 1), int)),
            r"expected integers of shape \(N,\), got int64 of shape",
        ),
        (
            lambda: Vocabulary.from_description(3),
            r"vocabulary description: expected the keys \['separator', .*, got int",
        ),
        (
            lambda: Vocabulary.from_description({"tokens": []}),
            r"vocabulary description: expected the keys .*, got \['tok",
        ),
        (
            lambda: Vocabulary.from_description({"tokens": "ab", "unknown": None, "separator": ""}),
            "vocabulary description, tokens: expected <class 'list'>, got str",
        ),
    ],
)
def test_errors(act, text):
    with pytest.raises(DataError, match=text):
        act()
