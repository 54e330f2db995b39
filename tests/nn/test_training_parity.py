"""Two models trained here and in PyTorch from the same weights on the same batches: the same losses for 200 steps."""

import numpy as np
import pytest

import tinygrad_rnn as tg
import tinygrad_rnn.nn as nn
import tinygrad_rnn.optim as optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

STEPS = 200


def _model(nn, kind, vocabulary, size, hidden, layers):
    class LanguageModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, size)
            self.rnn = getattr(nn, kind)(size, hidden, layers)
            self.head = nn.Linear(hidden, vocabulary)

        def forward(self, x, state):
            output, state = self.rnn(self.embedding(x), state)
            return self.head(output).reshape(-1, vocabulary), state

    return LanguageModel().double()


def _curve(nn, model, optimizer, batches, wrap):
    """Train over a stream with carried, detached state; returns the losses."""
    state, losses = None, []
    for chunk in batches:
        if state is not None:
            state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        optimizer.zero_grad()
        logits, state = model(wrap(chunk[:-1]), state)
        loss = nn.functional.cross_entropy(logits, wrap(chunk[1:]).reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


@pytest.mark.parametrize(
    ("vocabulary", "size", "hidden", "layers", "rule", "options"),
    [(60, 12, 16, 2, "SGD", {"lr": 2.0}), (12, 8, 24, 1, "Adam", {"lr": 0.01})],
    ids=["two-layer word model", "character model"],
)
def test_two_hundred_steps_give_the_losses_of_pytorch(vocabulary, size, hidden, layers, rule, options):
    rng = np.random.default_rng(1)
    stream = (np.cumsum(rng.integers(0, 3, size=(STEPS * 8 + 1, 4)), axis=0)) % vocabulary
    batches = [stream[i * 8 : i * 8 + 9] for i in range(STEPS)]
    ours, theirs = (_model(m, "LSTM", vocabulary, size, hidden, layers) for m in (nn, torch.nn))
    theirs.load_state_dict({name: torch.tensor(p.detach().numpy()) for name, p in ours.state_dict().items()})
    mine = _curve(nn, ours, getattr(optim, rule)(ours.parameters(), **options), batches, tg.tensor)
    yours = _curve(torch.nn, theirs, getattr(torch.optim, rule)(theirs.parameters(), **options), batches, torch.tensor)
    np.testing.assert_allclose(mine, yours, rtol=1e-6)
    assert mine[-20:].mean() < 0.7 * mine[:20].mean()
