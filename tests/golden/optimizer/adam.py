# dslc.python/1
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT


class UpdateRule(Optimizer):
    """The update rule w <- w - lr * m / (sqrt(v) + 1e-8).

    Sentence: adam g identity identity keep_left
    State: mean_g, a running mean of g with decay 0.9, divided by 1 - 0.9^t is m.
        mean_g2, a running mean of g^2 with decay 0.999, divided by 1 - 0.999^t is v. t
        counts the updates of a parameter.
    Not for: sparse gradients, CUDA graphs, derivatives through a step.
    Source: Bello et al. 2017, arXiv 1709.07417.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        total_steps: int | None = None,
    ) -> None:
        if not lr >= 0:
            raise ValueError(f"lr is {lr}, not a number from 0")
        del total_steps  # nothing in this rule depends on it
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(  # type: ignore[override]
        self,
        closure: Callable[[], float] | None = None,
    ) -> float | None:
        """Update every parameter that has a gradient; `closure` gives the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for (_, _, t), rows in self._collect(group).items():
                self._update(group, rows, t)
        return loss

    def _collect(self, group: dict[str, Any]) -> dict[Any, list[tuple[Tensor, ...]]]:
        """Parameters, gradients and state, by device, dtype and number of updates."""
        rows: dict[Any, list[tuple[Tensor, ...]]] = defaultdict(list)
        for w in group["params"]:
            g = w.grad
            if g is None:
                continue
            if g.layout is not torch.strided:
                message = f"sparse gradient of a parameter of shape {tuple(w.shape)}"
                raise RuntimeError(f"{type(self).__name__} takes no {message}")
            state = self.state[w]
            if not state:
                state["step"] = 0
                state["mean_g"] = torch.zeros_like(w)
                state["mean_g2"] = torch.zeros_like(w)
            state["step"] += 1
            row = (w, g, state["mean_g"], state["mean_g2"])
            rows[w.device, w.dtype, state["step"]].append(row)
        return rows

    def _update(
        self,
        group: dict[str, Any],
        rows: list[tuple[Tensor, ...]],
        t: int,
    ) -> None:
        w, g, mean_g, mean_g2 = zip(*rows, strict=True)
        lr = float(group["lr"])
        torch._foreach_lerp_(mean_g, g, 1 - 0.9)
        torch._foreach_mul_(mean_g2, 0.999)
        torch._foreach_addcmul_(mean_g2, g, g, value=1 - 0.999)
        root = torch._foreach_sqrt(mean_g2)
        torch._foreach_div_(root, (1 - 0.999**t) ** 0.5)
        torch._foreach_add_(root, 1e-8)
        torch._foreach_addcdiv_(w, mean_g, root, value=-lr / (1 - 0.9**t))
