"""Plain arithmetic that no other family has."""

from __future__ import annotations

import numpy as np

from dslc.program.op_spec import OpSpec

TABLE: tuple[OpSpec, ...] = (
    # nan where a negative value is raised to a fraction, as in PyTorch.
    OpSpec("pow", 2, "{0}^{1}", "{0} ** {1}", np.power, "power", ""),
)
"""All of them."""
