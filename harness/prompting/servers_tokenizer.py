"""What stands in for a tokenizer that is not at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ServersTokenizer:
    """Stands in for the tokenizer that the server keeps: a renderer then makes messages only."""

    chat_template: None = None
    """None, as the template is the server's matter."""
    eos_token: None = None
    """None, as it is not known here."""
    bos_token: None = None
    """None, as it is not known here."""
    # Which its control tokens are is the server's matter, as is keeping texts from being obeyed.
    added_tokens_decoder: Mapping[int, Any] = field(default_factory=dict)
    """Control tokens that are known here: none."""
