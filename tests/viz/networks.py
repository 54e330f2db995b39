"""Small networks written out with plain operators, so that drawings are tested without the layers of `nn`."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.state import record_everything, scope


class Maker:
    """Draws parameters and data from one seeded generator."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)

    def data(self, *shape):
        return tg.tensor(self.rng.standard_normal(shape).astype(np.float32))

    def parameter(self, name, *shape, scale=0.3):
        tensor = tg.tensor((scale * self.rng.standard_normal(shape)).astype(np.float32), requires_grad=True)
        tensor.node.name = name
        return tensor


def weights(make, suffix, D, H, gates=1, scale=0.3):
    """The four parameters of a recurrent layer, in PyTorch's names, shapes and order."""
    return [
        make.parameter(f"weight_ih{suffix}", gates * H, D, scale=scale),
        make.parameter(f"weight_hh{suffix}", gates * H, H, scale=scale),
        make.parameter(f"bias_ih{suffix}", gates * H, scale=scale),
        make.parameter(f"bias_hh{suffix}", gates * H, scale=scale),
    ]


def tanh_cell(x, state, W, U, b, c):
    (h,) = state
    return (tg.tanh(x @ W.T + b + h @ U.T + c),)


def lstm_cell(x, state, W, U, b, c):
    h, cell = state
    gates = x @ W.T + b + h @ U.T + c
    H = h.shape[-1]
    i, f, g, o = (gates[:, k * H : (k + 1) * H] for k in range(4))
    cell = tg.sigmoid(f) * cell + tg.sigmoid(i) * tg.tanh(g)
    return tg.sigmoid(o) * tg.tanh(cell), cell


def gru_cell(x, state, W, U, b, c):
    (h,) = state
    H = h.shape[-1]
    gx, gh = x @ W.T + b, h @ U.T + c
    r = tg.sigmoid(gx[:, :H] + gh[:, :H])
    z = tg.sigmoid(gx[:, H : 2 * H] + gh[:, H : 2 * H])
    n = tg.tanh(gx[:, 2 * H :] + r * gh[:, 2 * H :])
    return ((1 - z) * n + z * h,)


CELLS = {"tanh": (tanh_cell, 1, 1), "lstm": (lstm_cell, 4, 2), "gru": (gru_cell, 3, 1)}


def layer(make, name, xs, H, cell="tanh", reverse=False, scale=0.3):
    """Run one recurrent layer over a list of inputs; returns the list of its outputs."""
    function, gates, states = CELLS[cell]
    B, D = xs[0].shape
    parameters = weights(make, "_" + name, D, H, gates, scale)
    state = tuple(tg.zeros(B, H) for _ in range(states))
    out = [None] * len(xs)
    with scope(name):
        for t in reversed(range(len(xs))) if reverse else range(len(xs)):
            with scope(t=t):
                state = function(xs[t], state, *parameters)
                out[t] = state[0]
    return out


def sequence(make, T=5, B=2, D=3):
    """A (T, B, D) input and its slices, each in its time step."""
    x = make.data(T, B, D)
    slices = []
    for t in range(T):
        with scope(t=t):
            slices.append(x[t])
    return slices


def head(make, y, V=5):
    with scope("head"):
        return y @ make.parameter("weight", V, y.shape[-1]).T + make.parameter("bias", V)


def recurrent(cell="tanh", T=5, layers=1, seed=0, scale=0.3, H=4):
    """A stack of recurrent layers, a linear head on the stacked outputs, and a mean of squares."""
    make = Maker(seed)
    with record_everything():
        with scope("rnn"):
            xs = sequence(make, T)
            for k in range(layers):
                xs = layer(make, f"l{k}", xs, H, cell, scale=scale)
            y = tg.stack(xs)
        z = head(make, y)
        return (z * z).mean()


def bidirectional(cell="tanh", T=5, layers=1, seed=0, H=4):
    make = Maker(seed)
    with record_everything():
        with scope("rnn"):
            xs = sequence(make, T)
            for k in range(layers):
                forward = layer(make, f"l{k}", xs, H, cell)
                backward = layer(make, f"l{k}_reverse", xs, H, cell, reverse=True)
                xs = []
                for t in range(T):
                    with scope(t=t):
                        xs.append(tg.cat([forward[t], backward[t]], dim=-1))
            y = tg.stack(xs)
        z = head(make, y)
        return (z * z).mean()


def per_step_loss(T=5, seed=0, H=4, V=5):
    """A head and a loss in every step, summed as the loop goes on."""
    make = Maker(seed)
    W, U, b, c = weights(make, "", 3, H)
    out, bias = make.parameter("weight_out", V, H), make.parameter("bias_out", V)
    h, total = tg.zeros(2, H), tg.zeros(())
    x, target = make.data(T, 2, 3), make.data(T, 2, V)
    with record_everything():
        for t in range(T):
            with scope(t=t):
                with scope("cell"):
                    (h,) = tanh_cell(x[t], (h,), W, U, b, c)
                with scope("head"):
                    y = h @ out.T + bias
                with scope("loss"):
                    error = y - target[t]
                    total = total + (error * error).mean()
    return total


def plain_loop(T=5, seed=0, H=4, detach_at=None):
    """A loop that knows nothing of scopes: steps have to be inferred."""
    make = Maker(seed)
    W, U = make.parameter("W", 3, H), make.parameter("U", H, H)
    h = tg.zeros(2, H)
    x = make.data(T, 2, 3)
    with record_everything():
        for t in range(T):
            if t == detach_at:
                h = h.detach()
            h = tg.tanh(x[t] @ W + h @ U)
        return (h * h).sum()


def detached(T=6, at=3, seed=0, H=4):
    """Truncated backpropagation: the state is detached before step `at`."""
    make = Maker(seed)
    W, U, b, c = weights(make, "_l0", 3, H)
    h = tg.zeros(2, H)
    outputs = []
    with record_everything(), scope("rnn"):
        xs = sequence(make, T)
        with scope("l0"):
            for t in range(T):
                if t == at:
                    h = h.detach()
                with scope(t=t):
                    (h,) = tanh_cell(xs[t], (h,), W, U, b, c)
                    outputs.append(h)
        return tg.stack(outputs).sum()


def feedforward(seed=0):
    """Three layers in modules, no time."""
    make = Maker(seed)
    y = make.data(8, 6)
    with record_everything():
        for k, (D, H) in enumerate([(6, 16), (16, 16), (16, 3)]):
            with scope(str(k)):
                y = y @ make.parameter("weight", H, D).T + make.parameter("bias", H)
            y = tg.tanh(y) if k < 2 else y
        return (y * y).mean()


def tree(depth=3, seed=0, H=4):
    """A recursive network over a binary tree: one weight, used at every inner node."""
    make = Maker(seed)
    W, b = make.parameter("weight", 2 * H, H), make.parameter("bias", H)
    with record_everything():
        level = [make.data(H) for _ in range(2**depth)]
        while len(level) > 1:
            level = [tg.tanh(tg.cat([a, c]) @ W + b) for a, c in zip(level[::2], level[1::2], strict=True)]
        return level[0].sum()


def expression(seed=0):
    """A loss expression with shared parts and numbers."""
    make = Maker(seed)
    a, b = make.parameter("a", 3), make.parameter("b", 3)
    with record_everything():
        c = a * b
        d = tg.exp(-c) + 0.5
        return (c / d + tg.log(d) * 2.0).sum()


def last_state_loss(T=10, scale=0.3, seed=0, H=4, cell="tanh"):
    """Only the last state is judged, so the gradient has to travel all the way; float64, so digits do not depend on the
    machine.
    """
    rng = np.random.default_rng(seed)
    gates = CELLS[cell][1]
    parameters = []
    G = gates * H
    shapes = {"weight_ih": (G, 3), "weight_hh": (G, H), "bias_ih": (G,), "bias_hh": (G,)}
    for name, shape in shapes.items():
        parameters.append(tg.tensor(scale * rng.standard_normal(shape), requires_grad=True))
        parameters[-1].node.name = f"{name}_l0"
    x = tg.tensor(rng.standard_normal((T, 2, 3)))
    state = tuple(tg.zeros(2, H, dtype=tg.float64) for _ in range(CELLS[cell][2]))
    with record_everything(), scope("rnn"), scope("l0"):
        for t in range(T):
            with scope(t=t):
                state = CELLS[cell][0](x[t], state, *parameters)
    with record_everything():
        return (state[0] * state[0]).sum()


def orthogonal(T, factor, seed=0, H=4):
    """A linear recurrence whose matrix is orthogonal times `factor`: the gradient changes by exactly that factor a
    step.
    """
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((H, H)))
    U = tg.tensor(factor * q, requires_grad=True)
    U.node.name = "weight_hh_l0"
    x, h = tg.tensor(rng.standard_normal((T, 1, H))), tg.zeros(1, H, dtype=tg.float64)
    with record_everything():
        with scope("l0"):
            for t in range(T):
                with scope(t=t):
                    h = x[t] + h @ U
        return h.sum()


HOSTILE = "</script><img src=x onerror=alert(1)>&\"'<b>\x00\u202e]]>"


def hostile(T=3, seed=0, H=4, name=HOSTILE):
    """Names of modules and parameters that would break a careless writer."""
    make = Maker(seed)
    h, W, U = tg.zeros(2, H), make.parameter(name, 3, H), make.parameter("<script>", H, H)
    x = make.data(T, 2, 3)
    with record_everything():
        with scope(name.replace(".", "_")):
            for t in range(T):
                with scope(t=t):
                    h = tg.tanh(x[t] @ W + h @ U)
        return h.sum()
