"""Recurrent policies over a token automaton."""

if __name__ != "dslc.controller":
    raise ImportError("import dslc.controller, not controller")

from dslc.controller.masking import AutomatonTensors as AutomatonTensors
from dslc.controller.masking import Runtime as Runtime
from dslc.controller.masking import TorchRuntime as TorchRuntime
from dslc.controller.masking import make_runtime as make_runtime
from dslc.controller.masking import masked_divergence as masked_divergence
from dslc.controller.masking import masked_entropy as masked_entropy
from dslc.controller.masking import masked_log_softmax as masked_log_softmax
from dslc.controller.policy import RecurrentPolicy as RecurrentPolicy
from dslc.controller.presets import PRESETS as PRESETS
from dslc.controller.presets import Input as Input
from dslc.controller.presets import Preset as Preset
from dslc.controller.rollout import Rollout as Rollout
from dslc.controller.rollout import Score as Score
from dslc.controller.rollout import replay as replay
from dslc.controller.rollout import sample_rollout as sample_rollout
from dslc.controller.rollout import score_rollout as score_rollout
from dslc.controller.steps import Steps as Steps
from dslc.controller.steps import join_steps as join_steps
from dslc.controller.steps import select_steps as select_steps
