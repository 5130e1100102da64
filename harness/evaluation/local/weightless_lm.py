"""An lm-eval model without weights: it writes prompts and counts tokens, and has no reply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from harness.evaluation.known_replies import UnknownReplyError
from harness.evaluation.local.prompt_reader import PromptReader
from harness.records import JsonValue


class WeightlessLM(PromptReader):
    """Stands in for a candidate of which every reply is known.

    Whatever is asked of it raises UnknownReplyError.

    Args:
        config: configuration of the candidate's base.
        tokenizer: tokenizer of the candidate.
        date: day that a chat template which writes the date is told; today if None.
        template_args: what the chat template is told beside the messages.
    """

    rank = 0
    world_size = 1

    def __init__(
        self,
        config: Any,
        tokenizer: Any,
        date: str | None,
        template_args: Mapping[str, JsonValue] | None = None,
    ) -> None:
        self.read_with(config, tokenizer, date, template_args)
        self.tokenizer_name = str(tokenizer.name_or_path)
        self.max_length = self.longest

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A conversation as the candidate's prompt."""
        if not add_generation_prompt:
            raise UnknownReplyError
        return self.prompt_of(chat_history)

    @contextmanager
    def kept_to(self, constraint: object) -> Iterator[None]:
        """Do nothing: what a reply was kept to shows in the reply."""
        yield

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> NoReturn:
        """Refuse."""
        raise UnknownReplyError

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> NoReturn:
        """Refuse."""
        raise UnknownReplyError

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = True) -> NoReturn:
        """Refuse."""
        raise UnknownReplyError
