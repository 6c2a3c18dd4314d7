# dslc.python/1
import torch
from torch import Tensor


def compute(t: Tensor, T: Tensor) -> Tensor:
    """Return a function of t and T.

    Sentence: warm_cosine ( half_cosine ( t * T ) ) - pow ( t , 2 )
    Shapes: t [...], T [...] to [...]; inputs broadcast.
    Ops: pi() = 3.141592653589793; half_cosine(x) = 0.5 * (1 + cos(pi() * x)); warm(x,
        share) = min(x / share, 1); warm_cosine(x) = warm(x, 0.1) * half_cosine(x) ** 2
    """
    product = t * T
    half_cosine = 0.5 * (1 + torch.cos(3.141592653589793 * product))
    total = 1 + torch.cos(3.141592653589793 * half_cosine)
    warm_cosine = torch.clamp(half_cosine / 0.1, max=1) * (0.5 * total) ** 2
    power = t**2
    return warm_cosine - power
