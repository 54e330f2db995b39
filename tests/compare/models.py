"""The models of `wrong.py` as recorded graphs, of plain operators or of layers: the losses that the doctor reads."""

import contextlib

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.models import GRUModel, LSTMModel, TanhModel
from tinygrad_rnn.nn import functional as F
from tinygrad_rnn.nn.utils.stateless import functional_call
from tinygrad_rnn.ops.loss import cross_entropy
from tinygrad_rnn.ops.special import sigmoid
from tinygrad_rnn.state import scope
from tinygrad_rnn.tensor import Tensor


def loss_function(problem, style="scoped"):
    """`loss_fn(params)` of a problem; style: operators in time scopes ("scoped") or not ("bare"), or "layers"."""
    return in_layers(problem) if style == "layers" else in_operators(problem, style == "scoped")


def in_layers(problem):
    twin = TWINS[problem.cell].from_manual(problem.params)
    if problem.every_step:
        return twin.loss_fn(problem.x, problem.targets)

    def loss_fn(p):
        def last(x, targets):
            y = functional_call(twin, {twin.pairs[name][0]: value for name, value in p.items()}, x)[-1]
            target = tg.tensor(targets)
            return F.cross_entropy(y, target) if problem.classes else F.mse_loss(y, target)

        return last(problem.x, problem.targets)

    return loss_fn


def in_operators(problem, scoped):
    def loss_fn(p):
        x, H = problem.x, problem.hidden
        h = c = Tensor(np.zeros((x.shape[1], H), x.dtype))
        total = None
        for t in range(len(x)):
            with scope(t=t) if scoped else contextlib.nullcontext():
                from_x = x[t] @ np.transpose(p["weight_ih"]) + p["bias_ih"]
                from_h = h @ np.transpose(p["weight_hh"]) + p["bias_hh"]
                h, c = CELLS[problem.cell](from_x, from_h, h, c, H)
                if problem.every_step or t == len(x) - 1:
                    y = h @ np.transpose(p["head.weight"]) + p["head.bias"]
                    target = problem.targets[t] if problem.every_step else problem.targets
                    part = np.sum(cross_entropy(y, target) if problem.classes else (y - target) * (y - target))
                    total = part if total is None else total + part
        return total * (1 / problem.targets.size)

    return loss_fn


def blocks(a, H, count):
    return [a[:, k * H : (k + 1) * H] for k in range(count)]


def rnn(from_x, from_h, h, c, H):
    return np.tanh(from_x + from_h), c


def lstm(from_x, from_h, h, c, H):
    i, f, g, o = blocks(from_x + from_h, H, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru(from_x, from_h, h, c, H):
    (x_r, x_z, x_n), (h_r, h_z, h_n) = blocks(from_x, H, 3), blocks(from_h, H, 3)
    z = sigmoid(x_z + h_z)
    n = np.tanh(x_n + sigmoid(x_r + h_r) * h_n)
    return (1 - z) * n + z * h, c


CELLS = {"rnn": rnn, "lstm": lstm, "gru": gru}
TWINS = {"rnn": TanhModel, "lstm": LSTMModel, "gru": GRUModel}
