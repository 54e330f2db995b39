"""Trees of arrays: what goes out comes back with the same types, through JSON and a checkpoint file."""

import json
import math
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn import checkpoint
from tinygrad_rnn.errors import CheckpointError
from tinygrad_rnn.trees import gather, plant


class Leaf:
    """Stands in for a Tensor: an array behind `detach().numpy()`."""

    def __init__(self, array):
        self.array = array

    def detach(self):
        return self

    def numpy(self):
        return self.array


def same(one, two):
    """Equality of values and of types, NaN equal to itself, all the way down."""
    if type(one) is not type(two):
        return False
    if isinstance(one, Leaf):
        return same(one.array, two.array)
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
    if isinstance(one, dict):
        return len(one) == len(two) and all(same(a, b) and same(one[a], two[b]) for a, b in zip(one, two, strict=True))
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two or (one != one and two != two)


keys = st.one_of(st.text(max_size=3), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False))
arrays = st.builds(
    lambda shape, dtype: np.arange(math.prod(shape)).reshape(shape).astype(dtype),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    st.sampled_from(["float32", "float64", "int64", "bool"]),
)
tips = st.one_of(keys, st.just(math.nan), arrays, arrays.map(Leaf), st.sampled_from([np.float32(0.1), np.int64(3)]))
trees = st.recursive(
    tips,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(inner, max_size=3).map(tuple), st.dictionaries(keys, inner, max_size=4)
    ),
)


@given(trees)
def test_trees_come_back(tree):
    outline, held = gather(tree, root="r")
    stored = checkpoint.unpack(checkpoint.pack(held, description=outline))
    assert same(plant(stored.description, stored.arrays, tensor=Leaf), tree)


def test_names_of_arrays_tell_their_place():
    state = {"state": {0: {"exp_avg": np.zeros(2)}}, "list": [1, (np.ones(1),)]}
    assert list(gather(state, root="optimizer")[1]) == ["optimizer/state/0/exp_avg", "optimizer/list/1/0"]
    assert list(gather({"a/b": np.zeros(1), "a": {"b": np.ones(1)}})[1]) == ["a/b", "a/b'"]


def test_a_user_dict_may_look_like_ours():
    tree = {"?": "array", "at": "nowhere", "deeper": {"?": "tuple"}}
    assert plant(json.loads(json.dumps(gather(tree)[0])), {}) == tree


def test_ordered_dicts_keep_their_order():
    outline, held = gather(OrderedDict(b=1, a=2))
    stored = checkpoint.unpack(checkpoint.pack(held, description=outline))
    assert list(plant(stored.description, stored.arrays)) == ["b", "a"]


def nested(depth):
    tree = []
    for _ in range(depth):
        tree = [tree]
    return tree


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (
            {"a": [1, {2}]},
            "r/a/1: expected numbers, text, arrays, and dicts, lists and tuples of them, got builtins.set",
        ),
        ({"a": Leaf}, "r/a: expected numbers, .*, got builtins.type"),
        ({(1, 2): 3}, r"r: expected plain keys, got tuple \(1, 2\). Use strings or numbers"),
        (nested(100_000), "r: expected a tree, got one nested too deeply"),
    ],
)
def test_what_is_no_tree(tree, text):
    with pytest.raises(CheckpointError, match=text):
        gather(tree, root="r")


@pytest.mark.parametrize(
    "outline",
    [{"?": "array", "at": "gone"}, {"?": "array"}, {"?": "tuple"}, {"?": "eval", "of": "1"}, {"?": "dict", "of": [1]}]
    + [{"?": "dict", "of": [[[], 1]]}, {"?": "array", "at": []}, nested(100_000), {"?": []}],
    ids=lambda outline: str(outline)[:30] if isinstance(outline, dict) else "deep",
)
def test_outlines_that_do_not_fit(outline):
    with pytest.raises(CheckpointError, match="outline: expected one that fits the arrays, got"):
        plant(outline, {"a": np.zeros(1)})
