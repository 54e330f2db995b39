"""state_dict and load_state_dict: what they complain about, and PyTorch's files in both directions, exactly."""

import numpy as np
import pytest

import tinygrad_rnn as tg
import tinygrad_rnn.nn as nn
from tinygrad_rnn.errors import StateDictError


def test_missing_unexpected_and_misshapen_entries_are_all_listed():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = {
        "0.weight": tg.zeros(3, 2),
        "0.bias": tg.zeros(4),
        "1.weight": tg.zeros(1, 3),
        "2.bias": tg.zeros(1),
        "x": tg.zeros(1),
    }
    with pytest.raises(StateDictError) as caught:
        net.load_state_dict(state)
    assert str(caught.value).split("\n\t") == [
        "Error(s) in loading state_dict for Sequential:",
        'Missing key(s) in state_dict: "1.bias". ',
        'Unexpected key(s) in state_dict: "2.bias", "x". ',
        "size mismatch for 0.bias: copying a param with shape [4] from checkpoint, the shape in current model is [3].",
    ]
    assert isinstance(caught.value, RuntimeError)
    del state["0.bias"]
    keys = net.load_state_dict(state, strict=False)
    assert keys.missing_keys == ["0.bias", "1.bias"]
    assert keys.unexpected_keys == ["2.bias", "x"]
    assert not net[0].weight.array.any()


def test_strict_off_reports_what_did_not_match():
    net = nn.Linear(2, 1)
    keys = net.load_state_dict({"weight": tg.ones(1, 2), "wait": tg.ones(1)}, strict=False)
    assert net.weight.array.all()
    assert repr(keys) == "_IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['wait'])"
    assert repr(net.load_state_dict(net.state_dict())) == "<All keys matched successfully>"


def test_values_are_copied_and_cast_or_taken_over():
    net, source = nn.Linear(2, 1, bias=False), tg.full((1, 2), 0.1, dtype=tg.float64)
    weight = net.weight
    net.load_state_dict({"weight": source})
    source.array[...] = 7
    assert net.weight is weight
    np.testing.assert_array_equal(weight.array, np.float32([[0.1, 0.1]]))
    net.load_state_dict({"weight": source}, assign=True)
    assert net.weight.dtype == np.float64
    assert net.weight.array is source.array
    with pytest.raises(TypeError, match="dict-like"):
        net.load_state_dict([1])
    with pytest.raises(StateDictError, match='parameter named "weight", expected a Tensor or an array'):
        net.load_state_dict({"weight": "text"})


def test_loading_makes_old_graphs_stale():
    net = nn.Linear(1, 1, bias=False)
    loss = (net(net(tg.ones(1, 1)))).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_extra_state_travels_along():
    class Counting(nn.Module):
        count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    one, two = nn.Sequential(Counting()), nn.Sequential(Counting())
    one[0].count = 5
    assert list(one.state_dict()) == ["0._extra_state"]
    two.load_state_dict(one.state_dict())
    assert two[0].count == 5
    with pytest.raises(StateDictError, match=r'Missing key\(s\) in state_dict: "0._extra_state"'):
        two.load_state_dict({})


LAYERS = [
    ("RNN", {"nonlinearity": "relu", "bias": False, "num_layers": 2}),
    ("RNN", {"bidirectional": True}),
    ("LSTM", {"num_layers": 3, "bidirectional": True}),
    ("LSTM", {"proj_size": 2, "bidirectional": True}),
    ("LSTM", {"proj_size": 3, "bias": False, "num_layers": 2}),
    ("GRU", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("GRU", {"bias": False}),
    ("LSTMCell", {}),
    ("GRUCell", {"bias": False}),
    ("RNNCell", {}),
]


@pytest.mark.peers
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kind", "options"), LAYERS, ids=[f"{k}-{'-'.join(o)}" for k, o in LAYERS])
def test_files_go_to_pytorch_and_come_from_it_exactly(kind, options, dtype, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    theirs = getattr(torch.nn, kind)(3, 4, **options, dtype=getattr(torch, dtype.__name__))
    ours = getattr(nn, kind)(3, 4, **options, dtype=dtype)
    assert [(n, tuple(p.shape)) for n, p in theirs.named_parameters()] == [
        (n, p.shape) for n, p in ours.named_parameters()
    ]
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours.load_state_dict(tg.load(tmp_path / "theirs.safetensors"))
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_array_equal(p.array, q.detach().numpy())
    ours.reset_parameters(np.random.default_rng(3))
    tg.save(ours.state_dict(), tmp_path / "ours.safetensors")
    theirs.load_state_dict(load_file(tmp_path / "ours.safetensors"))
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_array_equal(p.array, q.detach().numpy())
