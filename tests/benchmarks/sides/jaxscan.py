"""The workloads in JAX: `lax.scan` over time, input products and output head outside of it, the whole step jitted."""

import jax
import jax.numpy as jnp
from jax import lax

from tests.benchmarks.sides.torchlike import Work
from tests.benchmarks.workloads import LEARNING_RATE, MAX_NORM, WORKLOADS, Workload

# Without this a small step is handed to another thread and waited for.
jax.config.update("jax_cpu_enable_async_dispatch", False)


def step(_: str, name: str) -> Work:
    """One training step of a workload: forward, loss, backward, clip, SGD, as one jitted function."""
    load = WORKLOADS[name]
    parameters = {key: jnp.asarray(array) for key, array in load.parameters().items()}
    inputs, targets = (jnp.asarray(array) for array in load.batch())

    def update(parameters, inputs, targets):
        loss, gradients = jax.value_and_grad(_loss)(parameters, inputs, targets, load)
        norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in gradients.values()))
        scale = LEARNING_RATE * jnp.minimum(1.0, MAX_NORM / (norm + 1e-6))
        return loss, {key: p - scale * gradients[key] for key, p in parameters.items()}

    update = jax.jit(update, donate_argnums=0)
    state = [parameters]

    def work():
        loss, state[0] = jax.block_until_ready(update(state[0], inputs, targets))
        return loss

    return work, 1


def _loss(p, inputs, targets, load: Workload):
    x = p["embedding.weight"][inputs] if load.words else inputs
    for layer in range(load.L):
        x = _LAYERS[load.cell](x, *(p[f"rnn.{name}_l{layer}"] for name in _NAMES))
    y = x @ p["head.weight"].T + p["head.bias"]
    if load.V == 1:
        return jnp.mean((y - targets) ** 2)
    picked = jnp.take_along_axis(y, targets[..., None], axis=-1)[..., 0]
    return jnp.mean(jax.nn.logsumexp(y, axis=-1) - picked)


_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _rnn(x, w_ih, w_hh, b_ih, b_hh):
    def cell(h, a):
        h = jnp.tanh(a + h @ w_hh.T)
        return h, h

    return lax.scan(cell, jnp.zeros((x.shape[1], w_hh.shape[1]), x.dtype), x @ w_ih.T + (b_ih + b_hh))[1]


def _lstm(x, w_ih, w_hh, b_ih, b_hh):
    def cell(state, a):
        h, c = state
        i, f, g, o = jnp.split(a + h @ w_hh.T, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zero = jnp.zeros((x.shape[1], w_hh.shape[1]), x.dtype)
    return lax.scan(cell, (zero, zero), x @ w_ih.T + (b_ih + b_hh))[1]


def _gru(x, w_ih, w_hh, b_ih, b_hh):
    def cell(h, a):
        r_x, z_x, n_x = jnp.split(a, 3, axis=1)
        r_h, z_h, n_h = jnp.split(h @ w_hh.T + b_hh, 3, axis=1)
        r, z = jax.nn.sigmoid(r_x + r_h), jax.nn.sigmoid(z_x + z_h)
        n = jnp.tanh(n_x + r * n_h)
        h = (1 - z) * n + z * h
        return h, h

    return lax.scan(cell, jnp.zeros((x.shape[1], w_hh.shape[1]), x.dtype), x @ w_ih.T + b_ih)[1]


_LAYERS = {"RNN": _rnn, "LSTM": _lstm, "GRU": _gru}
