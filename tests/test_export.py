"""ONNX export, with ONNX Runtime as the judge, at batch sizes and lengths that the export has not seen."""

import io

import numpy as np
import pytest

import tinygrad_rnn as tg
import tinygrad_rnn.nn as nn
import tinygrad_rnn.nn.functional as F
from tinygrad_rnn.errors import GraphError, MissingRuleError
from tinygrad_rnn.export import export, to_onnx
from tinygrad_rnn.export.operators import RULES
from tinygrad_rnn.primitive import PRIMITIVES

ort = pytest.importorskip("onnxruntime")


def run(proto, inputs):
    """The outputs of a model in ONNX Runtime."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it comments on inputs that may be left out
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def tensors(value):
    return [value] if isinstance(value, tg.Tensor) else [t for part in value for t in tensors(part)]


def assert_same(results, expected):
    expected = tensors(expected)
    assert [r.shape for r in results] == [e.shape for e in expected]
    for result, tensor in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, tensor.detach().numpy(), rtol=1e-5, atol=1e-5)


class Tagger(nn.Module):
    """Embedding, recurrent layer, normalisation, a head on every step: what most recurrent models are."""

    def __init__(self, kind, seed=0, **options):
        super().__init__()
        rng = np.random.default_rng(seed)
        wide = 4 * (2 if options.get("bidirectional") else 1)
        self.embedding = nn.Embedding(11, 3, generator=rng)
        self.rnn = getattr(nn, kind)(3, 4, generator=rng, **options)
        self.norm = nn.LayerNorm(wide)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(wide, 11, generator=rng)
        self.eval()

    def forward(self, x, state=None, lengths=None):
        y, state = self.rnn(self.embedding(x), state, lengths)
        y = self.head(self.drop(self.norm(y)))
        return F.log_softmax(y.view(-1, 11), dim=1), state


def _state(kind, options, batch, rng):
    depth = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    parts = [
        tg.tensor(rng.normal(size=(depth, batch, 4)).astype(np.float32)) for _ in range(2 if kind == "LSTM" else 1)
    ]
    return tuple(parts) if kind == "LSTM" else parts[0]


def _named(state):
    parts = tensors(state)
    return {("state" if len(parts) == 1 else f"state_{i}"): t.array for i, t in enumerate(parts)}


OPTIONS = [
    {"num_layers": layers, "bidirectional": both, "batch_first": first, "bias": bias}
    for layers in (1, 2) for both in (False, True) for first, bias in ((False, True), (True, False))
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_models_at_sizes_not_seen(kind, options):
    rng = np.random.default_rng(1)
    model = Tagger(kind, **options)
    example = tg.tensor(rng.integers(0, 11, (5, 2)))
    proto = to_onnx(model, (example, _state(kind, options, 2 if not options["batch_first"] else 5, rng)))
    assert [n.op_type for n in proto.graph.node].count(kind) == options["num_layers"]
    assert len(proto.graph.node) < 60
    for batch, steps in ((1, 1), (3, 9), (7, 2)):
        x = rng.integers(0, 11, (batch, steps) if options["batch_first"] else (steps, batch))
        state = _state(kind, options, batch, rng)
        assert_same(run(proto, {"x": x, **_named(state)}), model(tg.tensor(x), state))
        assert_same(run(proto, {"x": x}), model(tg.tensor(x)))  # a state left out is zero


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_lengths_become_sequence_lens(kind, both):
    rng = np.random.default_rng(2)
    model = Tagger(kind, bidirectional=both, num_layers=2)
    proto = to_onnx(model, (tg.zeros(4, 3, dtype=tg.int64),), kwargs={"lengths": tg.tensor([4, 2, 3])})
    for lengths in ([1, 6, 3, 6], [2, 2]):
        x = rng.integers(0, 11, (6, len(lengths)))
        lengths = np.array(lengths)
        expected = model(tg.tensor(x), lengths=tg.tensor(lengths))
        assert_same(run(proto, {"x": x, "lengths": lengths}), expected)


def test_relu_cells_unbatched_input_and_plain_layers():
    rng = np.random.default_rng(3)
    layer = nn.RNN(3, 4, 2, nonlinearity="relu", bidirectional=True, generator=rng)
    proto = to_onnx(layer, tg.zeros(5, 3))
    x = rng.normal(size=(8, 3)).astype(np.float32)
    assert_same(run(proto, {"input": x}), layer(tg.tensor(x)))
    chain = nn.Sequential(nn.Linear(3, 4, generator=rng), nn.GELU(), nn.BatchNorm1d(4), nn.Flatten()).eval()
    x = rng.normal(size=(6, 3)).astype(np.float32)
    assert_same(run(to_onnx(chain, tg.zeros(2, 3)), {"input": x}), chain(tg.tensor(x)))


def test_a_loop_over_cells_is_exported_with_its_length_fixed():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(3, 4, generator=np.random.default_rng(4))

        def forward(self, x):
            state = (x.new_zeros(x.size(1), 4), x.new_zeros(x.size(1), 4))
            for t in range(x.size(0)):
                state = self.cell(x[t], state)
            return state[0]

    model = Loop()
    with pytest.warns(UserWarning, match="depend on the size of time"):
        proto = to_onnx(model, tg.zeros(5, 2, 3), dynamic_axes={"x": {0: "time", 1: "batch"}})
    x = np.random.default_rng(5).normal(size=(5, 6, 3)).astype(np.float32)
    assert_same(run(proto, {"x": x}), model(tg.tensor(x)))


def _f(*shape):
    return np.random.default_rng(6).uniform(0.2, 0.9, shape).astype(np.float32)


CASES = {
    "add multiply": lambda x: (x + 1.5) * x + x * tg.tensor(_f(3)),
    "subtract divide negative": lambda x: (1 - x) / (x + 2) - (-x),
    "power square reciprocal sqrt": lambda x: x**3 + np.square(x) + np.reciprocal(x) + np.sqrt(x) + 2.0**x,
    "exp log expm1 log1p": lambda x: np.exp(x) + np.log(x) + np.expm1(x) + np.log1p(x),
    "sin cos tan arctan sinh cosh": lambda x: (
        np.sin(x) + np.cos(x) + np.tan(x) + np.arctan(x) + np.sinh(x) + np.cosh(x)
    ),
    "absolute sign floor ceil rint": lambda x: (
        abs(x - 0.5) + np.sign(x - 0.5) + np.floor(x * 5) + np.ceil(x * 5) + np.rint(x * 5)
    ),
    "tanh sigmoid relu softplus erf gelu": lambda x: (
        tg.tanh(x) + tg.sigmoid(x) + F.relu(x - 0.5) + F.softplus(x) + tg.erf(x) + F.gelu(x)
    ),
    "maximum minimum clip": lambda x: (
        np.maximum(x, 0.5) + np.minimum(x, tg.tensor(_f(3))) + tg.clamp(x, 0.3, 0.6) + tg.clamp(x, max=0.7)
    ),
    "where less less_equal greater greater_equal equal not_equal": lambda x: (
        np.where(x < 0.5, x, 2 * x)
        + np.where(x <= 0.5, x, 2 * x)
        + np.where(x > 0.4, x, 0.0 * x)
        + np.where(x >= 0.4, x, x - 1)
        + np.where(np.equal(x, x), x, -x)
        + np.where(np.not_equal(x, x), -x, x)
    ),
    "logical_and logical_or logical_xor logical_not isnan": lambda x: np.where(
        np.logical_and(np.logical_or(x > 0.5, x < 0.3), np.logical_not(np.logical_xor(x > 0.7, np.isnan(x)))), x, -x
    ),
    "zeros_like ones_like copy positive stop_gradient astype": lambda x: (
        np.zeros_like(x)
        + np.ones_like(x)
        + x.clone()
        + np.positive(x)
        + x.double().float()
        + PRIMITIVES["stop_gradient"](x)
    ),
    "sum mean max min prod": lambda x: (
        x.sum() + x.sum(0) + x.mean(1, keepdim=True) + x.amax(0) + x.amin((0, 1)) + x.prod(1, keepdim=True)
    ),
    "logsumexp softmax log_softmax cumsum": lambda x: (
        x.logsumexp(1, keepdim=True) + x.softmax(0) + x.log_softmax(1) + x.cumsum(0)
    ),
    "argmax argmin": lambda x: (x.argmax(1), x.argmin(0, keepdim=True), x.argmax()),
    "matmul transpose einsum": lambda x: (x @ tg.tensor(_f(3, 2)), x.t() @ x, tg.einsum("bi,bj->ij", x, x)),
    "reshape broadcast_to": lambda x: (
        x.reshape(-1),
        x.reshape(3, -1),
        x.unsqueeze(1).expand(x.size(0), 4, 3),
        x.view(-1, 1, 3),
    ),
    "concatenate stack": lambda x: (tg.cat([x, 2 * x], dim=0), tg.stack([x, 2 * x], dim=1)),
    "flip pad tril triu": lambda x: (x.flip(0), np.pad(x, ((1, 0), (0, 2)), constant_values=7), x.tril(), x.triu(1)),
    "getitem": lambda x: (
        x[0],
        x[-1],
        x[1:],
        x[:, 1:3],
        x[:, None, -1],
        x[..., 0],
        x[::2, ::-1],
        x[x.size(0) - 1],
        x[:-1, 1],
    ),
    "take take_along_axis": lambda x: (
        x[tg.tensor([0, 1, 0])],
        x[:, tg.tensor([[2, 0]])],
        np.take_along_axis(x, tg.tensor(np.array([[2, 0]])), axis=1),
    ),
}


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("opset", [17, 22])
@pytest.mark.parametrize("names", CASES)
def test_operators_one_to_one(names, opset):
    model = Function(CASES[names])
    proto = to_onnx(model, tg.tensor(_f(4, 3)), dynamic_axes={"x": [0]}, opset_version=opset)
    assert proto.ir_version == 8
    for rows in (2, 4, 7):
        x = _f(rows, 3)
        assert_same(run(proto, {"x": x}), model(tg.tensor(x)))


def test_every_rule_has_a_case():
    covered = {name for names in CASES for name in names.split()}
    assert covered == set(RULES) - {"recurrent_layer"}


class Reading(nn.Module):
    def forward(self, x):
        return x * x.sum().item()


REFUSED = [
    (lambda: to_onnx(nn.LSTM(3, 4, proj_size=2), tg.zeros(5, 2, 3)), MissingRuleError, "LSTM has proj_size=2"),
    (lambda: to_onnx(nn.LSTM(3, 4, 2, dropout=0.5), tg.zeros(5, 2, 3)), MissingRuleError, r"call model.eval\(\) first"),
    (
        lambda: to_onnx(nn.Dropout(0.5), tg.zeros(5)),
        MissingRuleError,
        r"bernoulli has no ONNX form. .*call model.eval\(\)",
    ),
    (lambda: to_onnx(Function(lambda x: np.roll(x, 1)), tg.zeros(5)), MissingRuleError, "roll has no ONNX form"),
    (lambda: to_onnx(Function(lambda x: x[x > 0]), tg.ones(5)), MissingRuleError, "one index array of integers"),
    (lambda: to_onnx(Reading(), tg.ones(5)), GraphError, "item.*the model is being exported"),
    (
        lambda: to_onnx(nn.GRU(3, 4), tg.ones(5, 2, 3), kwargs={"lengths": [5, 5]}),
        MissingRuleError,
        "lengths as a Tensor",
    ),
    (lambda: to_onnx(nn.Tanh(), tg.ones(5), input_names=["a", "b"]), ValueError, "expected 1 input names"),
    (lambda: to_onnx(nn.Tanh(), tg.ones(5), opset_version=9), ValueError, "from 17 to 22, got 9"),
    (lambda: to_onnx(nn.Tanh(), ()), ValueError, "at least one Tensor"),
]


@pytest.mark.parametrize(("act", "error", "text"), REFUSED, ids=[text[:30] for _, _, text in REFUSED])
def test_what_cannot_be_exported_is_refused_by_name(act, error, text):
    with pytest.raises(error, match=text):
        act()


def test_packed_sequences_are_refused_with_the_way_out():
    class Packing(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(3, 4)

        def forward(self, x):
            return self.rnn(nn.utils.rnn.pack_padded_sequence(x, [2, 1]))[1]

    with pytest.raises(MissingRuleError, match="PackedSequence, which ONNX does not have; call it with lengths="):
        to_onnx(Packing(), tg.zeros(2, 2, 3))


def test_files_names_and_axes_are_as_asked(tmp_path):
    import onnx

    model = Tagger("LSTM")
    example = (tg.zeros(5, 2, dtype=tg.int64), (tg.zeros(1, 2, 4), tg.zeros(1, 2, 4)))
    names = {"input_names": ["tokens", "h", "c"], "output_names": ["scores"]}
    axes = {"tokens": {0: "steps", 1: "rows"}, "h": {1: "rows"}, "c": {1: "rows"}, "scores": {0: "ignored"}}
    tg.onnx.export(model, example, tmp_path / "model.onnx", **names, dynamic_axes=axes, export_params=True)
    proto = onnx.load(tmp_path / "model.onnx")
    assert [i.name for i in proto.graph.input] == ["tokens", "h", "c"]
    assert [o.name for o in proto.graph.output] == ["scores", "output_1", "output_2"]
    assert [d.dim_param for d in proto.graph.input[0].type.tensor_type.shape.dim] == ["steps", "rows"]
    assert {"embedding.weight", "head.weight", "rnn.l0.W", "rnn.l0.R", "rnn.l0.B"} <= {
        t.name for t in proto.graph.initializer
    }
    buffer = io.BytesIO()
    export(model, example, buffer, **names, dynamic_axes=axes)
    assert buffer.getvalue() == (tmp_path / "model.onnx").read_bytes()
    assert model.rnn(tg.zeros(5, 2, 3))[0].node.scope.path == "rnn"  # the layer is itself again
