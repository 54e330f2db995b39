"""The doctor on the slips of `slips.py`: each is named, in the words a newcomer can act upon; none is made up."""

import numpy as np
import pytest

from tests.compare import models, slips, wrong
from tinygrad_rnn.compare import diagnose
from tinygrad_rnn.state import scope
from tinygrad_rnn.tensor import Tensor

MOVED = "operand of another step"
ONE = "one operand for all steps"
REVERSED = "operands in reversed order"
LEFT_OUT = "step left out of the sum"
BYPASSED = "activation derivative missing on one way back"
SLOPED = "activation derivative on the carried error too"

# (parameter, the index that was typed) -> kind, a part of what is said. For hs, hs[t] is h_{t-1}: see slips.py.
INDICES = {
    ("weight_ih", "t+1 if t+1 < n"): (MOVED, "x_{t+1} in the product where x_t belongs, and nothing at t=5"),
    ("weight_ih", "t-1 if t > 0"): (MOVED, "x_{t-1} in the product where x_t belongs"),
    ("weight_ih", "t-1"): (MOVED, "where x_t belongs, and x_5 at t=0: the index runs over the end"),
    ("weight_ih", "t-2"): (MOVED, "x_{t-2} in the product where x_t belongs, and x_4 at t=0, x_5 at t=1"),
    ("weight_ih", "t+2 if t+2 < n"): (MOVED, "x_{t+2} in the product where x_t belongs"),
    ("weight_ih", "(t+1) % n"): (MOVED, "x_{t+1} in the product where x_t belongs, and x_0 at t=5"),
    ("weight_ih", "min(t+1, n-1)"): (MOVED, "x_5 at t=5: the index stops at the end"),
    ("weight_ih", "max(t-1, 0)"): (MOVED, "x_0 at t=0: the index stops at the end"),
    ("weight_ih", "-1"): (ONE, "has x_5 in the product at every step where x_t belongs"),
    ("weight_ih", "0"): (ONE, "has x_0 in the product at every step where x_t belongs"),
    ("weight_ih", "T-1-t"): (REVERSED, "x_5 at t=0, x_4 at t=1"),
    ("weight_ih", "-t"): (REVERSED, "x_0 at t=0, x_5 at t=1"),
    ("weight_ih", "t if t > 0"): (LEFT_OUT, "the first step adds nothing to weight_ih: t=0 is left out"),
    ("weight_ih", "t if t < T-1"): (LEFT_OUT, "the last step adds nothing to weight_ih: t=5 is left out"),
    ("weight_hh", "t+1"): (MOVED, "h_t in the product where h_{t-1} belongs"),
    ("weight_hh", "t-1"): (MOVED, "h_{t-2} in the product where h_{t-1} belongs, and h_5 at t=0"),
    ("weight_hh", "t-1 if t > 0"): (MOVED, "h_{t-2} in the product where h_{t-1} belongs"),
    ("weight_hh", "t-2"): (MOVED, "h_{t-3} in the product where h_{t-1} belongs, and h_4 at t=0, h_5 at t=1"),
    ("weight_hh", "-1"): (ONE, "has h_5 in the product at every step where h_{t-1} belongs"),
    ("weight_hh", "T-1-t"): (REVERSED, "h_4 at t=0, h_3 at t=1"),
    ("weight_hh", "T-t"): (REVERSED, "h_5 at t=0, h_4 at t=1"),
    ("weight_hh", "t if t < T-1"): (LEFT_OUT, "the last step adds nothing to weight_hh"),
    ("head.weight", "t"): (MOVED, "h_{t-1} in the product where h_t belongs"),
    ("head.weight", "t+2 if t+2 < n"): (MOVED, "h_{t+1} in the product where h_t belongs, and nothing at t=5"),
    ("head.weight", "-1"): (ONE, "has h_5 in the product at every step where h_t belongs"),
    ("head.weight", "T-t"): (REVERSED, "h_5 at t=0, h_4 at t=1"),
    ("bias_ih", "t if t > 0"): (LEFT_OUT, "the first step adds nothing to bias_ih"),
    ("head.bias", "t if t < T-1"): (LEFT_OUT, "the last step adds nothing to head.bias"),
}  # fmt: skip

EVERYWHERE = {
    "bias assigned": ("overwritten instead of accumulated", "assigned where it should be added"),
    "error added, not replaced": ("error added instead of replaced", "+= for ="),
    "loop stops at 1": (LEFT_OUT, "t=0 is left out (a loop that ends too early"),
    "loop starts at T-2": ("last steps not swept", "later steps add nothing; so it is with head.weight and head.bias"),
    "targets of the next step": ("targets of another step", "target of step t+1 is subtracted"),
    "targets of the step before": ("targets of another step", "target of step t-1 is subtracted"),
}  # fmt: skip

OWN = {
    "rnn": {
        "bias from dh": ("activation derivative missing", "bias_ih is made of the error before the derivative"),
        "slope on the output's error only": (BYPASSED, "the carried error is added"),
        "slope on the carried error only": (BYPASSED, "the output's error is added"),
        "dh through W": (BYPASSED, "goes back to h_{t-1} without the derivative"),
        "slope twice": ("activation derivative taken twice", "goes back to h_{t-1} with the derivative"),
        "1 + h^2": ("wrong formula for the derivative", "(1 + h_t^2)"),
        "1 - h": ("wrong formula for the derivative", "(1 - h_t)"),
        "error of the output added twice": ("constant factor", "2 times what they should be"),
    },
    "lstm": {
        "dc without dc_next": ("carry dropped", "back to c_{t-1}"),
        "slope on dc_next too": (SLOPED, "the error that c_t has from step t+1"),
        "do = dh * c": ("factor confused", "to o_t with the factor the argument of tanh(c_t) where tanh(c_t) belongs"),
        "df = dc * c_t": ("factor of another step", "the factor c_{t-1} is that of one step later"),
        "di = dc * i": ("factor confused", "to i_t with the factor i_t where g_t belongs"),
        "dg = dc * g": ("factor confused", "to g_t with the factor g_t where i_t belongs"),
        "df = dc * f": ("factor confused", "to f_t with the factor f_t where c_{t-1} belongs"),
        "dc_next = dc * i": ("factor confused", "to c_{t-1} with the factor i_t where f_t belongs"),
        "f of the next step": ("factor of another step", "the factor f_t is that of one step later"),
        "sigmoid slope for g": ("wrong formula for the derivative", "candidate is taken to be g_t (1 - g_t)"),
        "tanh slope for o": ("wrong formula for the derivative", "output gate is taken to be (1 - o_t^2)"),
        "one gate forgotten in dh": ("gate forgotten on the way back", "the error of gate o does not go back"),
        "dc added, not replaced": ("error added instead of replaced", "dc_t had from step t+1"),
    },
    "gru": {
        "dz = dh * (n - h)": ("sign", "the error that passes update gate has the wrong sign"),
        "z and 1-z swapped": ("factors exchanged", "n_t and h_{t-1} with each other's factor"),
        "dz without n": ("path dropped", "through its product with n_t"),
        "dr = dan * h": ("factor confused", "to r_t with the factor h_{t-1}"),
        "dr from dn": (BYPASSED, "goes back to r_t without the derivative"),
        "r missing on the way back": ("factor missing on one way back", "goes back to h_{t-1} without the gate"),
        "r missing from dWhn": ("factor missing", "weight_hh is made of the error before the product with the gate"),
        "r missing from dbhn": ("factor missing", "bias_hh is made of the error before the product with the gate"),
        "one gate forgotten in dh": ("gate forgotten on the way back", "the error of gate r does not go back"),
    },
}  # fmt: skip

PLANTED = [
    (cell, plant, *told)
    for cell in wrong.GATES
    for plant, told in {**EVERYWHERE, **OWN[cell], **(INDICES if cell != "gru" else {})}.items()
]
# slips that nothing names: they must be confessed, and not called something else
UNKNOWN = [("rnn", "loop runs forward"), ("lstm", "loop runs forward"), ("lstm", "dc_next taken for dc")]


def patient(cell):
    return wrong.problem(cell, np.random.default_rng(3), T=6, B=2, H=4, D=3, C=3)


@pytest.mark.parametrize("cell", wrong.GATES)
def test_without_a_slip_the_pass_is_right(cell):
    made = patient(cell)
    right, hand = wrong.gradients(made, {}), slips.gradients(made)
    assert all(np.allclose(hand[name], right[name], rtol=1e-10, atol=1e-14) for name in right)
    assert diagnose(models.loss_function(made), made.params, hand).ok


@pytest.mark.parametrize(("cell", "plant", "kind", "said"), PLANTED)
def test_a_slip_is_named(cell, plant, kind, said):
    made = patient(cell)
    found = diagnose(models.loss_function(made), made.params, slips.gradients(made, plant), seconds=60)
    assert found.kinds == (kind,), str(found)
    assert said in found.findings[0].says


@pytest.mark.parametrize("style", ["bare", "layers"])
@pytest.mark.parametrize("plant", [p for p in INDICES if p[0] != "head.weight"])
def test_a_wrong_index_is_named_without_time_scopes_and_in_layers(style, plant):
    made = patient("rnn")
    found = diagnose(models.loss_function(made, style), made.params, slips.gradients(made, plant), seconds=60)
    assert found.kinds == (INDICES[plant][0],), str(found)


@pytest.mark.parametrize(("cell", "plant"), UNKNOWN)
def test_an_unknown_slip_is_called_unknown(cell, plant):
    made = patient(cell)
    found = diagnose(models.loss_function(made), made.params, slips.gradients(made, plant), seconds=3)
    assert not found.ok
    assert found.findings == ()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["weight_ih", "weight_hh", "bias_ih", "head.weight", "head.bias"])
def test_a_gradient_of_noise_is_no_wrong_index(name, seed, dtype):
    """One gradient is numbers that nothing made: small, so that there is little to tell a guess by."""
    rng = np.random.default_rng(100 + seed)
    made = wrong.problem("rnn", rng, T=5, B=1, H=2, D=1, C=2, classes=False, dtype=dtype)
    manual = wrong.gradients(made, {})
    manual[name] = rng.standard_normal(manual[name].shape).astype(dtype)
    found = diagnose(models.loss_function(made), made.params, manual)
    assert found.findings == (), str(found)


def test_a_single_number_of_low_precision_is_no_proof_of_an_index():
    """Seven digits agree by chance often enough, where dozens of indices are tried."""
    made = wrong.problem("rnn", np.random.default_rng(31), T=5, B=1, H=1, D=1, C=2, dtype=np.float32)
    planted = slips.gradients(made, ("weight_ih", "T-1-t"))
    assert diagnose(models.loss_function(made), made.params, planted).findings == ()
    wide = wrong.problem("rnn", np.random.default_rng(31), T=5, B=1, H=3, D=2, C=2, dtype=np.float32)
    found = diagnose(models.loss_function(wide), wide.params, slips.gradients(wide, ("weight_ih", "T-1-t")))
    assert found.kinds == ("operands in reversed order",)


def test_indices_that_read_the_same_are_all_told():
    """With two steps, t-1 that wraps, (t+1) % n and T-1-t are one and the same."""
    made = wrong.problem("rnn", np.random.default_rng(32), T=2, B=2, H=4, D=3, C=3)
    manual = slips.gradients(made, ("weight_ih", "t-1"))
    found = diagnose(models.loss_function(made), made.params, manual)
    (finding,) = found.findings
    assert {finding.kind, *finding.same_kinds} >= {"operand of another step", "operands in reversed order"}
    assert "the same numbers here: " in str(found)


def test_a_state_before_the_first_step_that_is_not_zero_tells_a_guard_from_an_index():
    """h[-1] in place of h0 at the first step alone: right for every other step."""
    rng = np.random.default_rng(33)
    params = {"W": rng.standard_normal((3, 3)) * 0.5, "U": rng.standard_normal((2, 3)) * 0.5}
    xs, h0, T = rng.standard_normal((5, 2, 2)), rng.standard_normal((2, 3)), 5

    def loss_fn(p):
        h, total = Tensor(h0), 0.0
        for t in range(T):
            with scope(t=t):
                h = np.tanh(h @ p["W"] + xs[t] @ p["U"])
                total = total + (h * h).sum()
        return total

    def by_hand(read):
        hs = []
        for x in xs:
            hs.append(np.tanh((hs[-1] if hs else h0) @ params["W"] + x @ params["U"]))
        d, dh = {name: np.zeros_like(value) for name, value in params.items()}, 0.0
        for t in reversed(range(T)):
            da = (2 * hs[t] + dh) * (1 - hs[t] ** 2)
            before = read(hs, t)
            if before is not None:
                d["W"] += before.T @ da
            d["U"] += xs[t].T @ da
            dh = da @ params["W"].T
        return d

    assert diagnose(loss_fn, params, by_hand(lambda hs, t: hs[t - 1] if t else h0)).ok
    found = diagnose(loss_fn, params, by_hand(lambda hs, t: hs[t - 1]))
    assert found.kinds == ("operand of another step",)
    assert "W has h_4 in the product at t=0 where h_{t-1} belongs" in found.findings[0].says
    found = diagnose(loss_fn, params, by_hand(lambda hs, t: hs[t - 1] if t else None))
    assert found.kinds == ("step left out of the sum",)


def test_an_unknown_operand_is_not_blamed_on_the_errors():
    """The other gradients of the same errors are right, so the errors are not said to differ anywhere."""
    made = patient("rnn")
    manual = wrong.gradients(made, {})
    manual["weight_ih"] = manual["weight_ih"] + np.random.default_rng(0).standard_normal((4, 3))
    found = diagnose(models.loss_function(made), made.params, manual)
    text = str(found)
    assert found.location is not None
    assert (found.location.time, found.location.sound) == (None, ("bias_ih", "bias_hh"))
    assert "bias_ih and bias_hh, made of the same errors, are right" in text
    assert "differ first" not in text


def test_where_the_gradients_do_not_tell_no_step_is_named():
    """Everything of the cell is noise: errors that explain it can be found, and prove nothing."""
    made = patient("rnn")
    manual, rng = wrong.gradients(made, {}), np.random.default_rng(1)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        manual[name] = manual[name] + rng.standard_normal(manual[name].shape)
    found = diagnose(models.loss_function(made), made.params, manual)
    assert found.location is not None
    assert (found.location.time, found.location.sound) == (None, ())
    assert "is not known" in str(found)


def test_a_factor_is_told_in_words_with_all_that_it_can_be():
    made = wrong.problem("rnn", np.random.default_rng(34), T=5, B=3, H=4, D=3, C=2, classes=False)
    manual = {name: 0.5 * g for name, g in wrong.gradients(made, {}).items()}
    says = diagnose(models.loss_function(made), made.params, manual).findings[0].says
    assert says == (
        "all gradients are 0.5 times what they should be: half (a forgotten factor 2, as of a square), or divided "
        "by the number of outputs, 2"
    )
    manual = {name: g / 15 for name, g in wrong.gradients(made, {}).items()}
    says = diagnose(models.loss_function(made), made.params, manual).findings[0].says
    assert says.endswith("divided by the number of examples, 3 and divided by the number of time steps, 5")
