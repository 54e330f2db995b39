"""Recurrent layers and cells against PyTorch's, in float64: at least 300 configurations drawn over all options."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tinygrad_rnn.nn as nn
from tinygrad_rnn.nn.utils import rnn as ours_rnn
from tinygrad_rnn.tensor import Tensor

torch = pytest.importorskip("torch")
from tests.nn.parity import compare, twins  # noqa: E402  (needs torch)

pytestmark = pytest.mark.peers


@st.composite
def configurations(draw):
    kind = draw(st.sampled_from(["RNN", "LSTM", "GRU"]))
    hidden = draw(st.integers(1, 5))
    options = {
        "input_size": draw(st.integers(1, 4)),
        "hidden_size": hidden,
        "num_layers": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
    }
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    if kind == "LSTM" and hidden > 1:
        options["proj_size"] = draw(st.integers(0, hidden - 1))
    batch, steps = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    form = draw(st.sampled_from(["batched", "unbatched", "packed", "packed in any order", "lengths"]))
    lengths = draw(st.lists(st.integers(1, steps), min_size=batch, max_size=batch))
    return kind, options, batch, steps, form, lengths, draw(st.booleans()), draw(st.integers(0, 2**16))


def _pack(module, x, lengths, options, in_order):
    pack = module.pack_padded_sequence
    return pack(x, lengths, batch_first=options["batch_first"], enforce_sorted=in_order)


@settings(max_examples=400)
@given(configurations())
@example(("LSTM", {"input_size": 3, "hidden_size": 4, "num_layers": 2, "proj_size": 2, "bidirectional": True,
                   "batch_first": True, "bias": True}, 3, 5, "lengths", [2, 5, 3], True, 1))  # fmt: skip
def test_property_layers_are_those_of_pytorch(configuration):
    kind, options, batch, steps, form, lengths, given_state, seed = configuration
    ours, theirs = twins(kind, seed=seed, **options)
    rng = np.random.default_rng(seed)
    batch_first, features = options["batch_first"], options["input_size"]
    directions = options["num_layers"] * (2 if options["bidirectional"] else 1)
    shape = (
        (steps, features)
        if form == "unbatched"
        else (batch, steps, features)
        if batch_first
        else (steps, batch, features)
    )
    inputs = {"x": rng.normal(size=shape)}
    if given_state:
        middle = () if form == "unbatched" else (batch,)
        inputs["h0"] = rng.normal(size=(directions, *middle, options.get("proj_size") or options["hidden_size"]))
        if kind == "LSTM":
            inputs["c0"] = rng.normal(size=(directions, *middle, options["hidden_size"]))
    if form == "packed":
        lengths = sorted(lengths, reverse=True)

    def state(leaves):
        if not given_state:
            return None
        return (leaves["h0"], leaves["c0"]) if kind == "LSTM" else leaves["h0"]

    def call(layer, leaves):
        if form.startswith("packed"):
            return layer(_pack(ours_rnn, leaves["x"], lengths, options, form == "packed"), state(leaves))
        return layer(leaves["x"], state(leaves), **({"lengths": lengths} if form == "lengths" else {}))

    def call_theirs(layer, leaves):
        if form.startswith("packed"):
            return layer(_pack(torch.nn.utils.rnn, leaves["x"], lengths, options, form == "packed"), state(leaves))
        if form == "lengths":
            packed, last = layer(_pack(torch.nn.utils.rnn, leaves["x"], lengths, options, False), state(leaves))
            padded, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=batch_first, total_length=steps)
            return padded, last
        return layer(leaves["x"], state(leaves))

    compare(ours, theirs, inputs, call, call_theirs, seed)


@settings(max_examples=80)
@given(
    st.sampled_from([("RNNCell", "tanh"), ("RNNCell", "relu"), ("LSTMCell", ""), ("GRUCell", "")]),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_property_cells_are_those_of_pytorch(which, features, hidden, batch, bias, given_state, seed):
    kind, nonlinearity = which
    options = {"input_size": features, "hidden_size": hidden, "bias": bias}
    options |= {"nonlinearity": nonlinearity} if nonlinearity else {}
    ours, theirs = twins(kind, seed=seed, **options)
    rng = np.random.default_rng(seed)
    lead = (batch,) if batch else ()
    inputs = {"x": rng.normal(size=(*lead, features))}
    if given_state:
        inputs |= {name: rng.normal(size=(*lead, hidden)) for name in ("h", "c")[: 2 if kind == "LSTMCell" else 1]}

    def call(cell, leaves):
        if not given_state:
            return cell(leaves["x"])
        state = (leaves["h"], leaves["c"]) if kind == "LSTMCell" else leaves["h"]
        return cell(cell_input := leaves["x"], cell(cell_input, state))  # two steps

    compare(ours, theirs, inputs, call, call, seed)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_layer_is_its_cell_in_a_loop(kind):
    rng = np.random.default_rng(7)
    layer, cell = getattr(nn, kind)(3, 4, generator=rng), getattr(nn, kind + "Cell")(3, 4)
    cell.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.state_dict().items()})
    x = Tensor(rng.normal(size=(6, 2, 3)).astype(np.float32))
    output, _ = layer(x)
    state, steps = None, []
    for t in range(6):
        state = cell(x[t], state)
        steps.append(state[0] if kind == "LSTM" else state)
    np.testing.assert_array_equal(np.stack([s.array for s in steps]), output.array)


@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_packing_and_padding_are_those_of_pytorch(batch_first, enforce_sorted):
    rng = np.random.default_rng(8)
    lengths = [5, 3, 3, 1] if enforce_sorted else [3, 5, 1, 3]
    x = rng.normal(size=(4, 5, 2) if batch_first else (5, 4, 2))
    ours = ours_rnn.pack_padded_sequence(Tensor(x), lengths, batch_first, enforce_sorted)
    theirs = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), lengths, batch_first, enforce_sorted)
    np.testing.assert_array_equal(ours.data.array, theirs.data)
    np.testing.assert_array_equal(ours.batch_sizes.array, theirs.batch_sizes)
    if not enforce_sorted:
        back = ours.unsorted_indices.array
        np.testing.assert_array_equal(ours.sorted_indices.array[back], np.arange(4))
    for total in (None, 8):
        padded, back = ours_rnn.pad_packed_sequence(ours, batch_first, -7.0, total)
        expected, there = torch.nn.utils.rnn.pad_packed_sequence(theirs, batch_first, -7.0, total)
        np.testing.assert_array_equal(padded.array, expected)
        np.testing.assert_array_equal(back.array, there)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_sequences_are_padded_packed_and_taken_apart_as_by_pytorch(batch_first, side):
    rng = np.random.default_rng(9)
    parts = [rng.normal(size=(n, 2)) for n in (2, 4, 1)]
    mine, yours = [Tensor(p) for p in parts], [torch.tensor(p) for p in parts]
    padded = ours_rnn.pad_sequence(mine, batch_first, 0.5, side)
    expected = torch.nn.utils.rnn.pad_sequence(yours, batch_first, 0.5, side)
    np.testing.assert_array_equal(padded.array, expected)
    packed = ours_rnn.pack_sequence(mine, enforce_sorted=False)
    np.testing.assert_array_equal(packed.data.array, torch.nn.utils.rnn.pack_sequence(yours, enforce_sorted=False).data)
    for got, part in zip(ours_rnn.unpack_sequence(packed), parts, strict=True):
        np.testing.assert_array_equal(got.array, part)
    if side == "right":
        for got, part in zip(ours_rnn.unpad_sequence(padded, [2, 4, 1], batch_first), parts, strict=True):
            np.testing.assert_array_equal(got.array, part)
