# dslc.python/1
import torch
from torch import Tensor


def expression(
    x: Tensor,
    *,
    c1: float | Tensor = 1.0,
    c2: float | Tensor = 1.0,
    c3: float | Tensor = 1.0,
    c4: float | Tensor = 1.0,
) -> Tensor:
    """Compute f(x) = c1 * sin(c2 * x + c3) + c4.

    Sentence: add ( mul ( c , sin ( add ( mul ( c , x ) , c ) ) ) , c )
    Shapes: x [...] to [...]
    Constants: c1, c2, c3, c4, to be fitted.
    Source: functions as in Petersen et al. 2021, arXiv 1912.04871.
    """
    return c1 * torch.sin(c2 * x + c3) + c4
