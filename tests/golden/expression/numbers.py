# dslc.python/1
import torch
from torch import Tensor


def expression(x: Tensor) -> Tensor:
    """Compute f(x) = 2 * sin(3 * x) + exp(1 / 2).

    Sentence: add ( mul ( 2 , sin ( mul ( 3 , x ) ) ) , exp ( div ( 1 , 2 ) ) )
    Shapes: x [...] to [...]
    Domain: inf or nan at a division by 0.
    Source: functions as in Petersen et al. 2021, arXiv 1912.04871.
    """
    exponential = torch.exp(torch.full_like(x, 1) / 2)
    return 2 * torch.sin(3 * x) + exponential
