"""REINFORCE on a chain of decisions as one writes it in plain torch: no grammar, no mask, no record. A baseline."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

HIDDEN = 64


class PlainPolicy(nn.Module):
    """An LSTM cell with an output layer for each decision; the last choice is the next input."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(max(sizes) + 1, HIDDEN)
        self.cell = nn.LSTMCell(HIDDEN, HIDDEN)
        self.outputs = nn.ModuleList([nn.Linear(HIDDEN, size) for size in sizes])

    def forward(self, batch: int) -> tuple[Tensor, Tensor]:
        """Choices [batch, decision] and their summed log-probabilities."""
        hidden = cell = torch.zeros(batch, HIDDEN)
        choice = torch.zeros(batch, dtype=torch.int64)
        choices, log_probs = [], []
        for output in self.outputs:
            hidden, cell = self.cell(self.embedding(choice), (hidden, cell))
            logs = torch.log_softmax(output(hidden), -1)
            choice = torch.multinomial(logs.detach().exp(), 1)[:, 0]
            choices.append(choice)
            log_probs.append(logs.gather(1, choice[:, None])[:, 0])
        return torch.stack(choices, 1), torch.stack(log_probs, 1).sum(1)


def plain_samples_a_second(sizes: tuple[int, ...], batch: int, batches: int) -> float:
    """Samples and updates a second of CPU time, with an instant reward and a moving average for a baseline."""
    policy = PlainPolicy(sizes)
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.01)
    baseline = 0.0
    began = time.process_time()
    for _ in range(batches):
        choices, log_probs = policy(batch)
        rewards = torch.tensor([sum(choice % 3 == 0 for choice in row) / len(row) for row in choices.tolist()])
        baseline = 0.95 * baseline + 0.05 * float(rewards.mean())
        loss = -((rewards - baseline) * log_probs).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return batch * batches / (time.process_time() - began)
