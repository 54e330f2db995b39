"""A character model: embedding, LSTM with carried state, truncated backpropagation, a falling rate."""

import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = "the quick brown fox jumps over the lazy dog. " * 40
CHARACTERS = sorted(set(TEXT))


class CharacterModel(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.embedding = nn.Embedding(size, hidden)
        self.rnn = nn.LSTM(hidden, hidden, num_layers=2)
        self.head = nn.Linear(hidden, size)

    def forward(self, x, state=None):
        output, state = self.rnn(self.embedding(x), state)
        return self.head(output), state


torch.manual_seed(0)
data = torch.tensor([CHARACTERS.index(c) for c in TEXT], dtype=torch.long).view(4, -1).t().contiguous()
model = CharacterModel(len(CHARACTERS), 24)
optimizer = torch.optim.NAdam(model.parameters(), lr=0.02)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.99)
state = None
for start in range(0, 400, 10):
    inputs, targets = data[start : start + 10], data[start + 1 : start + 11]
    if state is not None:
        state = tuple(s.detach() for s in state)
    optimizer.zero_grad()
    logits, state = model(inputs, state)
    loss = F.cross_entropy(logits.reshape(-1, len(CHARACTERS)), targets.reshape(-1))
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
    print(f"{start:4d} {loss.item():.4f}")
