"""Adam, as torch's fused one computes it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """`torch.optim.Adam(fused=True)` to the last bit, by torch's own function for a step.

    What `torch.optim` does around that function takes longer than a step over the few small weights of a policy.
    """

    def __init__(self, weights: Sequence[Tensor], learning_rate: float) -> None:
        """Of weights on one device."""
        self._weights, self._rate = weights, learning_rate
        self.state: dict[int, dict[str, Tensor]] = {}
        """Of each weight that has been moved, by its number: `step`, `exp_avg`, `exp_avg_sq`."""

    def forget(self) -> None:
        """Set the gradients back to none."""
        for weight in self._weights:
            weight.grad = None

    @torch.inference_mode()
    def step(self) -> None:
        """Move the weights that have a gradient."""
        moved, gradients, states = [], [], []
        for number, weight in enumerate(self._weights):
            if weight.grad is not None:
                if number not in self.state:
                    self.state[number] = _start(weight)
                moved.append(weight)
                gradients.append(weight.grad)
                states.append(self.state[number])
        adam(
            moved,
            gradients,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self._rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def _start(weight: Tensor) -> dict[str, Tensor]:
    """Of a weight that has not been moved yet."""
    step = torch.zeros((), dtype=torch.float32, device=weight.device)
    return {"step": step, "exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
