# dslc.python/1
import torch
from torch import Tensor


def expression(x: Tensor) -> Tensor:
    """Compute f(x) = log(x + x / x) + log(x * x + x / x).

    Sentence: add ( log ( add ( x , div ( x , x ) ) ) , log ( add ( mul ( x , x ) , div
        ( x , x ) ) ) )
    Shapes: x [...] to [...]
    Domain: nan at the logarithm of a negative number, inf or nan at a division by 0.
    Source: functions as in Petersen et al. 2021, arXiv 1912.04871.
    """
    return torch.log(x + x / x) + torch.log(x * x + x / x)
