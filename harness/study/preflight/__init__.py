"""What is asked of models and prompts before anything runs: templates, tokens, lengths.

Tokenizers and configurations are read, no weights. A prompt that its model cannot read whole is a
bad row of the data, for all arms alike: none is ever cut. The user's own metrics are tried.
"""

from harness.study.preflight.arm_prompts import Splits
from harness.study.preflight.experiment_prompts import Preflight
from harness.study.preflight.metric_trials import try_metrics

__all__ = ["Preflight", "Splits", "try_metrics"]
