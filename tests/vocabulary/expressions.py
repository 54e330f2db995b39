"""Expressions that mean the same in PyTorch and here: `m` is the module, x, y, w tensors of shapes (3, 4), (3, 4), (4,
2)."""

import math

# Each is evaluated with torch as m and with tinygrad_rnn as m; values, dtypes and gradients must agree.
FLOAT = {
    "add alpha": lambda m, x, y, w: m.add(x, y, alpha=2),
    "sub alpha": lambda m, x, y, w: x.sub(y, alpha=0.5),
    "rsub": lambda m, x, y, w: 1 - x,
    "div": lambda m, x, y, w: x.div(y),
    "div floor": lambda m, x, y, w: m.div(x, 0.3, rounding_mode="floor") + x,
    "div trunc": lambda m, x, y, w: m.div(x, 0.3, rounding_mode="trunc") + x,
    "rdiv": lambda m, x, y, w: 2.0 / x,
    "pow number": lambda m, x, y, w: x.abs() ** 1.7 + x**3 + x**2 + x**0,
    "pow tensor": lambda m, x, y, w: x.abs().pow(y),
    "rpow": lambda m, x, y, w: 2.0**x,
    "mod": lambda m, x, y, w: x % 0.7 + m.remainder(x, y),
    "exp log": lambda m, x, y, w: x.exp().log() + m.log1p(x.abs()) + m.expm1(y) + x.abs().log2() + x.abs().log10(),
    "trigonometry": lambda m, x, y, w: x.sin() * y.cos() + m.tan(x) + m.atan(y) + x.sinh() + y.cosh(),
    "gates": lambda m, x, y, w: x.tanh() * y.sigmoid() + x.relu(),
    "roots": lambda m, x, y, w: x.abs().sqrt() + x.abs().rsqrt() + x.square() + y.reciprocal(),
    "rounding": lambda m, x, y, w: x.floor() + x.ceil() + x.round() + x.trunc() + x.sign() + x,
    "erf": lambda m, x, y, w: m.erf(x),
    "clamp": lambda m, x, y, w: x.clamp(-0.5, 0.5) + x.clamp(min=0.1) + m.clamp(x, max=0.2),
    "clamp tensor": lambda m, x, y, w: m.clamp(x, min=y),
    "maximum": lambda m, x, y, w: m.maximum(x, y) + m.minimum(x, y * 2) + m.max(x, y),
    "where": lambda m, x, y, w: m.where(x > y, x, y) + x.where(x > 0, y) + m.where(x > 0, x, 0.5),
    "masked_fill": lambda m, x, y, w: x.masked_fill(x > 0, 9.0),
    "masked_select": lambda m, x, y, w: m.masked_select(x, x > 0) * x[x > 0],
    "lerp addcmul": lambda m, x, y, w: m.lerp(x, y, 0.3) + m.addcmul(x, x, y, value=0.5) + x.addcdiv(x, y, value=0.1),
    "logaddexp": lambda m, x, y, w: m.logaddexp(x, y),
    "sum": lambda m, x, y, w: x.sum() + x.sum(0) + x.sum(dim=1, keepdim=True).sum() + m.sum(x, (0, 1)),
    "mean": lambda m, x, y, w: x.mean() + x.mean(-1).sum() + x.mean((0, 1), keepdim=True),
    "prod": lambda m, x, y, w: x.prod() + x.prod(1).sum() + m.prod(x, 0, keepdim=True),
    "var std": lambda m, x, y, w: (
        x.var() + x.std(0) + x.var(1, unbiased=False).sum() + x.std(dim=1, correction=0).sum()
    ),
    "amax amin": lambda m, x, y, w: x.amax() + x.amin(0) + x.amax((0, 1)) + x.amax(1, keepdim=True),
    "max dim": lambda m, x, y, w: (
        x.max(1)[0].sum() + x.max(0, keepdim=True).values + x.min(dim=0).values + x.max() + x.min()
    ),
    "norm": lambda m, x, y, w: x.norm() + x.norm(1) + m.norm(x, p=3, dim=1).sum() + x.norm(p=math.inf) + x.norm(dim=0),
    "logsumexp": lambda m, x, y, w: x.logsumexp(1).sum() + m.logsumexp(x, dim=(0, 1)) + m.logsumexp(x, 0, keepdim=True),
    "softmax": lambda m, x, y, w: x.softmax(1) * y + m.log_softmax(x, dim=0),
    "cumsum": lambda m, x, y, w: x.cumsum(1) + m.cumsum(y, dim=0),
    "view": lambda m, x, y, w: x.view(4, 3) @ y.view(3, -1) @ w.reshape((4, 2)),
    "flatten": lambda m, x, y, w: x.flatten() * y.view(-1) + m.flatten(x, 0, 1),
    "unflatten": lambda m, x, y, w: x.unflatten(1, (2, -1)).flatten(1),
    "transpose": lambda m, x, y, w: x.t() + y.T + x.transpose(0, 1) + y.mT + x.permute(1, 0) + y.swapaxes(0, -1),
    "movedim": lambda m, x, y, w: m.movedim(x, 0, 1),
    "squeeze": lambda m, x, y, w: x.unsqueeze(1).squeeze(1) + x.unsqueeze(-1).squeeze() + y.unsqueeze(0).squeeze(0),
    "expand": lambda m, x, y, w: x.sum(1, keepdim=True).expand(3, 4) + y.sum(0).expand(3, -1) + x.mean().expand_as(y),
    "repeat": lambda m, x, y, w: (
        x.repeat(2, 1) + m.tile(y, (2, 1)) + x.repeat_interleave(2, dim=0) + y.repeat(2, 1, 1).sum(0).repeat(2, 1)
    ),
    "cat stack": lambda m, x, y, w: (
        m.cat([x, y], dim=1).sum(1) + m.stack((x, y), dim=-1).sum((1, 2)) + m.cat((x, y))[:3, 0]
    ),
    "split": lambda m, x, y, w: (
        x.split(3, dim=1)[1] + m.split(x, [1, 3], dim=1)[0] + x.chunk(2, dim=1)[0].sum() + m.chunk(x, 2)[1].sum()
    ),
    "unbind": lambda m, x, y, w: x.unbind(1)[2] * y.unbind(0)[1].sum() + m.unbind(x)[0].sum(),
    "narrow select": lambda m, x, y, w: x.narrow(1, 1, 2) + y.select(1, 3).unsqueeze(1) + x.narrow(1, -2, 2),
    "index": lambda m, x, y, w: x[1] * y[:, 2].sum() + x[..., None][0, :, 0] + x[-1, 1:3].sum() + y[::2, ::3].sum(),
    "index tensor": lambda m, x, y, w: (
        x[m.tensor([0, 2, 0])].sum(0) + x[[2, 0], [1, 1]].sum() + y[:, m.tensor([3, 0])].sum()
    ),
    "index_select": lambda m, x, y, w: (
        x.index_select(1, m.tensor([0, 0, 3])).sum() + m.index_select(y, 0, m.tensor([1]))
    ),
    "gather": lambda m, x, y, w: x.gather(1, m.tensor([[0, 1], [1, 1], [3, 0]])) + m.gather(y, 0, m.tensor([[0, 2]])),
    "scatter": lambda m, x, y, w: (
        x.scatter(1, m.tensor([[0], [1], [3]]), 7.0) + m.scatter(x, 1, m.tensor([[2, 0], [1, 3], [0, 1]]), y[:, :2])
    ),
    "scatter_add": lambda m, x, y, w: x.scatter_add(0, m.tensor([[0, 0, 2, 2], [0, 1, 2, 2]]), y[:2]),
    "sort topk": lambda m, x, y, w: (
        x.sort(dim=1)[0] * y + x.topk(2, dim=1).values.sum() + x.sort(0, descending=True).values
    ),
    "roll flip": lambda m, x, y, w: (
        x.roll(1, 1) + m.roll(y, 2) + x.flip(0) + m.flip(y, (0, 1)) + x.roll((1, 2), (0, 1))
    ),
    "tril triu": lambda m, x, y, w: x.tril() + m.triu(y, 1) + x.tril(-1),
    "matmul": lambda m, x, y, w: x @ w + m.matmul(y, w) + x.mm(w) + x.matmul(w[:, 0]).unsqueeze(1),
    "bmm": lambda m, x, y, w: m.bmm(x.unsqueeze(0), w.unsqueeze(0)) + x.unsqueeze(0) @ w,
    "addmm": lambda m, x, y, w: m.addmm(w[0], x, w, beta=0.5, alpha=2.0),
    "dot outer": lambda m, x, y, w: m.outer(x[0], y[1]) + m.dot(x[0], y[0]) + x.mv(y[0]).sum(),
    "einsum": lambda m, x, y, w: (
        m.einsum("ij,jk->ik", x, w) + m.einsum("ij,ij->i", x, y).unsqueeze(1) + m.einsum("ii", w @ x[:2])
    ),
    "tensordot": lambda m, x, y, w: m.tensordot(x, w, dims=1) if m.__name__ == "torch" else m.tensordot(x, w, axes=1),
    "clone detach": lambda m, x, y, w: x.clone() * y.detach() + x.contiguous(),
    "casts": lambda m, x, y, w: x.float().double() + x.to(m.float32).to(m.float64) + x.type_as(y),
    "0-d": lambda m, x, y, w: m.tensor(2.0, dtype=m.float64) * x + x.mean() * y,
    "in place": lambda m, x, y, w: (x * 1).add_(y).mul_(2).clamp_(-1, 1),
    "set item": lambda m, x, y, w: _assign(x * 1, y),
    "softmax axis": lambda m, x, y, w: x.softmax(dim=-1).log(),
    "add to part": lambda m, x, y, w: _accumulate(m, x, y),
    "diagonals": lambda m, x, y, w: m.stack(
        [
            m.diagonal(x, 1).sum(),
            m.trace(x),
            x.diagonal(-1).prod(),
            m.diag(x[0], 2).pow(2)[0].sum(),
            m.diag(y, -1).sum(),
            (m.diag(x[:, 1]) @ w[:3]).sum(),
            m.diag(y[1], -1)[:, 2].sum(),
        ]
    ),
    "neighbours": lambda m, x, y, w: m.diff(x, 2) + m.diff(y, dim=1)[:, 1:],
    "joined": lambda m, x, y, w: m.hstack([x, m.vstack([y[0], y[1:]]), m.broadcast_to(w[:1, :1], (3, 2))]),
    "copies": lambda m, x, y, w: m.clone(x) * m.moveaxis(y, 0, 1).T + m.meshgrid(x[:, 0], y[0], indexing="ij")[1],
}


def _assign(z, y):
    z[0] = y[1]
    z[:, 2] = 3.0
    z[1, 1:3] += y[0, :2]
    return z


def _accumulate(m, x, y):
    out = m.zeros(3, 4, dtype=m.float64)
    for i in range(3):
        out[i] = x[i] * y[i]
    return out


# No gradients: values and dtypes of these must agree. i is int64 (3, 4), b a bool (3, 4), x float64 (3, 4)
PLAIN = {
    "int arithmetic": lambda m, i, b, x: [i + 1, i * 2.5, i / 2, i // 2, i % 3, -i, i**2, i - i, 1 / i],
    "int with float": lambda m, i, b, x: [i + x, i.float() + i, b + i, b * x, b + 1, b * 2.0],
    "int functions": lambda m, i, b, x: [
        i.exp(),
        i.sum(),
        b.sum(),
        i.float().mean(),
        i.prod(),
        i.abs(),
        i.max(),
        i.sqrt(),
    ],
    "comparison": lambda m, i, b, x: [
        i == 2,
        i != 2,
        i > 1,
        x < 0,
        x.eq(x),
        x.ge(0.0),
        i.ne(i),
        m.lt(x, 1),
        m.greater(x, 0),
    ],
    "logic": lambda m, i, b, x: [
        b & ~b,
        b | b,
        b ^ b,
        m.logical_and(b, i > 1),
        b.logical_not(),
        b.any(),
        b.all(0),
        b.any(1),
    ],
    "arg": lambda m, i, b, x: [
        x.argmax(),
        x.argmin(1),
        x.argmax(dim=0, keepdim=True),
        x.argsort(1),
        x.sort(1, descending=True)[1],
    ],
    "topk": lambda m, i, b, x: [*x.topk(2), *m.topk(x, 1, dim=0, largest=False), x.max(1)[1], x.min(0).indices],
    "tests": lambda m, i, b, x: [
        x.isnan(),
        m.isinf(x),
        m.isfinite(x),
        x.nonzero(),
        *m.where(b),
        *b.nonzero(as_tuple=True),
    ],
    "creation": lambda m, i, b, x: [
        m.zeros(2, 3),
        m.ones((2, 3)),
        m.full((2,), 7),
        m.full((2,), 1.5),
        m.arange(5),
        m.arange(1, 2, 0.25),
        m.eye(3),
        m.linspace(0, 1, 5),
        m.tensor([1, 2]),
        m.tensor([1.0]),
        m.tensor(True),
        m.tensor(3.5),
        m.zeros_like(i),
        m.ones_like(x),
        m.full_like(x, 3),
        x.new_zeros(2),
        x.new_ones((2, 2)),
        x.new_full((2,), 5),
        m.empty(0),
        m.tensor([[1, 2.5]]),
        m.as_tensor([1, 2]),
        m.zeros([2]),
        m.tensor([1, 2], dtype=float),
        m.tensor([]),
    ],
    "casts": lambda m, i, b, x: [
        x.long(),
        x.int(),
        i.float(),
        i.double(),
        x.bool(),
        b.long(),
        i.to(m.float32),
        x.type(m.int64),
    ],
    "numbers": lambda m, i, b, x: [
        x.numel(),
        x.dim(),
        x.size(),
        x.size(0),
        tuple(x.shape),
        i.sum().item(),
        x.is_floating_point(),
        len(x),
        x.tolist(),
        i.element_size(),
        x.ndim,
        int(i.sum()),
        bool(b[0, 0]),
        x.is_contiguous(),
        x.t().is_contiguous(),
    ],
    "in place": lambda m, i, b, x: [
        x.clone().zero_(),
        x.clone().fill_(2),
        x.clone().copy_(i),
        x.clone().add_(x, alpha=-0.5),
        x.clone().masked_fill_(b, 1),
        i.clone().add_(1),
        x.clone().div_(2).sub_(1).neg_().abs_(),
    ],
    "split empty": lambda m, i, b, x: [*m.zeros(0, 2).split(1), *m.arange(5).chunk(3), *m.arange(4).split([1, 0, 3])],
    "everyday": lambda m, i, b, x: [
        m.allclose(x, x + 1e-9),
        m.equal(i, i),
        m.equal(x, x + 1),
        m.isclose(x, x.round()),
        m.numel(x),
        i.unique(),
        *m.unique(i, return_inverse=True, return_counts=True),
        m.bincount(i[0], minlength=9),
        m.bincount(i[0], weights=x[0]),
        m.count_nonzero(b),
        b.count_nonzero(dim=1),
        m.nonzero(b),
        m.empty_like(i).shape,
        m.is_floating_point(x),
        m.is_floating_point(i),
        *m.meshgrid(i[0], i[:, 1], indexing="xy"),
        i.diff(),
        m.finfo(m.float32).eps,
        m.iinfo(m.int64).max,
        i.trace(),
        m.bernoulli(b.float()),
    ],
}
