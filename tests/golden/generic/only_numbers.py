# dslc.python/1
import torch
from torch import Tensor


def compute(t: Tensor, T: Tensor) -> Tensor:
    """Return max((-0.5)^0.1, 2) - 3.141592653589793.

    Sentence: max ( pow ( -0.5 , 0.1 ) , 2 ) - pi
    Shapes: t [...], T [...] to [...]; inputs broadcast.
    Ops: pi() = 3.141592653589793
    """
    del T  # the value does not depend on it
    power = torch.full_like(t, -0.5) ** 0.1
    larger = torch.clamp(power, min=2)
    return larger - 3.141592653589793
