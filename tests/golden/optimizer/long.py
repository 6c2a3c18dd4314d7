# dslc.python/1
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.optimizer import Optimizer, ParamsT


class UpdateRule(Optimizer):
    """An update rule of 13 operations.

    Formula: w <- w - lr * drop(exp(annealed_noise)^log(ld), 0.5) / (clip(-(sqrt(v) /
        (exp(2) + 1e-8)) - y, 0.001) + 1e-8)
    Sentence: ( annealed_noise ld exp log_abs pow ) ( ( v 2 sqrt_abs exp div ) y negate
        identity sub ) drop_0.5 clip_1e-3 div
    State: mean_g2, a running mean of g^2 with decay 0.999, divided by 1 - 0.999^t is v.
        mean_g3, a running mean of g^3 with decay 0.999, divided by 1 - 0.999^t is y. t
        counts the updates of a parameter.
    Schedule: ld = 1 - t/T; annealed_noise has deviation 1 / (1 + t)^0.55; t = steps
        done before, T = total_steps.
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
            for (_, _, t), rows in self._collect(group).items():
                self._update(group, rows, t)
            group["steps_done"] = steps_done + 1
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
                state["mean_g2"] = torch.zeros_like(w)
                state["mean_g3"] = torch.zeros_like(w)
            state["step"] += 1
            row = (w, g, state["mean_g2"], state["mean_g3"])
            rows[w.device, w.dtype, state["step"]].append(row)
        return rows

    def _update(
        self,
        group: dict[str, Any],
        rows: list[tuple[Tensor, ...]],
        t: int,
    ) -> None:
        w, g, mean_g2, mean_g3 = zip(*rows, strict=True)
        lr = float(group["lr"])
        total_steps = group["total_steps"]
        done = min(group["steps_done"], total_steps)
        torch._foreach_mul_(mean_g2, 0.999)
        torch._foreach_addcmul_(mean_g2, g, g, value=1 - 0.999)
        torch._foreach_lerp_(mean_g3, torch._foreach_pow(g, 3), 1 - 0.999)
        y = torch._foreach_div(mean_g3, 1 - 0.999**t)
        deviation = (1 + group["steps_done"]) ** -0.55
        annealed_noise = [deviation * torch.randn_like(x) for x in g]
        linear_decay = 1 - done / total_steps
        exponential = torch._foreach_exp(annealed_noise)
        filled = [torch.full_like(x, linear_decay) for x in g]
        logarithm = torch._foreach_log(filled)
        power = torch._foreach_pow(exponential, logarithm)
        root = torch._foreach_sqrt(mean_g2)
        torch._foreach_div_(root, (1 - 0.999**t) ** 0.5)
        quotient = torch._foreach_div(root, 7.38905609893065 + 1e-8)
        negated = torch._foreach_neg(quotient)
        difference = torch._foreach_sub(negated, y)
        dropped = [functional.dropout(x, 0.5) for x in power]
        clipped = torch._foreach_clamp_max(
            torch._foreach_clamp_min(difference, -0.001),
            0.001,
        )
        torch._foreach_add_(clipped, 1e-8)
        torch._foreach_addcdiv_(w, dropped, clipped, value=-lr)
