"""Tables of an automaton on the device of a policy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def copy_table(array: NDArray[Any], device: torch.device | str, dtype: torch.dtype | None = None) -> Tensor:
    """A copy of an array, which nobody may write to, as a tensor on `device`; of its own type if `dtype` is None."""
    return torch.from_numpy(np.array(array)).to(device, dtype)
