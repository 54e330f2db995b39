"""The doctor on graphs of every make, its words, what it says when nothing fits, and what it refuses."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compare import models, wrong
from tinygrad_rnn import nn
from tinygrad_rnn.compare import diagnose
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.nn.utils.stateless import functional_call
from tinygrad_rnn.state import scope
from tinygrad_rnn.tensor import Tensor


def autograd(loss_fn, params):
    """The right gradients, to be spoilt."""
    tensors = {name: tg.tensor(value, requires_grad=True) for name, value in params.items()}
    loss_fn(tensors).backward()
    return {name: np.array(t.grad.array) for name, t in tensors.items()}


def drawn(seed, **shapes):
    rng = np.random.default_rng(seed)
    return {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}


def test_one_sequence_with_columns_and_an_initial_state_to_learn():
    """W @ h on vectors, squared error at every step, and a handwritten pass with W in place of W^T."""
    H, T = 5, 6
    params = drawn(1, W=(H, H), U=(H, 3), b=(H,), h0=(H,))
    xs = np.random.default_rng(2).standard_normal((T, 3))

    def loss_fn(p):
        h, total = p["h0"], 0.0
        for t in range(T):
            h = np.tanh(p["W"] @ h + p["U"] @ tg.tensor(xs[t]) + p["b"])
            total = total + (h * h).sum()
        return total

    def by_hand(transposed):
        W, hs = params["W"], [params["h0"]]
        for x in xs:
            hs.append(np.tanh(W @ hs[-1] + params["U"] @ x + params["b"]))
        d = {name: np.zeros_like(value) for name, value in params.items()}
        dh = np.zeros(H)
        for t in reversed(range(T)):
            da = (2 * hs[t + 1] + dh) * (1 - hs[t + 1] ** 2)
            d["W"] += np.outer(da, hs[t])
            d["U"] += np.outer(da, xs[t])
            d["b"] += da
            dh = W.T @ da if transposed else W @ da
        return d | {"h0": dh}

    assert diagnose(loss_fn, params, by_hand(True)).ok
    found = diagnose(loss_fn, params, by_hand(False))
    assert found.kinds == ("weight not transposed",)
    assert "W da_t" in found.findings[0].wrong
    assert "W^T da_t" in found.findings[0].right
    assert set(found.wrong) == {"W", "U", "b", "h0"}


def test_gates_with_weights_of_their_own():
    """An LSTM on vectors with four matrices; the handwritten pass forgets the factor f on the way of the cell state."""
    H, T = 4, 5
    names = [kind + gate for gate in "ifgo" for kind in "WUb"]
    params = drawn(3, **{n: {"W": (H, H), "U": (H, 2), "b": (H,)}[n[0]] for n in names})
    xs = np.random.default_rng(4).standard_normal((T, 2))

    def loss_fn(p):
        h = c = Tensor(np.zeros(H))
        for t in range(T):
            with scope(t=t):
                a = {g: p["W" + g] @ h + p["U" + g] @ tg.tensor(xs[t]) + p["b" + g] for g in "ifgo"}
                c = tg.sigmoid(a["f"]) * c + tg.sigmoid(a["i"]) * tg.tanh(a["g"])
                h = tg.sigmoid(a["o"]) * tg.tanh(c)
        return (h * h).sum()

    def by_hand(forget):
        h = c = np.zeros(H)
        steps = []
        for x in xs:
            a = {g: params["W" + g] @ h + params["U" + g] @ x + params["b" + g] for g in "ifgo"}
            s = {g: np.tanh(a[g]) if g == "g" else 1 / (1 + np.exp(-a[g])) for g in "ifgo"} | {"h": h, "c": c, "x": x}
            c = s["f"] * c + s["i"] * s["g"]
            h = s["o"] * np.tanh(c)
            steps.append(s | {"tc": np.tanh(c)})
        d = {name: np.zeros_like(value) for name, value in params.items()}
        dh, dc = 2 * h, np.zeros(H)
        for s in reversed(steps):
            dc = dc + dh * s["o"] * (1 - s["tc"] ** 2)
            up = {"i": dc * s["g"], "f": dc * s["c"], "g": dc * s["i"], "o": dh * s["tc"]}
            da = {g: up[g] * ((1 - s[g] ** 2) if g == "g" else s[g] * (1 - s[g])) for g in "ifgo"}
            for g in "ifgo":
                d["W" + g] += np.outer(da[g], s["h"])
                d["U" + g] += np.outer(da[g], s["x"])
                d["b" + g] += da[g]
            dh = sum(params["W" + g].T @ da[g] for g in "ifgo")
            dc = dc * s["f"] if forget else dc
        return d

    assert diagnose(loss_fn, params, by_hand(True)).ok
    found = diagnose(loss_fn, params, by_hand(False))
    assert found.kinds == ("factor missing",)
    assert found.findings[0].right == "dc_{t-1} = dy * f_t"


@pytest.mark.parametrize(
    "layer", [nn.LSTM(3, 4, num_layers=2), nn.GRU(3, 4, bidirectional=True), nn.RNN(3, 4, num_layers=2)]
)
def test_stacked_and_bidirectional_layers(layer):
    layer.double()
    rng = np.random.default_rng(5)
    x = tg.tensor(rng.standard_normal((5, 2, 3)))
    params = {name: rng.standard_normal(p.shape) * 0.5 for name, p in layer.named_parameters()}

    def loss_fn(p):
        out, _ = functional_call(layer, p, (x,))
        return (out * out).mean()

    right = autograd(loss_fn, params)
    assert diagnose(loss_fn, params, right).ok
    last = list(params)[-3]
    found = diagnose(loss_fn, params, right | {last: -right[last]})
    assert found.kinds == ("sign",)
    assert found.findings[0].where == last
    found = diagnose(loss_fn, params, {name: 0.5 * g for name, g in right.items()})
    assert found.kinds == ("constant factor",)
    assert found.findings[0].where == "all gradients"


def test_a_network_without_time():
    params = drawn(6, W1=(3, 4), b1=(4,), W2=(4, 4), W3=(4, 2))
    x, target = np.random.default_rng(7).standard_normal((5, 3)), np.array([0, 1, 1, 0, 1])

    def loss_fn(p):
        h = tg.tanh(tg.tensor(x) @ p["W1"] + p["b1"])
        return nn.functional.cross_entropy(tg.tanh(h @ p["W2"]) @ p["W3"], tg.tensor(target))

    def by_hand(mistake):
        h1 = np.tanh(x @ params["W1"] + params["b1"])
        h2 = np.tanh(h1 @ params["W2"])
        e = np.exp(h2 @ params["W3"])
        dz = (e / e.sum(axis=1, keepdims=True) - np.eye(2)[target]) / len(x)
        da2 = dz @ params["W3"].T * (1 if mistake == "derivative" else 1 - h2**2)
        da1 = da2 @ (params["W2"] if mistake == "transposed" else params["W2"].T) * (1 - h1**2)
        bias = da1.mean(axis=0) if mistake == "mean" else da1.sum(axis=0)
        return {"W1": x.T @ da1, "b1": bias, "W2": h1.T @ da2, "W3": h2.T @ dz}

    assert diagnose(loss_fn, params, by_hand("")).ok
    assert diagnose(loss_fn, params, by_hand("derivative")).kinds == ("activation derivative missing",)
    assert diagnose(loss_fn, params, by_hand("transposed")).kinds == ("weight not transposed",)
    found = diagnose(loss_fn, params, by_hand("mean"))
    assert found.kinds == ("constant factor",)
    assert "0.2 times what it should be: divided by the number of examples, 5" in found.findings[0].says


def test_a_parameter_with_two_uses_of_which_one_is_forgotten():
    """Tied weights: the embedding is the head as well."""
    params = drawn(8, E=(6, 3), W=(3, 3))
    words, targets = [0, 4, 2, 2], [4, 2, 2, 5]

    def loss_fn(p):
        h, total = Tensor(np.zeros((1, 3))), 0.0
        for t, (word, target) in enumerate(zip(words, targets, strict=True)):
            with scope(t=t):
                h = tg.tanh(p["E"][[word]] + h @ p["W"])
                total = total + nn.functional.cross_entropy(h @ p["E"].T, tg.tensor([target]))
        return total

    right = autograd(loss_fn, params)
    assert diagnose(loss_fn, params, right).ok
    states, h = [np.zeros(3)], np.zeros(3)
    only_head = np.zeros_like(params["E"])
    for word, target in zip(words, targets, strict=True):
        h = np.tanh(params["E"][word] + h @ params["W"])
        e = np.exp(params["E"] @ h)
        only_head += np.outer(e / e.sum() - np.eye(6)[target], h)
        states.append(h)
    found = diagnose(loss_fn, params, right | {"E": only_head})
    assert found.kinds == ("one of its uses forgotten",)


def test_an_unknown_mistake_is_localised():
    """An error is spoilt at t=2 in a way that is no known mistake: what came before it in the sweep is right."""
    made = wrong.problem("rnn", np.random.default_rng(9), T=5, B=2, H=6, D=5, C=3)
    steps, p = wrong.forward(made), made.params
    dy, H = wrong.head_errors(made, steps, {})
    d = {name: np.zeros_like(value) for name, value in p.items()}
    d["head.weight"], d["head.bias"] = np.einsum("tbc,tbh->ch", dy, H), dy.sum(axis=(0, 1))
    dh = 0.0
    for t in reversed(range(5)):
        da = (dy[t] @ p["head.weight"] + dh) * (1 - steps[t]["h"] ** 2)
        if t == 2:
            da = np.sin(da) + 0.1
        d["weight_ih"] += da.T @ steps[t]["x"]
        d["weight_hh"] += da.T @ steps[t]["h_prev"]
        d["bias_ih"] += da.sum(axis=0)
        d["bias_hh"] += da.sum(axis=0)
        dh = da @ p["weight_hh"]
    found = diagnose(models.loss_function(made), p, d)
    assert not found.ok
    assert found.findings == ()
    assert found.location is not None
    assert (found.location.time, found.location.exact, found.location.right) == (2, True, (4, 3))
    assert found.location.parameter not in ("head.weight", "head.bias")
    assert found.right == ("head.weight", "head.bias")
    text = str(found)
    assert "No mistake that I know" in text
    assert "differ first at t=2 and are right at t=4, 3" in text


def test_numbers_that_no_cotangents_explain_are_told_by_parameter():
    made = wrong.problem("rnn", np.random.default_rng(10), T=4, B=2, H=4, D=3, C=3)
    manual = wrong.gradients(made, {})
    manual["weight_hh"] = manual["weight_hh"] + np.random.default_rng(0).standard_normal((4, 4))
    found = diagnose(models.loss_function(made), made.params, manual)
    assert found.findings == ()
    assert found.wrong == ("weight_hh",)
    assert found.location is not None
    assert found.location.parameter == "weight_hh"


@pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 2, 3, 1), (3, 0, 1, 2)])
def test_gate_blocks_of_the_result_in_another_order(order):
    """The errors are right, and all gradients of the cell come back with the gates stacked otherwise: i f o g, say."""
    made = wrong.problem("lstm", np.random.default_rng(20), H=4)
    manual = wrong.gradients(made, {})
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        blocks = np.split(manual[name], 4)
        manual[name] = np.concatenate([blocks[k] for k in order])
    found = diagnose(models.loss_function(made), made.params, manual)
    assert found.kinds == ("gate order of the result",)
    assert ", ".join("ifgo"[k] for k in order) in found.findings[0].says
    assert found.right == ("head.weight", "head.bias")


def test_any_number_is_a_multiple_of_another_one():
    """A wrong gradient with one entry is no 'constant factor', unless the factor means something."""
    made = wrong.problem("rnn", np.random.default_rng(21), C=1, B=3, classes=False)
    manual = wrong.gradients(made, {})
    loss_fn = models.loss_function(made)
    assert diagnose(loss_fn, made.params, manual | {"head.bias": 0.7345 * manual["head.bias"]}).findings == ()
    assert diagnose(loss_fn, made.params, manual | {"head.bias": manual["head.bias"] / 3}).kinds == ("constant factor",)
    weight = manual | {"weight_ih": 0.7345 * manual["weight_ih"]}
    assert diagnose(loss_fn, made.params, weight).kinds == ("constant factor",)


def test_the_words_of_a_diagnosis():
    made = wrong.problem("rnn", np.random.default_rng(11), T=4, B=2, H=4, D=3, C=3)
    manual = wrong.gradients(made, {"not transposed": True, "h_t for h_{t-1}": True})
    found = diagnose(models.loss_function(made), made.params, manual)
    text = str(found)
    assert text.startswith("2 mistakes together reproduce your numbers (largest relative error ")
    assert "the error goes back through weight_hh" in text
    assert "dW" not in text
    assert "weight_hh has h_t in the product where h_{t-1} belongs" in text
    assert "is     dweight_hh = sum_t da_t h_t" in text
    assert "be     dweight_hh = sum_t da_t h_{t-1}" in text
    assert "Right: head.weight, head.bias." in text
    assert found.misfit < 1e-12
    assert found._repr_html_().startswith("<pre>2 mistakes")
    assert "&gt;" not in found._repr_html_() or "<pre>" in found._repr_html_()


def test_a_right_gradient_in_words():
    made = wrong.problem("gru", np.random.default_rng(12))
    found = diagnose(models.loss_function(made), made.params, wrong.gradients(made, {}))
    assert str(found).startswith("The gradients are right: all 6 agree with the recorded graph")
    assert found.kinds == ()
    assert found.wrong == ()


def test_mistakes_with_the_same_numbers_are_said_not_to_be_told_apart():
    """With an output at the last step alone, a cut after k steps is a sweep that stops k steps before the end."""
    made = wrong.problem("rnn", np.random.default_rng(13), T=6, B=2, H=4, every_step=False)
    found = diagnose(models.loss_function(made), made.params, wrong.gradients(made, {"cut after": 3}))
    everything = {*found.kinds, *found.findings[0].same_kinds, *(f.kind for other in found.alternatives for f in other)}
    assert found.kinds == ("BPTT cut after k steps",)
    assert {"first steps not swept"} <= everything
    assert "k=3" in found.findings[0].where


def test_mistakes_that_change_nothing_are_not_found():
    """One unit and one example: transposing, or not summing over the batch, gives the right numbers."""
    made = wrong.problem("rnn", np.random.default_rng(14), H=1, B=1, D=1, C=1, classes=False)
    for mistake in ({"not transposed": True}, {"returned transposed": "weight_ih"}):
        assert diagnose(models.loss_function(made), made.params, wrong.gradients(made, mistake)).ok


def test_a_name_that_is_not_handed_in_is_a_missing_gradient():
    made = wrong.problem("lstm", np.random.default_rng(15))
    manual = wrong.gradients(made, {})
    del manual["head.bias"]
    found = diagnose(models.loss_function(made), made.params, manual)
    assert found.kinds == ("missing",)
    assert found.wrong == ("head.bias",)


def test_what_there_was_no_time_for_is_said():
    made = wrong.problem("lstm", np.random.default_rng(16), T=4)
    manual = wrong.gradients(made, {"cell carry dropped": True, "outputs shifted": True})
    found = diagnose(models.loss_function(made), made.params, manual, seconds=0.0)
    assert found.findings == ()
    assert any("pairs" in text for text in found.skipped)
    assert "Not tried for lack of time" in str(found)


def test_params_and_manual_are_left_alone():
    made = wrong.problem("rnn", np.random.default_rng(17))
    manual = wrong.gradients(made, {"cut after": 1})
    copies = {name: g.copy() for name, g in manual.items()}
    for array in (*made.params.values(), *manual.values()):
        array.flags.writeable = False
    diagnose(models.loss_function(made), made.params, manual)
    for name, g in manual.items():
        np.testing.assert_array_equal(g, copies[name])


def test_the_diagnosis_is_the_same_every_time():
    made = wrong.problem("gru", np.random.default_rng(18))
    manual = wrong.gradients(made, {"reset on the wrong side": True, "outputs shifted": True})
    first, second = (str(diagnose(models.loss_function(made), made.params, manual, seconds=60)) for _ in range(2))
    assert first == second


def test_what_cannot_be_diagnosed_is_refused_in_words():
    made = wrong.problem("rnn", np.random.default_rng(19))
    manual = wrong.gradients(made, {})
    spoilt = manual | {"bias_ih": np.full_like(manual["bias_ih"], np.nan)}
    with pytest.raises(ValueError, match="manual 'bias_ih' holds NaN or Inf"):
        diagnose(models.loss_function(made), made.params, spoilt)
    with pytest.raises(KeyError, match="got nobody"):
        diagnose(models.loss_function(made), made.params, {"nobody": np.ones(2)})
    layer = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)).double()
    params = {name: np.ones(p.shape) for name, p in layer.named_parameters()}

    def random_loss(p):
        with tg.record_everything():
            return functional_call(layer, p, (tg.tensor(np.ones((2, 3))),)).sum()

    with pytest.raises(GraphError, match="draws at random"):
        diagnose(random_loss, params, {"0.weight": np.zeros((3, 3)), "0.bias": np.ones(3)})
