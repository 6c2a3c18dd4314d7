# dslc.python/1
import torch
from torch import Tensor


def compute(t: Tensor, T: Tensor) -> Tensor:
    """Return max(cos(t / T), 0.1) - exp(t).

    Sentence: max ( cos ( t / T ) , 0.1 ) - exp ( t )
    Shapes: t [...], T [...] to [...]; inputs broadcast.
    """
    quotient = t / T
    cosine = torch.cos(quotient)
    larger = torch.clamp(cosine, min=0.1)
    exponential = torch.exp(t)
    return larger - exponential
