"""Backward passes as a newcomer writes them, each with one natural slip: what the doctor has to name.

Lists of T inputs `xs` and T+1 states `hs` (hs[0] stands before the first step: step t reads hs[t] and makes hs[t+1]),
one loop back through time, everything accumulated inside of it. Models and shapes are those of `wrong.py`.
"""

import numpy as np

from tests.compare import wrong

# index as it is typed -> what it gives for step t of T in a list of n entries; None where a guard leaves the step out
INDICES = {
    "t+1 if t+1 < n": lambda t, T, n: t + 1 if t + 1 < n else None,
    "t+2 if t+2 < n": lambda t, T, n: t + 2 if t + 2 < n else None,
    "t-1 if t > 0": lambda t, T, n: t - 1 if t > 0 else None,
    "t-2 if t > 1": lambda t, T, n: t - 2 if t > 1 else None,
    "t-1": lambda t, T, n: t - 1,
    "t-2": lambda t, T, n: t - 2,
    "(t+1) % n": lambda t, T, n: (t + 1) % n,
    "min(t+1, n-1)": lambda t, T, n: min(t + 1, n - 1),
    "max(t-1, 0)": lambda t, T, n: max(t - 1, 0),
    "-1": lambda t, T, n: -1,
    "0": lambda t, T, n: 0,
    "T-1-t": lambda t, T, n: T - 1 - t,
    "T-t": lambda t, T, n: T - t,
    "-t": lambda t, T, n: -t,
    "-1-t": lambda t, T, n: -1 - t,
    "t if t > 0": lambda t, T, n: t if t > 0 else None,
    "t if t < T-1": lambda t, T, n: t if t < T - 1 else None,
    "t+1": lambda t, T, n: t + 1,
    "t": lambda t, T, n: t,
}


class Student:
    """One backward pass. plant: "" for a right one, a word that the cell knows, or (parameter, a key of INDICES)."""

    def __init__(self, made, plant):
        self.made, self.plant = made, plant
        self.p, self.steps = made.params, wrong.forward(made)
        self.T, B = made.x.shape[:2]
        zero = np.zeros((B, made.hidden), made.x.dtype)
        self.xs = list(made.x)
        self.hs = [zero, *(s["h_new"] for s in self.steps)]
        self.d = {name: np.zeros_like(value) for name, value in self.p.items()}

    def read(self, name, sequence, t, right):
        """The operand of a weight, by the index that is planted or the right one; None for a step left out."""
        planted = self.plant[0] == name if isinstance(self.plant, tuple) else False
        index = INDICES[self.plant[1] if planted else right](t, self.T, len(sequence))
        return None if index is None else sequence[index]

    def output_errors(self):
        made, steps = self.made, self.steps
        if self.plant == "targets of the next step":
            made = wrong.dataclasses.replace(made, targets=np.roll(made.targets, -1, axis=0))
        if self.plant == "targets of the step before":
            made = wrong.dataclasses.replace(made, targets=np.roll(made.targets, 1, axis=0))
        return wrong.head_errors(made, steps, {})[0]

    def gradients(self):
        T, d, p, plant = self.T, self.d, self.p, self.plant
        dys = self.output_errors()
        dh_next = dc_next = np.zeros_like(self.hs[0])
        order = {"loop stops at 1": range(T - 1, 0, -1), "loop starts at T-2": range(T - 2, -1, -1),
                 "loop runs forward": range(T)}.get(plant, range(T - 1, -1, -1))  # fmt: skip
        for t in order:
            s, dy = self.steps[t], dys[t]
            read = self.read("head.weight", self.hs, t, "t+1")
            if read is not None:
                d["head.weight"] += dy.T @ read
            if plant != ("head.bias", "t if t < T-1") or t < T - 1:
                d["head.bias"] += dy.sum(0)
            back = {"rnn": self.rnn, "lstm": self.lstm, "gru": self.gru}[self.made.cell]
            da, db, dh_next, dc_next = back(t, s, dy @ p["head.weight"], dh_next, dc_next)
            self.accumulate(t, s, da, db)
        return d

    def accumulate(self, t, s, da, db):
        d, plant = self.d, self.plant
        x, h = self.read("weight_ih", self.xs, t, "t"), self.read("weight_hh", self.hs, t, "t")
        if x is not None:
            d["weight_ih"] += da.T @ x
        if h is not None:
            d["weight_hh"] += (da if plant == "r missing from dWhn" else db).T @ h
        for name, error in (("bias_ih", da), ("bias_hh", da if plant == "r missing from dbhn" else db)):
            if plant == "bias from dh" and name == "bias_ih":
                error = self.dh
            if (plant == (name, "t if t > 0") and t == 0) or (plant == (name, "t if t < T-1") and t == self.T - 1):
                continue
            d[name] = error.sum(0) if plant == "bias assigned" and name == "bias_ih" else d[name] + error.sum(0)

    def rnn(self, t, s, from_output, dh_next, dc_next):
        slope, W, plant = 1 - s["h"] ** 2, self.p["weight_hh"], self.plant
        dh = self.dh = from_output + dh_next + (plant == "error of the output added twice") * from_output
        da = dh * slope
        if plant == "slope on the output's error only":
            da = from_output * slope + dh_next
        if plant == "slope on the carried error only":
            da = from_output + dh_next * slope
        back = (dh if plant == "dh through W" else da) @ W
        if plant == "error added, not replaced":
            back = dh_next + back
        if plant == "slope twice":
            back = (da * slope) @ W
        if plant == "1 + h^2":
            da = dh * (1 + s["h"] ** 2)
            back = da @ W
        if plant == "1 - h":
            da = dh * (1 - s["h"])
            back = da @ W
        return da, da, back, dc_next

    def lstm(self, t, s, from_output, dh_next, dc_next):
        H, W, plant = self.made.hidden, self.p["weight_hh"], self.plant
        dh = self.dh = from_output + dh_next
        tc = s["c"]  # tanh of the cell state
        dc = dc_next + dh * s["o"] * (1 - tc**2)
        if plant == "dc without dc_next":
            dc = dh * s["o"] * (1 - tc**2)
        if plant == "slope on dc_next too":
            dc = (dc_next + dh * s["o"]) * (1 - tc**2)
        di, df, dg, do = dc * s["g"], dc * s["c_prev"], dc * s["i"], dh * tc
        if plant == "do = dh * c":
            do = dh * s["a_c"]
        if plant == "df = dc * c_t":
            df = dc * s["a_c"]
        if plant == "di = dc * i":
            di = dc * s["i"]
        if plant == "dg = dc * g":
            dg = dc * s["g"]
        if plant == "df = dc * f":
            df = dc * s["f"]
        if plant == "dc_next taken for dc":
            di, df, dg = (dc_next * s[k] for k in ("g", "c_prev", "i"))
        da = [
            di * s["i"] * (1 - s["i"]), df * s["f"] * (1 - s["f"]), dg * (1 - s["g"] ** 2), do * s["o"] * (1 - s["o"])
        ]  # fmt: skip
        if plant == "sigmoid slope for g":
            da[2] = dg * s["g"] * (1 - s["g"])
        if plant == "tanh slope for o":
            da[3] = do * (1 - s["o"] ** 2)
        new_dc = dc * s["f"]
        if plant == "f of the next step":
            new_dc = dc * self.steps[min(t + 1, self.T - 1)]["f"]
        if plant == "dc_next = dc * i":
            new_dc = dc * s["i"]
        whole = np.hstack(da)
        back = whole @ W
        if plant == "one gate forgotten in dh":
            back = whole[:, : 3 * H] @ W[: 3 * H]
        if plant == "error added, not replaced":
            back = dh_next + back
        if plant == "dc added, not replaced":
            new_dc = new_dc + dc_next
        return whole, whole, back, new_dc

    def gru(self, t, s, from_output, dh_next, dc_next):
        H, W, plant = self.made.hidden, self.p["weight_hh"], self.plant
        dh = self.dh = from_output + dh_next
        r, z, n, h = s["r"], s["z"], s["n"], s["h_prev"]
        dn, dz = dh * (1 - z), dh * (h - n)
        if plant == "dz = dh * (n - h)":
            dz = dh * (n - h)
        if plant == "z and 1-z swapped":
            dn = dh * z
        if plant == "dz without n":
            dz = dh * h
        dan = dn * (1 - n**2)
        dr = dan * s["m"]
        if plant == "dr = dan * h":
            dr = dan * h
        if plant == "dr from dn":
            dr = dn * s["m"]
        dar, daz = dr * r * (1 - r), dz * z * (1 - z)
        da, db = np.hstack([dar, daz, dan]), np.hstack([dar, daz, dan * r])
        direct = dh * (1 - z) if plant == "z and 1-z swapped" else dh * z
        back = (da if plant == "r missing on the way back" else db) @ W + direct
        if plant == "one gate forgotten in dh":
            back = db[:, H:] @ W[H:] + direct
        if plant == "error added, not replaced":
            back = dh_next + back
        return da, db, back, dc_next


def gradients(made, plant=""):
    """The gradients of a problem with the slip, right if it is empty."""
    return Student(made, plant).gradients()
