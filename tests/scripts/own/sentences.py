"""Classify sequences of unequal lengths: packed sequences, a bidirectional GRU, Adam, a loader, saving and loading."""

import os
import tempfile

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset


class Classifier(nn.Module):
    def __init__(self, words, classes):
        super().__init__()
        self.embedding = nn.Embedding(words, 12, padding_idx=0)
        self.rnn = nn.GRU(12, 10, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(20)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Sequential(nn.Linear(40, 16), nn.ReLU(), nn.Linear(16, classes))

    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.embedding(x), lengths, batch_first=True, enforce_sorted=False)
        output, last = self.rnn(packed)
        output, _ = pad_packed_sequence(output, batch_first=True)
        mean = self.norm(output).sum(dim=1) / lengths.unsqueeze(1).to(output.dtype)
        return self.head(self.drop(torch.cat([mean, last.transpose(0, 1).reshape(x.size(0), -1)], dim=1)))


numbers = torch.arange(48)
lengths = numbers % 5 + 2
steps = torch.arange(6)
x = (numbers.unsqueeze(1) * 3 + steps * 5) % 9 + 1
x = x * (steps < lengths.unsqueeze(1)).long()
y = (x.sum(dim=1) > 18).long()
device = torch.device("cpu")
model = Classifier(10, 2).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=1e-4)
scheduler = StepLR(optimizer, step_size=2, gamma=0.7)
loader = DataLoader(TensorDataset(x, lengths, y), batch_size=8, shuffle=True)
for epoch in range(6):
    model.train()
    for inputs, sizes, targets in loader:
        optimizer.zero_grad()
        loss = F.nll_loss(F.log_softmax(model(inputs.to(device), sizes), dim=1), targets)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    scheduler.step()
model.eval()
path = os.path.join(tempfile.mkdtemp(), "weights.pt")
torch.save(model.state_dict(), path)
again = Classifier(10, 2)
with torch.no_grad():
    expected = model(x, lengths)
    again(x, lengths)
    again.load_state_dict(torch.load(path))
    again.eval()
    right = again(x, lengths).argmax(dim=1, keepdim=True).eq(y.view_as(y).unsqueeze(1)).sum()
    assert bool((again(x, lengths) == expected).all())
    print("right:", int(right))
    print("last:", F.cross_entropy(expected, y).item())
