"""Sizes, initialisations and learning rates of the controllers, each number with its source."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Input(Enum):
    """A feature of a step that the recurrent network reads, besides its own hidden state."""

    PREVIOUS = "previous"
    """The token sampled one step before."""
    SLOT = "slot"
    """The slot to fill."""
    PARENT = "parent"
    """The token whose choice left the current run."""
    SIBLING = "sibling"
    """The token of the previous slot of the same run."""
    POSITION = "position"
    """How many tokens precede."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How a `RecurrentPolicy` is built, and the learning rate that goes with it."""

    name: str
    hidden_size: int
    """Units of each LSTM layer."""
    num_layers: int
    embedding_size: int
    """Numbers that the features of a step are embedded in; the embeddings are added."""
    inputs: tuple[Input, ...]
    weight_range: float
    """LSTM weights start uniform in [-weight_range, weight_range]."""
    normal_embeddings: bool
    """Embeddings start N(0, 1); else uniform in the weight range."""
    starts_at_table: bool
    """The output layer starts at zero and is added to the starting table, so that a fresh policy is what the table
    says; else the output layer starts uniform in the weight range, without a table."""
    learning_rate: float
    """Step size of Adam."""
    batch: int | None = None
    """Samples between two updates, where the source names them and the search does not; None: the search's own."""


SMALL = Preset(
    name="small",
    hidden_size=64,
    num_layers=1,
    embedding_size=64,
    inputs=(Input.PREVIOUS, Input.SLOT, Input.PARENT, Input.SIBLING, Input.POSITION),
    weight_range=0.125,
    normal_embeddings=True,
    starts_at_table=True,
    learning_rate=0.01,
)
"""The default: what learns fastest here.

Measured on the six-layer CNN space of Zoph and Le (2017) with a separable reward
(tests/search/test_strategy_learning.py), mean of the last 100 of 1,000 samples: 0.99 of the optimum, 0.68 without the
position input. Embeddings of 16 or 32 numbers end as well but learn more slowly (0.73 and 0.79 instead of 0.83 after
300 samples). The weight range is 1 / sqrt(units), as PyTorch starts an LSTM.
"""

ZOPH2017 = Preset(
    name="zoph2017",
    hidden_size=35,
    num_layers=2,
    embedding_size=35,
    inputs=(Input.PREVIOUS,),
    weight_range=0.08,
    normal_embeddings=False,
    starts_at_table=False,
    learning_rate=6e-4,
)
"""The controller of Zoph and Le (2017), section 4.1.

A two-layer LSTM of 35 units a layer, all weights uniform in [-0.08, 0.08], Adam at 0.0006, the sampled token fed as
the next input. The size of the embedding is not given; it equals the units. The paper has a softmax for each kind of
decision; here one output layer is masked to the tokens allowed, which is the same function, since no token belongs to
two slots of its space. Skip connections have the head of its section 3.3 (`dslc.controller.heads`), whose weights start
like all others.
"""

BELLO2017 = Preset(
    name="bello2017",
    hidden_size=150,
    num_layers=1,
    embedding_size=150,
    inputs=(Input.PREVIOUS,),
    weight_range=0.08,
    normal_embeddings=False,
    starts_at_table=False,
    learning_rate=1e-5,
    batch=5,
)
"""The controller of Bello et al. (2017), section 4.

A one-layer LSTM of 150 units, all weights uniform in [-0.08, 0.08], Adam at 1e-5, minibatches of 5; the paper trains it
by TRPO, with a baseline of decay 0.95 and entropy weight 0.0015. The size of the embedding is not given; it equals the
units.
"""

DSO = Preset(
    name="dso",
    hidden_size=32,
    num_layers=1,
    embedding_size=32,
    inputs=(Input.PARENT, Input.SIBLING),
    weight_range=0.08,
    normal_embeddings=False,
    starts_at_table=True,
    learning_rate=1e-3,
    batch=1000,
)
"""The controller of dso, its `config_common.json`: an LSTM of 32 units, parent and sibling as inputs, Adam at 1e-3,
batches of 1,000.

dso starts at equal logits with priors on length and arity; here the starting table takes their place. It feeds the
inputs as one-hot vectors; an embedding of 32 numbers is as general a linear map.
"""

PRESETS = {preset.name: preset for preset in (SMALL, ZOPH2017, BELLO2017, DSO)}
"""By name."""
