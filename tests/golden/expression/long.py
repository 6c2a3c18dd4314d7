# dslc.python/1
import torch
from torch import Tensor


def expression(x: Tensor, y: Tensor) -> Tensor:
    """Compute a function of x and y in 45 operations.

    Sentence: cos ( mul ( add ( sin ( div ( add ( x , div ( div ( sin ( add ( cos ( exp
        ( y ) ) , y ) ) , mul ( exp ( sin ( div ( y , div ( x , sin ( log ( div ( add (
        x , x ) , y ) ) ) ) ) ) ) , exp ( mul ( sub ( sin ( y ) , log ( log ( log ( x )
        ) ) ) , sin ( add ( y , y ) ) ) ) ) ) , log ( x ) ) ) , sin ( x ) ) ) , log (
        cos ( x ) ) ) , add ( cos ( add ( sub ( log ( cos ( sin ( x ) ) ) , log ( x ) )
        , exp ( exp ( log ( x ) ) ) ) ) , x ) ) )
    Shapes: x [...], y [...] to [...]
    Domain: nan at the logarithm of a negative number, inf or nan at a division by 0.
    Source: functions as in Petersen et al. 2021, arXiv 1912.04871.
    """
    sine = torch.sin(y / (x / torch.sin(torch.log((x + x) / y))))
    difference = torch.sin(y) - torch.log(torch.log(torch.log(x)))
    exponential = torch.exp(difference * torch.sin(y + y))
    sine_2 = torch.sin(torch.cos(torch.exp(y)) + y)
    quotient = sine_2 / (torch.exp(sine) * exponential) / torch.log(x)
    sine_3 = torch.sin((x + quotient) / torch.sin(x))
    difference_2 = torch.log(torch.cos(torch.sin(x))) - torch.log(x)
    total = difference_2 + torch.exp(torch.exp(torch.log(x)))
    total_2 = sine_3 + torch.log(torch.cos(x))
    return torch.cos(total_2 * (torch.cos(total) + x))
