"""What is asked of models and prompts before anything runs: templates, tokens, lengths.

Tokenizers and configurations are read, no weights. A prompt that its model cannot read whole is a
bad row of the data, for all arms alike: none is ever cut.
"""

from harness.study.preflight.experiment_prompts import Preflight

__all__ = ["Preflight"]
