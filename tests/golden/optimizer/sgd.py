# dslc.python/1
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT


class UpdateRule(Optimizer):
    """The update rule w <- w - lr * g.

    Sentence: g 1 identity identity mul
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
            for rows in self._collect(group).values():
                self._update(group, rows)
        return loss

    def _collect(self, group: dict[str, Any]) -> dict[Any, list[tuple[Tensor, ...]]]:
        """Parameters and gradients, by device and dtype."""
        rows: dict[Any, list[tuple[Tensor, ...]]] = defaultdict(list)
        for w in group["params"]:
            g = w.grad
            if g is None:
                continue
            if g.layout is not torch.strided:
                message = f"sparse gradient of a parameter of shape {tuple(w.shape)}"
                raise RuntimeError(f"{type(self).__name__} takes no {message}")
            rows[w.device, w.dtype].append((w, g))
        return rows

    def _update(self, group: dict[str, Any], rows: list[tuple[Tensor, ...]]) -> None:
        w, g = zip(*rows, strict=True)
        lr = float(group["lr"])
        torch._foreach_add_(w, g, alpha=-lr)
