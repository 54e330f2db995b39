"""`compile_step`: the numbers of the five lines of a training loop, for every optimiser that goes entry by entry."""

import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.compiler.flat import BLOCK
from tinygrad_rnn.errors import GraphError

F = nn.functional
OPTIMISERS = {
    "sgd": lambda p: tg.optim.SGD(p, lr=0.5),
    "momentum": lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "climbing": lambda p: tg.optim.SGD(p, lr=0.1, maximize=True),
    "adam": lambda p: tg.optim.Adam(p, lr=0.05),
    "adamw": lambda p: tg.optim.AdamW(p, lr=0.05),
    "rmsprop": lambda p: tg.optim.RMSprop(p, lr=0.01),
}


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 4)
        self.rnn = nn.LSTM(4, 5)
        self.head = nn.Linear(5, 11)
        self.idle = nn.Linear(2, 2)

    def forward(self, words):
        return self.head(self.rnn(self.embedding(words))[0])


def model():
    tg.manual_seed(0)
    return Words().double()


def loss_of(net):
    return lambda x, t: F.cross_entropy(net(x).reshape(-1, 11), t.reshape(-1))


def batches(n=4):
    rng = np.random.default_rng(0)
    return [tuple(tg.tensor(rng.integers(0, 11, (6, 3))) for _ in range(2)) for _ in range(n)]


def train_eagerly(net, optimizer, clip, n=4):
    losses = []
    for x, t in batches(n):
        optimizer.zero_grad()
        loss = loss_of(net)(x, t)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_equals_the_training_loop(name, clip):
    one, other = model(), model()
    first, second = OPTIMISERS[name](one.parameters()), OPTIMISERS[name](other.parameters())
    expected = train_eagerly(one, first, clip)
    step = tg.compile_step(loss_of(other), second, clip=clip)
    np.testing.assert_allclose([step(x, t).item() for x, t in batches()], expected, rtol=1e-11)
    for (label, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(b.array, a.array, rtol=1e-9, atol=1e-11, err_msg=label)
    for key, state in first.state_dict()["state"].items():
        for entry, value in state.items():
            got = second.state_dict()["state"][key][entry]
            np.testing.assert_allclose(
                getattr(got, "array", got), getattr(value, "array", value), rtol=1e-9, atol=1e-12
            )


def test_goes_on_from_a_loaded_state_and_from_loaded_weights():
    one, other = model(), model()
    first, second = OPTIMISERS["adam"](one.parameters()), OPTIMISERS["adam"](other.parameters())
    step = tg.compile_step(loss_of(other), second)
    for x, t in batches(2):
        step(x, t)
    train_eagerly(one, first, None)
    other.load_state_dict(one.state_dict())
    second.load_state_dict(first.state_dict())
    expected = train_eagerly(one, first, None, n=2)
    np.testing.assert_allclose([step(x, t).item() for x, t in batches(2)], expected, rtol=1e-11)


def test_groups_keep_their_own_options_and_schedules_work():
    one, other = model(), model()

    def optimizer(net):
        return tg.optim.SGD([{"params": net.rnn.parameters(), "lr": 0.5}, {"params": net.head.parameters()}], lr=0.1)

    first, second = optimizer(one), optimizer(other)
    step = tg.compile_step(loss_of(other), second)
    for k, (x, t) in enumerate(batches()):
        for group in (*first.param_groups, *second.param_groups):
            group["lr"] *= 0.9**k
        first.zero_grad()
        loss = loss_of(one)(x, t)
        loss.backward()
        first.step()
        assert step(x, t).item() == pytest.approx(loss.item(), rel=1e-11)
    np.testing.assert_array_equal(other.embedding.weight.array, one.embedding.weight.array)


def test_hooks_norm_and_further_results():
    net = model()
    optimizer = OPTIMISERS["sgd"](net.parameters())
    calls = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))

    def loss(x, t):
        scores = net(x)
        return F.cross_entropy(scores.reshape(-1, 11), t.reshape(-1)), scores

    step = tg.compile_step(loss, optimizer, clip=1.0)
    value, scores = step(*batches()[0])
    assert calls == ["before", "after"]
    assert step.norm > 0
    assert scores.shape == (6, 3, 11)
    assert not value.requires_grad


def test_what_cannot_be_compiled_is_refused_by_name():
    net = model()
    with pytest.raises(GraphError, match="LBFGS does not update entry by entry"):
        tg.compile_step(loss_of(net), tg.optim.LBFGS(net.parameters()))
    step = tg.compile_step(lambda x, t: x.double().sum(), OPTIMISERS["sgd"](net.parameters()))
    with pytest.raises(GraphError, match="no parameter"):
        step(*batches()[0])
    step = tg.compile_step(lambda x, t: net(x), OPTIMISERS["sgd"](net.parameters()))
    with pytest.raises(GraphError, match="must have one entry"):
        step(*batches()[0])


def test_large_steps_go_in_blocks_and_notice_momentum_switched_on():
    size = 3 * BLOCK + 5
    target = np.random.default_rng(0).normal(size=size)

    def trained(step_of):
        p = tg.tensor(np.zeros(size), requires_grad=True)
        optimizer = tg.optim.SGD([p], lr=0.1, weight_decay=0.01)
        step = step_of(lambda: ((p - tg.from_numpy(target)) ** 2).sum(), optimizer)
        for k in range(6):
            if k == 3:
                optimizer.param_groups[0]["momentum"] = 0.9
            step()
        return p.detach().numpy(), optimizer.state[p]["momentum_buffer"].numpy()

    def eager(loss_fn, optimizer):
        def step():
            optimizer.zero_grad()
            loss_fn().backward()
            nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 5.0)
            optimizer.step()

        return step

    for a, b in zip(trained(eager), trained(lambda f, o: tg.compile_step(f, o, clip=5.0)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12)


def test_an_update_is_noted_with_the_line_of_the_step_for_every_group():
    a, b = (tg.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    optimizer = tg.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.2}], lr=0.1)
    step = tg.compile_step(lambda: (a * a * b).sum(), optimizer)
    step()
    for p in (a, b):
        recorded = (p * p).sum()
        step(), (line := sys._getframe().f_lineno)
        with pytest.raises(GraphError, match=rf"modified by an inplace operation at test_step.py:{line} "):
            recorded.backward()
