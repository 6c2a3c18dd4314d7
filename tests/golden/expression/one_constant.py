# dslc.python/1
import torch
from torch import Tensor


def expression(x: Tensor, *, c1: float | Tensor = 1.0) -> Tensor:
    """Compute f(x) = c1.

    Sentence: c
    Shapes: x [...] to [...]
    Constants: c1, to be fitted.
    Source: functions as in Petersen et al. 2021, arXiv 1912.04871.
    """
    return c1 * torch.ones_like(x)
