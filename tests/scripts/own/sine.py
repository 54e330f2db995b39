"""Predict a sine wave step by step with two LSTM cells, by L-BFGS on the whole data."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm1 = nn.LSTMCell(1, 8)
        self.lstm2 = nn.LSTMCell(8, 8)
        self.linear = nn.Linear(8, 1)

    def forward(self, input, future=0):
        outputs = []
        h_t = torch.zeros(input.size(0), 8, dtype=torch.double)
        c_t = torch.zeros(input.size(0), 8, dtype=torch.double)
        h_t2 = torch.zeros(input.size(0), 8, dtype=torch.double)
        c_t2 = torch.zeros(input.size(0), 8, dtype=torch.double)
        for input_t in input.split(1, dim=1):
            h_t, c_t = self.lstm1(input_t, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        for _ in range(future):
            h_t, c_t = self.lstm1(output, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        return torch.cat(outputs, dim=1)


waves = np.sin((np.arange(40) + np.arange(6)[:, None] * 7) / 4.0)
inputs, targets = torch.from_numpy(waves[:, :-1]), torch.from_numpy(waves[:, 1:])
model = Sequence()
model.double()
criterion = nn.MSELoss()
optimizer = optim.LBFGS(model.parameters(), lr=0.5)
for _ in range(2):

    def closure():
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        print("loss:", loss.item())
        loss.backward()
        return loss

    optimizer.step(closure)
with torch.no_grad():
    prediction = model(inputs[:2], future=10)
    print("last:", criterion(prediction[:, :39], targets[:2]).item())
    assert prediction.detach().numpy().shape == (2, 49)
