"""The mistakes that widely read tutorials publish, re-stated: one backward pass by hand for each, wrong as they are
wrong.

Each returns the gradients under the names of the twin's handwritten side. S0.12 and the like number the cases.
"""

import numpy as np


def series(params, x, y, *, shared=False, untransposed=False, shifted=False, transposed_result=False):
    """The time-series course: all four at once in the original (S0.12), the last alone in its revision (S0.11)."""
    Wh, Wi, Wo, bias = (params[name] for name in ("Wh", "Wi", "Wo", "bias"))
    T, H = len(x), [np.zeros((len(Wh), 1))]
    for x_t in x:
        H.append(np.tanh(Wh @ H[-1] + Wi @ x_t[:, None] + bias))
    dy = np.array([(Wo @ h)[0, 0] for h in H[1:]]) - y[:, 0]
    d = {name: np.zeros_like(value) for name, value in params.items()}
    dh = Wo.T * dy[-1]
    for t in reversed(range(T)):
        stored = H[T] if shared else H[t + 1]
        da = dh * (1 - stored**2)
        d["Wh"] += H[t] @ da.T if transposed_result else da @ H[t].T
        d["Wi"] += da @ x[t][None]
        d["bias"] += da
        d["Wo"] += dy[t] * H[t + 1].T
        dh = (Wh if untransposed else Wh.T) @ da + Wo.T * dy[t if shifted else t - 1]
    return d


def last_state_everywhere(params, x, dh_last):
    """The assignment's BPTT (S1.3): the gradient at the last state is added at every step; divided by the batch."""
    Wx, Wh, Bh = params["Wx"], params["Wh"], params["Bh"]
    hs = [np.zeros((len(x), len(Wh)))]
    for t in range(x.shape[1]):
        hs.append(np.tanh(x[:, t] @ Wx + hs[-1] @ Wh + Bh))
    d = {name: np.zeros_like(value) for name, value in params.items()}
    dh = np.zeros_like(hs[0])
    for t in reversed(range(x.shape[1])):
        da = (dh_last + dh) * (1 - hs[t + 1] ** 2)
        d["Wx"] += x[:, t].T @ da / len(x)
        d["Wh"] += hs[t].T @ da / len(x)
        d["Bh"] += da.sum(axis=0) / len(x)
        dh = da @ Wh.T
    return d


def half_the_gradient(params, x, y):
    """The assignment's trainer (S1.4): the printed loss is the mean square, its error signal lacks the 2."""
    Wx, Wh, Wy, Bh, By = (params[name] for name in ("Wx", "Wh", "Wy", "Bh", "By"))
    hs = [np.zeros((len(x), len(Wh)))]
    for t in range(x.shape[1]):
        hs.append(np.tanh(x[:, t] @ Wx + hs[-1] @ Wh + Bh))
    dy = (hs[-1] @ Wy + By - y) / len(x)
    d = {name: np.zeros_like(value) for name, value in params.items()}
    d["Wy"], d["By"] = hs[-1].T @ dy, dy.sum(axis=0)
    dh = dy @ Wy.T
    for t in reversed(range(x.shape[1])):
        da = dh * (1 - hs[t + 1] ** 2)
        d["Wx"] += x[:, t].T @ da
        d["Wh"] += hs[t].T @ da
        d["Bh"] += da.sum(axis=0)
        dh = da @ Wh.T
    return d


def not_divided_by_the_batch(params, x, y):
    """The character model (S2.6): the loss is a mean over the batch, the error signal y_hat - y is not."""
    Waa, Wax, Wya, ba, by = (params[name] for name in ("Waa", "Wax", "Wya", "ba", "by"))
    a = [np.zeros((len(Waa), x.shape[1]))]
    d = {name: np.zeros_like(value) for name, value in params.items()}
    for t in range(x.shape[2]):
        a.append(np.tanh(Wax @ x[:, :, t] + Waa @ a[-1] + ba))
    da = np.zeros_like(a[0])
    for t in reversed(range(x.shape[2])):
        z = np.exp(Wya @ a[t + 1] + by)
        dz = z / z.sum(axis=0) - y[:, :, t]
        du = (1 - a[t + 1] ** 2) * (Wya.T @ dz + da)
        d["Wya"] += dz @ a[t + 1].T
        d["by"] += dz.sum(axis=1, keepdims=True)
        d["Wax"] += du @ x[:, :, t].T
        d["Waa"] += du @ a[t].T
        d["ba"] += du.sum(axis=1, keepdims=True)
        da = Waa.T @ du
    return d


def sentence(params, inputs, label, clip=1.0):
    """The sentence classifier (S3.5): Whh in place of its transpose, and every entry clipped to [-1, 1]."""
    Wxh, Whh, Why, bh, by = (params[name] for name in ("Wxh", "Whh", "Why", "bh", "by"))
    h = [np.zeros((len(Whh), 1))]
    for word in inputs:
        h.append(np.tanh(Wxh @ word[:, None] + Whh @ h[-1] + bh))
    y = np.exp(Why @ h[-1] + by)
    dy = y / y.sum()
    dy[label] -= 1
    d = {name: np.zeros_like(value) for name, value in params.items()}
    d["Why"], d["by"] = dy @ h[-1].T, dy
    dh = Why.T @ dy
    for t in reversed(range(len(inputs))):
        da = (1 - h[t + 1] ** 2) * dh
        d["bh"] += da
        d["Whh"] += da @ h[t].T
        d["Wxh"] += da @ inputs[t][None]
        dh = Whh @ da
    return {name: np.clip(g, -clip, clip) for name, g in d.items()}


def next_word(params, words, targets):
    """The pure-Python description (S4.4): dL/dh_t = Wy^T (y_hat - y), without the term from step t+1."""
    Wx, Wh, Wy, bh, by = (np.asarray(params[name]) for name in ("Wx", "Wh", "Wy", "bh", "by"))
    d = {name: np.zeros_like(value) for name, value in params.items()}
    h = np.zeros(len(Wh))
    for word, target in zip(words, targets, strict=True):
        before, h = h, np.tanh(Wx[:, word] + Wh @ h + bh)
        e = np.exp(Wy @ h + by)
        e /= e.sum()
        e[target] -= 1
        delta = (1 - h * h) * (Wy.T @ e)
        d["Wy"] += np.outer(e, h)
        d["by"] += e
        d["Wx"][:, word] += delta
        d["Wh"] += np.outer(delta, before)
        d["bh"] += delta
    return d
