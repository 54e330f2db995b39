"""Hooks of modules: order, what they see and may replace, forwards, backwards and around state dicts; PyTorch as the
judge."""

import numpy as np
import pytest

import tinygrad_rnn as tg
import tinygrad_rnn.nn as nn


def test_forward_hooks_run_in_order_and_may_replace():
    layer = nn.Identity()
    seen = []
    layer.register_forward_pre_hook(lambda m, args: seen.append("pre"))
    layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    layer.register_forward_pre_hook(lambda m, args: seen.append("first"), prepend=True)
    handle = layer.register_forward_hook(lambda m, args, y: y * 10)
    layer.register_forward_hook(lambda m, args, y: seen.append(y.item()))
    assert layer(tg.ones(1)).item() == 20
    assert seen == ["first", "pre", 20]
    handle.remove()
    handle.remove()
    assert layer(tg.ones(1)).item() == 2


def test_hooks_see_keywords_if_asked():
    class Scaled(nn.Module):
        def forward(self, x, factor=1):
            return x * factor

    layer = Scaled()
    layer.register_forward_pre_hook(lambda m, args, kwargs: (args, {"factor": kwargs["factor"] + 1}), with_kwargs=True)
    layer.register_forward_hook(lambda m, args, kwargs, y: y + kwargs["factor"], with_kwargs=True)
    assert layer(tg.ones(1), factor=2).item() == 6


def test_a_hook_that_is_always_called_is_called_when_forward_fails():
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_hook(lambda m, args, y: seen.append(y), always_call=True)
    layer.register_forward_hook(lambda m, args, y: seen.append("not this one"))
    with pytest.raises(RuntimeError):
        layer(tg.ones(3))
    assert seen == [None]


def test_state_dict_hooks_run_on_both_ways():
    net, seen = nn.Sequential(nn.Linear(1, 1)), []
    net.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append("saving"))
    net[0].register_state_dict_post_hook(lambda m, state, prefix, meta: state.pop(prefix + "bias") and None)
    net.register_load_state_dict_pre_hook(lambda m, state, prefix, *_: seen.append("loading"))
    net.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    state = net.state_dict()
    assert list(state) == ["0.weight"]
    assert net.load_state_dict(state).missing_keys == []
    assert seen == ["saving", "loading"]


def test_a_backward_hook_fires_on_every_sweep_of_a_retained_graph():
    layer, seen = nn.Linear(1, 1, bias=False), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi[0].item(), go[0].item())))
    layer.weight.data = tg.full((1, 1), 3.0)
    y = layer(tg.ones(1, requires_grad=True)).sum()
    y.backward(retain_graph=True)
    (y * 2).backward()
    assert seen == [(3, 1), (6, 2)]


class _Pair:
    """Two inputs, two outputs, one plain number; written once for both frameworks."""

    @staticmethod
    def build(torch, base):
        class Pair(base):
            def __init__(self):
                super().__init__()
                self.inner = torch.nn.Linear(2, 2)

            def forward(self, a, b, k):
                h = self.inner(a) * b
                return h * k, a + h

        return Pair()


def _backward(torch, wrap, change, use_both):
    pair = _Pair.build(torch, torch.nn.Module)
    rng = np.random.default_rng(0)
    for p in pair.parameters():
        p.data = wrap(rng.normal(size=tuple(p.shape)))
    record = []

    def note(name):
        def hook(module, *gradients):
            record.append(name)
            record.extend(None if g is None else np.array(g.detach().numpy()) for part in gradients for g in part)
            if change and name == "outer":
                return tuple(None if g is None else g * 2 for g in gradients[0])
            if change and name == "pre":
                return tuple(None if g is None else g + 1 for g in gradients[0])
            return None

        return hook

    pair.register_full_backward_hook(note("outer"))
    pair.register_full_backward_pre_hook(note("pre"))
    pair.inner.register_full_backward_hook(note("inner"))
    a, b = (wrap(rng.normal(size=(3, 2))).requires_grad_() for _ in range(2))
    first, second = pair(a * 1, b * 1, 3.0)
    loss = (first * first).sum()
    (loss + (second * 5).sum() if use_both else loss).backward()
    return record, [t.grad for t in (a, b, *pair.parameters())]


@pytest.mark.peers
@pytest.mark.parametrize("use_both", [True, False])
@pytest.mark.parametrize("change", [False, True])
def test_backward_hooks_see_and_replace_what_pytorchs_do(change, use_both):
    torch = pytest.importorskip("torch")
    if change and not use_both:
        use_both = True  # PyTorch hands None for an unused output; there is nothing to change
    ours, grads = _backward(tg, tg.tensor, change, use_both)
    theirs, expected = _backward(torch, torch.tensor, change, use_both)
    assert [x for x in ours if isinstance(x, str)] == [x for x in theirs if isinstance(x, str)]
    for mine, yours in zip(ours, theirs, strict=True):
        if isinstance(yours, np.ndarray):
            np.testing.assert_allclose(mine, yours, rtol=1e-12)
        else:
            assert mine == yours or (mine is None and yours is None)
    for mine, yours in zip(grads, expected, strict=True):
        np.testing.assert_allclose(mine.array, yours.numpy(), rtol=1e-12)
