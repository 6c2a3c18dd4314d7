# dslc.python/1
import torch
from torch import Tensor


def expression(x: Tensor, y: Tensor) -> Tensor:
    """Compute f(x, y) = exp(y * log(x)).

    Sentence: exp ( mul ( y , log ( x ) ) )
    Shapes: x [...], y [...] to [...]
    Domain: nan at the logarithm of a negative number.
    Source: functions as in Petersen et al. 2021, arXiv 1912.04871.
    """
    return torch.exp(y * torch.log(x))
