"""A GGUF file that answers by llama.cpp's own arithmetic, through llama-cpp-python."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.deployment.llama_cpp_process import LlamaCpp, Opening, Prompt

if TYPE_CHECKING:
    from harness.evaluation.local.candidate_lm import CandidateLM


def has_llama_cpp() -> bool:
    """Whether llama-cpp-python is installed."""
    return importlib.util.find_spec("llama_cpp") is not None


class LlamaCppLM:
    """Greedy replies to an lm-eval task's requests, one after another.

    Prompts are those of the arm, cut into tokens by what the file says of its tokenizer. Tokens
    of a reply are written as text by ``reader``, whose vocabulary is that of the file.

    Args:
        gguf: the file.
        reader: reads and writes tokens as the arm was scored.
        threads: of the processor.
        on_gpu: whether all layers go to a GPU, where llama.cpp was built for one.

    Attributes:
        on_progress: told of (done, total).
        cut_otherwise: prompts that the file cuts into other tokens than ``reader`` does.
    """

    def __init__(
        self, gguf: Path, reader: CandidateLM, threads: int, *, on_gpu: bool = False
    ) -> None:
        self.on_progress: Callable[[int, int], None] = lambda done, total: None
        self.cut_otherwise: set[str] = set()
        self._gguf, self._reader = gguf, reader
        self._threads, self._on_gpu = threads, on_gpu
        self._model: LlamaCpp | None = None

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[str]:
        """Replies in the order of ``requests``.

        Raises:
            InputError: llama.cpp cannot load the file, fails, or ended its process.
        """
        asked = [self._prompt(*request.args) for request in requests]
        longest = max(len(self._reader.tok_encode(one.text)) + one.room for one in asked)
        # As much again, as the file may cut a prompt into more tokens.
        model = self._opened(2 * longest)
        replies = []
        for done, prompt in enumerate(asked, 1):
            answered = model.ask(prompt)
            if answered.prompt != self._reader.tok_encode(prompt.text):
                self.cut_otherwise.add(prompt.text)
            text = self._reader.tok_decode(answered.reply)
            for stop in filter(None, prompt.stops):
                text = text.split(stop)[0]
            replies.append(text)
            self.on_progress(done, len(asked))
        return replies

    def close(self) -> None:
        """End the process in which it computes."""
        if self._model is not None:
            self._model.close()
            self._model = None

    def _prompt(self, text: str, settings: dict[str, Any]) -> Prompt:
        read, stops = self._reader.tok_encode, settings["until"]
        return Prompt(
            text,
            begins=read(text)[:1] == [self._reader.tokenizer.bos_token_id],
            room=int(settings["max_gen_toks"]),
            stops=tuple(stops),
            ends=frozenset(ids[0] for stop in stops if len(ids := read(stop, False)) == 1),
        )

    def _opened(self, context: int) -> LlamaCpp:
        if self._model is None or self._model.opening.context < context:
            self.close()
            self._model = LlamaCpp(Opening(self._gguf, context, self._threads, self._on_gpu))
        return self._model


__all__ = ["LlamaCppLM", "has_llama_cpp"]
