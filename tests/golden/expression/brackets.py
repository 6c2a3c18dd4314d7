# dslc.python/1
import torch
from torch import Tensor


def expression(x: Tensor) -> Tensor:
    """Compute f(x) = x - (x / (x + x) - x / (x * cos(x))).

    Sentence: sub ( x , sub ( div ( x , add ( x , x ) ) , div ( x , mul ( x , cos ( x )
        ) ) ) )
    Shapes: x [...] to [...]
    Domain: inf or nan at a division by 0.
    Source: functions as in Petersen et al. 2021, arXiv 1912.04871.
    """
    return x - (x / (x + x) - x / (x * torch.cos(x)))
