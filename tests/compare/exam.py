"""The examination: which mistakes a random model can be given, and by which name the doctor has to call each."""

import numpy as np

from tests.compare.wrong import GATES, gradients, problem

ACTIVATIONS = {"rnn": ("h",), "lstm": ("i", "f", "g", "o", "c"), "gru": ("r", "z", "n")}

# switch of wrong.py -> the doctor's name for it
NAMES = {
    "shared activation": "activation shared by all steps",
    "not transposed": "weight not transposed",
    "returned transposed": "transposed",
    "derivative missing": "activation derivative missing",
    "derivative at the pre-activation": "derivative at the pre-activation",
    "cut after 1": "BPTT cut after k steps",
    "cut after k": "BPTT cut after k steps",
    "earlier outputs dropped": "outputs of earlier steps dropped",
    "outputs shifted": "outputs shifted by one step",
    "last output at every step": "last output's error at every step",
    "h_t for h_{t-1}": "operand of another step",
    "overwritten": "overwritten instead of accumulated",
    "bias not summed": "bias not summed over the batch",
    "missing": "missing",
    "factor": "constant factor",
    "sign": "sign",
    "clip value": "clipped by value",
    "clip norm": "clipped by norm",
    "softmax only": "softmax instead of softmax minus one-hot",
    "gate order swapped": "gate order swapped",
    "cell carry dropped": "carry dropped",
    "forget path dropped": "path dropped",
    "forget factor missing": "factor missing",
    "update carry dropped": "carry dropped",
    "reset on the wrong side": "reset gate on the wrong side",
}
ONLY = {
    "gate order swapped": ("lstm", "gru"),
    "cell carry dropped": ("lstm",),
    "forget path dropped": ("lstm",),
    "forget factor missing": ("lstm",),
    "update carry dropped": ("gru",),
    "reset on the wrong side": ("gru",),
}
NEEDS_EVERY_STEP = {"earlier outputs dropped", "outputs shifted", "overwritten", "cut after k", "cut after 1"}
NEEDS_LAST_STEP = {"last output at every step"}
NEEDS_BATCH = {"bias not summed"}
CELL_PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def mistakes_of(cell):
    """The mistakes that a cell can have."""
    return [name for name in NAMES if cell in ONLY.get(name, (cell,))]


def patient(cell, names, rng, dtype=np.float64):
    """A random problem in which the named mistakes show, and the switches that make them."""
    every_step = bool(rng.integers(2))
    every_step = (every_step or bool(NEEDS_EVERY_STEP & set(names))) and not NEEDS_LAST_STEP & set(names)
    classes = bool(rng.integers(2)) or "softmax only" in names
    B = int(rng.integers(2, 5)) if NEEDS_BATCH & set(names) else None
    T = int(rng.integers(4, 8)) if "cut after k" in names else None
    made = problem(cell, rng, every_step=every_step, classes=classes, B=B, T=T, dtype=dtype)
    switches = {}
    for name in names:
        switch, value = switch_of(name, made, rng)
        switches[switch] = value
    return made, switches


def shows(made, switches):
    """Whether each of the mistakes changes the numbers in the company of the others: otherwise nobody could name it."""
    whole = gradients(made, switches)
    for name in switches:
        less = gradients(made, {other: value for other, value in switches.items() if other != name})
        if all(
            whole[n].shape == less[n].shape and np.allclose(whole[n], less[n], rtol=1e-6, atol=1e-12) for n in whole
        ):
            return False
    return True


def switch_of(name, made, rng):
    """The switch for a mistake, with a random place or amount."""
    if name in ("shared activation", "derivative missing", "derivative at the pre-activation"):
        return name, str(rng.choice(ACTIVATIONS[made.cell]))
    if name == "cut after 1":
        return "cut after", 1
    if name == "cut after k":
        return "cut after", int(rng.integers(2, len(made.x) - 1))
    if name == "returned transposed":
        square = ["weight_hh"] if made.cell == "rnn" else []
        return name, str(rng.choice(["weight_ih", "head.weight", *square]))
    if name == "overwritten":
        return name, str(rng.choice([*CELL_PARAMETERS, "all"]))
    if name == "missing":
        return name, str(rng.choice(["bias_ih", "bias_hh", "head.bias"]))
    if name == "sign":
        return name, str(rng.choice([*made.params, "all"]))
    if name == "factor":
        B, T = made.x.shape[1], len(made.x)
        factors = [c for c in (1 / B, 1 / T, 2.0, 0.5) if c != 1]
        return name, (str(rng.choice([*CELL_PARAMETERS, "all"])), float(rng.choice(factors)))
    if name == "clip value":
        return name, 0.3
    if name == "clip norm":
        return name, 0.37
    if name == "gate order swapped":
        i, j = rng.choice(len(GATES[made.cell]), 2, replace=False)
        return name, (int(i), int(j))
    return name, True
