# dslc.python/1
from torch import Tensor, nn


def compute(t: Tensor, T: Tensor) -> Tensor:
    """Return log(1 + exp(t)) + -0.5.

    Sentence: softplus ( second ( T , t ) ) + -0.5
    Shapes: t [...], T [...] to [...]; inputs broadcast.
    """
    del T  # the value does not depend on it
    softplus = nn.functional.softplus(t)
    return softplus - 0.5
