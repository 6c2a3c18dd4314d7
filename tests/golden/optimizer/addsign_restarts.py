# dslc.python/1
import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT


class UpdateRule(Optimizer):
    """The update rule w <- w - lr * (1 + sign(g) * sign(m) * rd_10) * g.

    Sentence: ( 1 ( ( sign_g sign_m identity identity mul ) rd_10 identity identity mul
        ) identity identity add ) g identity identity mul
    State: mean_g, a running mean of g with decay 0.9, has the sign of m.
    Schedule: rd_n = (1 + cos(pi (n t mod T) / T)) / 2; t = steps done before, T =
        total_steps.
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
        if total_steps is None or total_steps < 1:
            message = "total_steps is to be a number from 1, as the rule decays"
            raise ValueError(f"{message}; it is {total_steps}")
        defaults = {"lr": lr, "total_steps": total_steps, "steps_done": 0}
        super().__init__(params, defaults)

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
        steps_done = max(group["steps_done"] for group in self.param_groups)
        for group in self.param_groups:
            group["steps_done"] = steps_done
            for rows in self._collect(group).values():
                self._update(group, rows)
            group["steps_done"] = steps_done + 1
        return loss

    def _collect(self, group: dict[str, Any]) -> dict[Any, list[tuple[Tensor, ...]]]:
        """Parameters, gradients and state, by device and dtype."""
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
                state["mean_g"] = torch.zeros_like(w)
            rows[w.device, w.dtype].append((w, g, state["mean_g"]))
        return rows

    def _update(self, group: dict[str, Any], rows: list[tuple[Tensor, ...]]) -> None:
        w, g, mean_g = zip(*rows, strict=True)
        lr = float(group["lr"])
        total_steps = group["total_steps"]
        done = min(group["steps_done"], total_steps)
        torch._foreach_lerp_(mean_g, g, 1 - 0.9)
        sign_g = torch._foreach_sign(g)
        sign_m = torch._foreach_sign(mean_g)
        product = torch._foreach_mul(sign_g, sign_m)
        phase = 10 * done % total_steps / total_steps
        restart_decay = 0.5 * (1 + math.cos(math.pi * phase))
        product_2 = torch._foreach_mul(product, restart_decay)
        total = torch._foreach_add(product_2, 1)
        torch._foreach_addcmul_(w, total, g, value=-lr)
