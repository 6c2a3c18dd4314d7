"""A model of text, character by character: embedding, one recurrent layer, scores; trained for a number of steps."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

NUM_COLUMNS = 64
"""Pieces into which held-out text is cut and read side by side; each begins with an empty memory."""
LONGEST_COLUMN = 512
"""Characters read of each of these pieces; what is past them is left out, so that a large file costs no more."""
LARGEST_NORM = 1.0
"""Gradients are scaled down to this norm: products in a cell make steep ones."""
REPORT_EVERY = 10
"""Steps between two reports."""


class CharacterModel(nn.Module):
    """Scores of the next character, from all before it.

    Args:
        layer: called like a one-layer nn.LSTM of `size` inputs and `size` outputs.
        num_characters: how many there are.
        size: of embedding and hidden state.
    """

    def __init__(self, layer: nn.Module, num_characters: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_characters, size)
        self.layer = layer
        self.scores = nn.Linear(size, num_characters)

    def forward(self, characters: Tensor) -> Tensor:
        """Scores [time, batch, character] from characters [time, batch]."""
        hidden, _ = self.layer(self.embedding(characters))
        scores: Tensor = self.scores(hidden)
        return scores


def train_model(
    model: CharacterModel,
    text: Tensor,
    *,
    seed: int,
    steps: int,
    batch_size: int,
    length: int,
    learning_rate: float,
    report: Callable[[int, float], bool],
) -> tuple[int, float]:
    """Train on random pieces of `text` [characters] with Adam, its rate along half a cosine from `learning_rate` to 0.

    Args:
        model: on the device of `text`.
        text: what is learned.
        seed: of the places of the pieces.
        steps: how many batches.
        batch_size: pieces in a batch.
        length: characters that are predicted in each piece, from an empty memory.
        learning_rate: the first.
        report: gets step and minus the loss every ten steps; False stops.

    Returns:
        Steps done, and the last loss in nats a character, which may not be finite; training ends where it is not.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    places = torch.Generator().manual_seed(seed)
    offsets = torch.arange(length + 1)[:, None]
    loss = math.nan
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
        starts = torch.randint(len(text) - length, (batch_size,), generator=places)
        pieces = text[(starts + offsets).to(text.device)]
        optimizer.zero_grad(set_to_none=True)
        batch_loss = functional.cross_entropy(model(pieces[:-1]).flatten(0, 1), pieces[1:].flatten())
        loss = float(batch_loss.detach())
        if not math.isfinite(loss):
            return step + 1, loss
        batch_loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
        optimizer.step()
        if (step + 1) % REPORT_EVERY == 0 and not report(step, -loss):
            return step + 1, loss
    return steps, loss


def measure_loss(model: CharacterModel, text: Tensor) -> float:
    """Mean loss in nats a character on `text` [characters], read in 64 pieces of equal length side by side."""
    length = (len(text) - 1) // NUM_COLUMNS
    columns = [text[first : first + length * NUM_COLUMNS].view(NUM_COLUMNS, length) for first in (0, 1)]
    inputs, targets = (column[:, :LONGEST_COLUMN].T for column in columns)
    with torch.no_grad():
        return float(functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()))
