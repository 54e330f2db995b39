"""Backward passes by hand, for RNN, LSTM and GRU, with a switch for every mistake: what the doctor is examined on.

Plain NumPy, written step by step as a student would, and independent of the doctor: no graph, no edits, nothing of its
code. A mistake is a key of `mistakes`; its value says where (a gate, a parameter), or how much. Shapes and names are
those of `tinygrad_rnn.manual.rnn` and `.gated`: inputs (T, B, D), weights (gates * H, D) and (gates * H, H).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

GATES = {"rnn": ("h",), "lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}
TANH = {"h", "g", "n", "c"}


@dataclasses.dataclass
class Problem:
    """One random small model with data. targets: (B,) or (T, B) classes, or floats with a last axis C; loss: mean over
    all of them.
    """

    cell: str
    params: dict[str, np.ndarray]
    x: np.ndarray
    targets: np.ndarray
    every_step: bool

    @property
    def classes(self) -> bool:
        return self.targets.dtype.kind == "i"

    @property
    def hidden(self) -> int:
        return self.params["weight_hh"].shape[1]


def problem(cell, rng, *, every_step=True, classes=True, B=None, T=None, H=None, D=None, C=None, dtype=np.float64):
    def pick(given, low, high):
        return int(rng.integers(low, high)) if given is None else given

    B, T, H, D, C = pick(B, 1, 5), pick(T, 3, 8), pick(H, 3, 9), pick(D, 2, 6), pick(C, 2, 6)
    n = len(GATES[cell])
    shapes = {
        "weight_ih": (n * H, D), "weight_hh": (n * H, H), "bias_ih": (n * H,), "bias_hh": (n * H,),
        "head.weight": (C, H), "head.bias": (C,),
    }  # fmt: skip
    params = {name: (rng.standard_normal(shape) * 0.6).astype(dtype) for name, shape in shapes.items()}
    lead = (T, B) if every_step else (B,)
    targets = rng.integers(0, C, lead) if classes else rng.standard_normal((*lead, C)).astype(dtype)
    return Problem(cell, params, rng.standard_normal((T, B, D)).astype(dtype), targets, every_step)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def slope(name, y, a, mistakes):
    """The derivative of an activation, from its output y and its argument a."""
    if name == mistakes.get("derivative missing"):
        return np.ones_like(y)
    if name == mistakes.get("derivative at the pre-activation"):
        y = a
    return 1 - y * y if name in TANH else y * (1 - y)


def forward(problem):
    """Every step's values, a list of dicts; states before the first step are zero."""
    p, cell, H = problem.params, problem.cell, problem.hidden
    h = c = np.zeros((problem.x.shape[1], H), problem.x.dtype)
    steps = []
    for x in problem.x:
        from_x, from_h = x @ p["weight_ih"].T + p["bias_ih"], h @ p["weight_hh"].T + p["bias_hh"]
        s = {"x": x, "h_prev": h, "c_prev": c}
        blocks = [slice(k * H, (k + 1) * H) for k in range(len(GATES[cell]))]
        for gate, block in zip(GATES[cell], blocks, strict=True):
            s["m"] = from_h[:, block]  # what the state alone contributes; the GRU's candidate needs it
            a = from_x[:, block] + (s["r"] * s["m"] if gate == "n" else s["m"])
            s["a_" + gate] = a
            s[gate] = np.tanh(a) if gate in TANH else sigmoid(a)
        if cell == "rnn":
            h = s["h"]
        elif cell == "lstm":
            c = s["f"] * c + s["i"] * s["g"]
            s["a_c"], s["c"] = c, np.tanh(c)
            h = s["o"] * s["c"]
        else:
            h = (1 - s["z"]) * s["n"] + s["z"] * h
        s["h_new"] = h
        steps.append(s)
    return steps


def step_back(problem, s, kept, dh, dc, mistakes):
    """One step back. kept: the activations' stored outputs, usually s itself. Returns errors at both sides' products,
    dh, dc.
    """
    H, W = problem.hidden, problem.params["weight_hh"]
    if problem.cell == "rnn":
        da = [dh * slope("h", kept["h"], kept["a_h"], mistakes)]
        db = da
        direct, dc_prev = 0.0, 0.0
    elif problem.cell == "lstm":
        dc = dc + dh * s["o"] * slope("c", kept["c"], kept["a_c"], mistakes)
        d = {"i": dc * s["g"], "f": dc * s["c_prev"], "g": dc * s["i"], "o": dh * s["c"]}
        if "forget path dropped" in mistakes:
            d["f"] = np.zeros_like(dc)
        da = [d[g] * slope(g, kept[g], kept["a_" + g], mistakes) for g in GATES["lstm"]]
        db = da
        direct, dc_prev = 0.0, dc * s["f"]
        if "forget factor missing" in mistakes:
            dc_prev = dc
        if "cell carry dropped" in mistakes:
            dc_prev = np.zeros_like(dc)
    else:
        dn = dh * (1 - s["z"]) * slope("n", kept["n"], kept["a_n"], mistakes)
        dz = dh * (s["h_prev"] - s["n"]) * slope("z", kept["z"], kept["a_z"], mistakes)
        m, Wn = s["m"], W[2 * H :]
        if "reset on the wrong side" in mistakes:  # as if n = tanh(... + W (r * h) + b)
            dr = ((dn @ Wn) * s["h_prev"]) * slope("r", kept["r"], kept["a_r"], mistakes)
            da, db = [dr, dz, dn], [dr, dz, dn]
        else:
            dr = (dn * m) * slope("r", kept["r"], kept["a_r"], mistakes)
            da, db = [dr, dz, dn], [dr, dz, dn * s["r"]]
        direct, dc_prev = dh * s["z"], 0.0
        if "update carry dropped" in mistakes:
            direct = np.zeros_like(dh)
    if "gate order swapped" in mistakes:
        i, j = mistakes["gate order swapped"]
        da, db = list(da), list(db)
        da[i], da[j] = da[j], da[i]
        if problem.cell == "gru":
            db[i], db[j] = db[j], db[i]
        else:
            db = da
    blocks = [W[k * H : (k + 1) * H] for k in range(len(db))]
    if "not transposed" in mistakes:
        parts = [d @ block.T for d, block in zip(db, blocks, strict=True)]
    else:
        parts = [d @ block for d, block in zip(db, blocks, strict=True)]
    if problem.cell == "gru" and "reset on the wrong side" in mistakes:
        parts[2] = parts[2] * s["r"]
    return np.hstack(da), np.hstack(db), sum(parts) + direct, dc_prev


def head_errors(problem, steps, mistakes):
    """dL/dy: (T, B, C), zero at steps without output."""
    p, T = problem.params, len(steps)
    H = np.stack([s["h_new"] for s in steps])
    y = H @ p["head.weight"].T + p["head.bias"]
    d = np.zeros_like(y)
    rows = range(T) if problem.every_step else [T - 1]
    targets = problem.targets if problem.every_step else problem.targets[None]
    for target, t in zip(targets, rows, strict=True):
        if problem.classes:
            e = np.exp(y[t] - y[t].max(axis=1, keepdims=True))
            d[t] = e / e.sum(axis=1, keepdims=True)
            if "softmax only" not in mistakes:
                d[t, np.arange(len(target)), target] -= 1
        else:
            d[t] = 2 * (y[t] - target)
    return d / problem.targets.size, H


def gradients(problem: Problem, mistakes: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The gradients, wrong in the ways that `mistakes` says; right if it is empty."""
    p, steps = problem.params, forward(problem)
    T = len(steps)
    dy, H = head_errors(problem, steps, mistakes)
    grads = {name: np.zeros_like(value) for name, value in p.items()}
    grads["head.weight"] += np.einsum("tbc,tbh->ch", dy, H)
    grads["head.bias"] += dy.sum(axis=(0, 1))
    enters = dy @ p["head.weight"]
    if "earlier outputs dropped" in mistakes:
        enters[:-1] = 0
    if "outputs shifted" in mistakes:
        enters = np.concatenate([enters[1:], enters[-1:]])
    if "last output at every step" in mistakes:
        enters = np.stack([enters[-1]] * T)
    k = mistakes.get("cut after", T)
    sources = [(None, T - 1, T)] if k == T else [(t, t, k) for t in range(T)]
    bias_rows = np.zeros((problem.x.shape[1], p["bias_ih"].size))
    for only, start, length in sources:
        dh = dc = np.zeros_like(steps[0]["h_new"])
        for t in range(start, max(start - length, -1), -1):
            s = steps[t]
            kept = dict(s)
            if "shared activation" in mistakes:
                gate = mistakes["shared activation"]
                kept[gate], kept["a_" + gate] = steps[-1][gate], steps[-1]["a_" + gate]
            dh = dh + (enters[t] if only is None or t == only else 0)
            da, db, dh, dc = step_back(problem, s, kept, dh, dc, mistakes)
            read = s["h_new"] if "h_t for h_{t-1}" in mistakes else s["h_prev"]
            weight_hh = db.T @ read
            if problem.cell == "gru" and "reset on the wrong side" in mistakes:
                n = slice(2 * problem.hidden, None)
                weight_hh[n] = db[:, n].T @ (s["r"] * s["h_prev"])
            share = {"weight_ih": da.T @ s["x"], "weight_hh": weight_hh, "bias_ih": da.sum(0), "bias_hh": db.sum(0)}
            bias_rows += da
            for name, value in share.items():
                overwritten = mistakes.get("overwritten") in (name, "all")
                grads[name] = value if overwritten else grads[name] + value
    return finished(problem, grads, bias_rows, mistakes)


def finished(problem, grads, bias_rows, mistakes):
    if "returned transposed" in mistakes:
        name = mistakes["returned transposed"]
        grads[name] = grads[name].T.copy()
    if "bias not summed" in mistakes:
        grads["bias_ih"] = bias_rows
    if "missing" in mistakes:
        grads[mistakes["missing"]] = np.zeros_like(grads[mistakes["missing"]])
    if "sign" in mistakes:
        names = list(grads) if mistakes["sign"] == "all" else [mistakes["sign"]]
        grads.update({name: -grads[name] for name in names})
    if "factor" in mistakes:
        which, c = mistakes["factor"]
        names = list(grads) if which == "all" else [which]
        grads.update({name: c * grads[name] for name in names})
    if "clip value" in mistakes:
        c = mistakes["clip value"] * max(np.abs(g).max() for g in grads.values())
        grads = {name: np.clip(g, -c, c) for name, g in grads.items()}
    if "clip norm" in mistakes:
        norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
        c = float(f"{mistakes['clip norm'] * norm:.1g}")
        grads = {name: g * min(1.0, c / norm) for name, g in grads.items()}
    return grads
