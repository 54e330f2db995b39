"""`save` and `load` in PyTorch's words: states, trees and whole modules come back; nothing unasked is ever made."""

import collections
import subprocess

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import checkpoint, nn, optim, serialization
from tinygrad_rnn.errors import CheckpointError, MissingCheckpointError
from tinygrad_rnn.serialization import load, safe_globals, save


def twice(x):
    return x + x


class WordModel(nn.Module):
    """The shape of pytorch/examples' word model: tied weights, a buffer, plain attributes, a function."""

    def __init__(self, words=11, size=6, raises=False):
        super().__init__()
        assert not raises, "loading must not call the constructor"
        self.drop = nn.Dropout(0.25)
        self.encoder = nn.Embedding(words, size)
        self.rnn = nn.LSTM(size, size, 2, dropout=0.25, bidirectional=False)
        self.decoder = nn.Linear(size, words)
        self.decoder.weight = self.encoder.weight
        self.register_buffer("steps", tg.tensor(3))
        self.register_buffer("mask", tg.ones(2), persistent=False)
        self.norm = nn.BatchNorm1d(3)
        self.again = self.drop
        self.shape, self.kind, self.function = (words, size), np.dtype("float32"), twice
        self.table = {1: [2, None], "scale": np.float32(0.5), "array": np.arange(3), "tensor": tg.arange(2)}
        self.nothing = None

    def forward(self, x):
        y, _ = self.rnn(self.encoder(x))
        return self.function(self.decoder(y))


def model():
    tg.manual_seed(0)
    made = WordModel()
    made.encoder.weight.requires_grad_(False)
    made.drop.eval()
    return made


def test_a_whole_module_comes_back(tmp_path):
    one = model()
    with open(tmp_path / "model.pt", "wb") as file:
        save(one, file)
    with open(tmp_path / "model.pt", "rb") as file, safe_globals([WordModel, twice]):
        two = load(file)
    assert type(two) is WordModel
    assert repr(two) == repr(one)
    assert [name for name, _ in two.named_parameters()] == [name for name, _ in one.named_parameters()]
    assert list(two.state_dict()) == list(one.state_dict())
    for name, tensor in one.state_dict().items():
        np.testing.assert_array_equal(two.state_dict()[name].numpy(), tensor.numpy(), strict=True)
    assert two.decoder.weight is two.encoder.weight
    assert not two.encoder.weight.requires_grad
    assert two.rnn.weight_hh_l0.requires_grad
    assert two.again is two.drop
    assert (two.drop.training, two.rnn.training) == (False, True)
    assert two.mask.tolist() == [1, 1]
    assert (two.shape, two.kind, two.function, two.nothing) == ((11, 6), np.dtype("float32"), twice, None)
    assert two.table[1] == [2, None]
    assert (type(two.table["scale"]), type(two.table["array"]), type(two.table["tensor"])) == (
        np.float32,
        np.ndarray,
        tg.Tensor,
    )
    x = tg.tensor([[1, 2], [3, 4]])
    assert np.array_equal(two.eval()(x).detach().numpy(), one.eval()(x).detach().numpy())


def test_a_loaded_module_trains_on(tmp_path):
    save(model(), tmp_path / "m")
    with safe_globals([WordModel, twice]):
        again = load(tmp_path / "m")
    optimizer = optim.SGD([p for p in again.parameters() if p.requires_grad], lr=0.1)
    before = again.rnn.weight_hh_l1.detach().numpy().copy()
    again(tg.tensor([[1], [2]])).sum().backward()
    optimizer.step()
    assert not np.array_equal(again.rnn.weight_hh_l1.detach().numpy(), before)


@pytest.mark.parametrize(
    "made",
    [
        lambda: nn.Sequential(collections.OrderedDict(one=nn.Linear(2, 3), act=nn.Tanh(), two=nn.GRU(3, 2))),
        lambda: nn.ModuleList([nn.LayerNorm(3), nn.Identity()]),
        lambda: nn.ModuleDict({"b": nn.LSTMCell(2, 3), "a": nn.RNN(2, 3, nonlinearity="relu", bidirectional=True)}),
        lambda: nn.ParameterList([nn.Parameter(tg.zeros(2)), nn.Parameter(tg.ones(1))]),
        lambda: nn.CrossEntropyLoss(weight=tg.ones(3), label_smoothing=0.1),
        lambda: nn.LSTM(2, 4, proj_size=3, bias=False),
    ],
)
def test_modules_of_the_package_need_no_permission(tmp_path, made):
    one = made()
    save(one, tmp_path / "m")
    two = load(tmp_path / "m")
    assert type(two) is type(one)
    assert repr(two) == repr(one)
    assert list(two.state_dict()) == list(one.state_dict())
    for name, tensor in one.state_dict().items():
        np.testing.assert_array_equal(two.state_dict()[name].numpy(), tensor.numpy(), strict=True)


def test_states_and_trees_come_back(tmp_path):
    net = nn.Linear(2, 2)
    optimizer = optim.Adam(net.parameters(), lr=0.25)
    net(tg.ones(1, 2)).sum().backward()
    optimizer.step()
    state = {"epoch": 3, "model": net.state_dict(), "optimizer": optimizer.state_dict(), "losses": [0.5, None]}
    save(state, tmp_path / "s")
    found = load(tmp_path / "s", map_location="cpu", weights_only=True)
    assert (found["epoch"], found["losses"]) == (3, [0.5, None])
    fresh = nn.Linear(2, 2)
    fresh.load_state_dict(found["model"])
    assert np.array_equal(fresh.weight.detach().numpy(), net.weight.detach().numpy())
    again = optim.Adam(fresh.parameters())
    again.load_state_dict(found["optimizer"])
    assert again.param_groups[0]["lr"] == 0.25
    assert str(again.state_dict()) == str(optimizer.state_dict())


def test_arrays_and_single_tensors_come_back(tmp_path):
    save(np.arange(6.0).reshape(2, 3), tmp_path / "a")
    assert load(tmp_path / "a").tolist() == [[0, 1, 2], [3, 4, 5]]
    save(tg.tensor([1.5]), tmp_path / "t")
    assert isinstance(load(tmp_path / "t"), tg.Tensor)


def test_what_is_not_allowed_is_not_made(tmp_path):
    save(model(), tmp_path / "m")
    name = "'tests.test_serialization.WordModel'"
    text = f"m: expected classes and functions that are allowed, got {name}. If you trust it: .*safe_globals.*WordModel"
    with pytest.raises(CheckpointError, match=text):
        load(tmp_path / "m")
    with safe_globals([WordModel]), pytest.raises(CheckpointError, match=r"got 'tests.test_serialization.twice'"):
        load(tmp_path / "m")
    with pytest.raises(CheckpointError, match=text):  # the permission ended with the context
        load(tmp_path / "m")
    with safe_globals([(WordModel, "tests.test_serialization.WordModel"), twice]):
        assert isinstance(load(tmp_path / "m"), WordModel)


@pytest.mark.parametrize("name", ["subprocess.Popen", "os.system", "builtins.eval", "tinygrad_rnn.nn.module.copy.copy"])
def test_hostile_names_are_refused(tmp_path, name):
    checkpoint.save(tmp_path / "m", {}, description={"module": {"class": name}})
    checkpoint.save(tmp_path / "o", {}, description={"object": {"?": "name", "of": name}})
    for file in "mo":
        with pytest.raises(CheckpointError, match=f"expected classes and functions that are allowed, got '{name}'"):
            load(tmp_path / file)


@pytest.mark.parametrize(
    "described",
    [
        {"class": "tinygrad_rnn.nn.layers.linear.Linear"},
        {"same": "nowhere"},
        [],
        {"class": "tinygrad_rnn.nn.functional.layers.linear", "fields": {}},
        {"class": ["x"]},
    ],
    ids=str,
)
def test_descriptions_that_make_no_sense(tmp_path, described):
    checkpoint.save(tmp_path / "m", {}, description={"module": described})
    with pytest.raises(
        CheckpointError, match=r"expected (the description of a module|a Module class|classes and func)"
    ):
        load(tmp_path / "m")


def test_a_class_that_is_no_module_is_not_made(tmp_path):
    checkpoint.save(tmp_path / "m", {}, description={"module": {"class": "subprocess.Popen", "fields": {}}})
    with safe_globals([subprocess.Popen]), pytest.raises(CheckpointError, match=r"expected a Module class, got <class"):
        load(tmp_path / "m")


def test_what_cannot_be_saved(tmp_path):
    class Local(nn.Module):
        pass

    hooked = nn.Linear(1, 1)
    hooked.register_forward_hook(lambda *_: None)
    odd = nn.Linear(1, 1)
    odd.callback = lambda: None
    for thing, text in (
        (Local(), "Local: expected a class with a name, got <class .*. Define the class at the top of a module"),
        (nn.Sequential(hooked), "0: expected a module without hooks, got _forward_hooks. Remove the hooks, or save"),
        (nn.Sequential(odd), "0.fields/callback: expected numbers, text, arrays, .* got builtins.function"),
        ({"model": hooked}, "/model: expected numbers, text, arrays, .* got tinygrad_rnn.nn.layers.linear.Linear"),
        ({"f": lambda: None}, "/f: expected numbers, text, arrays"),
    ):
        with pytest.raises(CheckpointError, match=text):
            save(thing, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    with pytest.raises(MissingCheckpointError):
        load(tmp_path / "m")


def test_the_words_of_pytorch():
    assert tg.save is save
    assert tg.load is load
    assert tg.serialization is serialization


def test_safe_globals_can_be_added_for_good(tmp_path, monkeypatch):
    save(model(), tmp_path / "m")
    token = serialization._ALLOWED.set(())
    try:
        serialization.add_safe_globals([WordModel, twice])
        assert isinstance(load(tmp_path / "m"), WordModel)
    finally:
        serialization._ALLOWED.reset(token)


@pytest.mark.peers
def test_files_are_pytorchs_too(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    one = nn.LSTM(3, 4, 2)
    for thing in (one, one.state_dict()):
        save(thing, tmp_path / "m")
        torch.nn.LSTM(3, 4, 2).load_state_dict(load_file(tmp_path / "m"))
    theirs = torch.nn.LSTM(3, 4, 2)
    save_file(theirs.state_dict(), tmp_path / "t")
    one.load_state_dict(load(tmp_path / "t"))
    assert np.array_equal(one.weight_hh_l1.detach().numpy(), theirs.weight_hh_l1.detach().numpy())
