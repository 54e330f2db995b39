"""Module: attributes, registration, walking, modes, conversion, calling, and every complaint."""

import copy

import numpy as np
import pytest

import tinygrad_rnn as tg
import tinygrad_rnn.nn as nn
from tinygrad_rnn.errors import DTypeError, ShapeError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(2, 3)
        self.scale = nn.Parameter(np.ones(3, np.float32))
        self.register_buffer("seen", tg.zeros(1))
        self.register_buffer("scratch", tg.zeros(1), persistent=False)
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Sequential(nn.Tanh(), nn.Linear(3, 1))])

    def forward(self, x):
        x = self.encoder(x) * self.scale
        for layer in self.layers:
            x = layer(x)
        return x


NAMES = ["scale", "encoder.weight", "encoder.bias", "layers.0.weight", "layers.0.bias"]
NAMES += ["layers.1.1.weight", "layers.1.1.bias"]


def test_everything_assigned_is_found_in_order():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [p is q for p, q in zip(net.parameters(), dict(net.named_parameters()).values(), strict=True)] == [True] * 7
    assert [name for name, _ in net.named_parameters("net", recurse=False)] == ["net.scale"]
    assert [name for name, _ in net.named_buffers()] == ["seen", "scratch"]
    assert [name for name, _ in net.named_children()] == ["encoder", "layers"]
    assert [name for name, _ in net.named_modules()] == [
        "",
        "encoder",
        "layers",
        "layers.0",
        "layers.1",
        "layers.1.0",
        "layers.1.1",
    ]
    assert list(net.state_dict()) == ["scale", "seen", *NAMES[1:]]
    assert net.get_submodule("layers.1.1") is net.layers[1][1]
    assert net.get_parameter("layers.0.bias") is net.layers[0].bias
    assert net.get_buffer("seen") is net.seen
    assert {"encoder", "scale", "seen"} <= set(dir(net))


def test_parameters_know_their_names_and_nodes_their_place():
    net = Net()
    assert net.encoder.weight.node.name == "weight"
    assert net.scale.node.name == "scale"
    out = net(tg.ones(4, 2))
    assert out.node.scope.path == "layers.1.1"
    net.scale.requires_grad = False
    assert net.scale.node.name == "scale"
    assert not net.scale.requires_grad


def test_assigning_moves_a_name_between_tables():
    net = Net()
    net.scale = None
    assert net.scale is None
    assert "scale" not in dict(net.named_parameters())
    net.scale = nn.Parameter(np.zeros(2))
    assert next(iter(net.named_parameters()))[0] == "scale"
    net.plain = 3
    net.plain = nn.Linear(1, 1)
    assert "plain" not in vars(net)
    net.plain = nn.Parameter(np.zeros(1))
    assert "plain" not in net._modules
    del net.plain
    assert not hasattr(net, "plain")
    net.seen = tg.ones(1)
    assert dict(net.named_buffers())["seen"].item() == 1
    net.counter = nn.Buffer(tg.zeros(2), persistent=False)
    assert "counter" in dict(net.named_buffers())
    assert "counter" not in net.state_dict()


def test_shared_parts_count_once_and_are_saved_under_every_name():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Embedding(5, 3)
            self.decoder = nn.Linear(3, 5, bias=False)
            self.decoder.weight = self.encoder.weight
            self.again = self.decoder

    net = Tied()
    assert [name for name, _ in net.named_parameters()] == ["encoder.weight"]
    assert [name for name, _ in net.named_parameters(remove_duplicate=False)] == [
        "encoder.weight",
        "decoder.weight",
        "again.weight",
    ]
    assert list(net.state_dict()) == ["encoder.weight", "decoder.weight", "again.weight"]
    twin = copy.deepcopy(net)
    assert twin.decoder.weight is twin.encoder.weight
    assert twin.decoder.weight is not net.decoder.weight
    np.testing.assert_array_equal(twin.decoder.weight.array, net.decoder.weight.array)


COMPLAINTS = [
    (lambda n: n.encodr, AttributeError, r"'Net' object has no attribute 'encodr'. Did you mean: 'encoder'\?"),
    (lambda n: n.nothing_like_it, AttributeError, r"'Net' object has no attribute 'nothing_like_it'$"),
    (
        lambda n: n.encoder.wieght,
        AttributeError,
        r"'Linear' object has no attribute 'wieght'. Did you mean: 'weight'\?",
    ),
    (
        lambda n: setattr(n, "scale", 3),
        TypeError,
        r"cannot assign 'int' as parameter 'scale' \(nn.Parameter or None expected\)",
    ),
    (lambda n: setattr(n, "scale", tg.ones(3)), TypeError, "cannot assign 'Tensor' as parameter 'scale'"),
    (lambda n: setattr(n, "encoder", 3), TypeError, "cannot assign 'int' as child module 'encoder'"),
    (lambda n: setattr(n, "seen", 3), TypeError, r"cannot assign 'int' as buffer 'seen' \(Tensor or None"),
    (lambda n: n.register_parameter("a.b", None), KeyError, "t contain"),
    (lambda n: n.register_parameter("", None), KeyError, "t be empty"),
    (lambda n: n.register_parameter("forward", None), KeyError, "already exists"),
    (lambda n: n.register_parameter(3, None), TypeError, "should be a string. Got int"),
    (lambda n: n.register_parameter("a", tg.ones(1)), TypeError, "nn.Parameter or None required"),
    (lambda n: n.register_buffer("a", 3), TypeError, "Tensor or None required"),
    (lambda n: n.register_buffer("encoder", None), KeyError, "already exists"),
    (lambda n: n.add_module("a", 3), TypeError, "int is not a Module subclass"),
    (lambda n: n.get_submodule("encoder.x"), AttributeError, "'Linear' object has no attribute 'x'"),
    (lambda n: n.get_submodule("scale"), AttributeError, "is not an nn.Module"),
    (lambda n: n.get_parameter("seen"), AttributeError, "is not an nn.Parameter"),
    (lambda n: n.get_buffer("scale"), AttributeError, "is not a buffer"),
    (lambda n: n.train("yes"), ValueError, "expected to be boolean"),
    (lambda n: n.to("cuda"), RuntimeError, "expected the device 'cpu'"),
    (lambda n: n.to(tg.int64), TypeError, "only accepts floating point"),
    (lambda n: n.layers(1), NotImplementedError, r'ModuleList\] is missing the required "forward" function'),
    (lambda n: n.layers[2], IndexError, "index 2 is out of range"),
    (lambda n: nn.Parameter(np.array([1])), DTypeError, "Only Tensors of floating point dtype can require gradients"),
    (lambda n: n(tg.ones(4, 3)), ShapeError, r"linear in encoder: expected an input with a last axis of size 2"),
]


@pytest.mark.parametrize(("act", "error", "text"), COMPLAINTS, ids=[text[:40] for _, _, text in COMPLAINTS])
def test_mistakes_are_named(act, error, text):
    with pytest.raises(error, match=text):
        act(Net())


def test_parts_cannot_be_assigned_before_init():
    class Hasty(nn.Module):
        def __init__(self, part):
            self.part = part

    for part in (nn.Linear(1, 1), nn.Parameter(np.ones(1))):
        with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
            Hasty(part)
    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) first"):
        Hasty(3).training


def test_modes_and_freezing_reach_every_part():
    net = Net()
    assert net.eval() is net
    assert {m.training for m in net.modules()} == {False}
    net.layers[0].train()
    assert net.layers[0].training
    assert not net.training
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    seen = []
    net.apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "Linear", "Tanh", "Linear", "Sequential", "ModuleList", "Net"]


def test_gradients_are_forgotten_or_zeroed():
    net = Net()
    net(tg.ones(1, 2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(p.grad is not None and not p.grad.array.any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_conversion_keeps_the_parameters_themselves():
    net = Net()
    before = list(net.parameters())
    net(tg.ones(1, 2)).sum().backward()
    assert net.double() is net
    assert all(p is q for p, q in zip(net.parameters(), before, strict=True))
    assert {p.dtype for p in net.parameters()} | {p.grad.dtype for p in net.parameters()} == {np.dtype(np.float64)}
    net.zero_grad()
    net(tg.ones(1, 2, dtype=tg.float64)).sum().backward()
    assert net.encoder.weight.grad.dtype == np.float64
    assert net.to("cpu", tg.float32).scale.dtype == np.float32
    assert net.to(tg.zeros(1, dtype=tg.float64)).scale.dtype == np.float64
    assert nn.BatchNorm1d(2).double().num_batches_tracked.dtype == np.int64


def test_containers_behave_as_lists_and_dicts():
    a, b, c = nn.Linear(1, 1), nn.Tanh(), nn.ReLU()
    chain = nn.Sequential(a, b)
    assert chain.append(c) is chain
    assert list(chain) == [a, b, c]
    assert chain[-1] is c
    assert list(chain[1:]) == [b, c]
    chain.insert(0, c)
    assert list(chain) == [c, a, b, c]
    del chain[0]
    assert chain.pop(0) is a
    assert list(chain._modules) == ["0", "1"]
    chain[0] = a
    assert a in chain
    assert len(chain + chain) == 4
    listed = nn.ModuleList([a])
    listed += [b]
    listed.insert(1, c)
    assert list(listed) == [a, c, b]
    listed[1] = b
    assert listed[:2]._modules.keys() == {"0", "1"}
    named = nn.ModuleDict({"a": a})
    named["b"] = b
    named.update([("c", c)])
    assert list(named.items()) == [("a", a), ("b", b), ("c", c)]
    assert named.pop("c") is c
    assert "c" not in named
    del named["a"]
    assert list(named.keys()) == list(named) == ["b"]
    numbers = nn.ParameterList([tg.ones(2)])
    numbers.append(np.zeros(1))
    assert len(numbers) == len(list(numbers.parameters())) == 2
    assert numbers[1].shape == (1,)


def test_copies_are_independent():
    net = Net()
    net(tg.ones(1, 2)).sum().backward()
    twin = copy.deepcopy(net)
    twin.encoder.weight.array[...] = 0
    twin.seen.array[...] = 5
    assert net.encoder.weight.array.any()
    assert net.seen.item() == 0
    assert twin.encoder.weight.grad is not net.encoder.weight.grad
    assert repr(twin) == repr(net)
