"""A GGUF file that answers by llama.cpp's own arithmetic, through llama-cpp-python."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import InputError

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
        self._model: Any = None

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[str]:
        """Replies in the order of ``requests``.

        Raises:
            InputError: llama.cpp cannot load the file.
        """
        asked = [(str(request.args[0]), request.args[1]) for request in requests]
        longest = max(
            len(self._reader.tok_encode(prompt)) + int(settings["max_gen_toks"])
            for prompt, settings in asked
        )
        # As much again, as the file may cut a prompt into more tokens.
        self._open(2 * longest)
        replies = []
        for done, (prompt, settings) in enumerate(asked, 1):
            room, stops = int(settings["max_gen_toks"]), settings["until"]
            replies.append(self._reply(self._tokens(prompt), room, stops))
            self.on_progress(done, len(asked))
        return replies

    def _open(self, context: int) -> None:
        if self._model is not None and self._model.n_ctx() >= context:
            return
        from llama_cpp import Llama

        try:
            self._model = Llama(
                str(self._gguf),
                n_ctx=context,
                n_threads=self._threads,
                n_threads_batch=self._threads,
                n_gpu_layers=-1 if self._on_gpu else 0,
                verbose=False,
            )
        except (ValueError, OSError, RuntimeError) as error:
            raise InputError(f"{self._gguf}: llama.cpp cannot load it: {error}") from error

    def _tokens(self, prompt: str) -> list[int]:
        tokens: list[int] = self._model.tokenize(prompt.encode(), add_bos=False, special=True)
        scored = self._reader.tok_encode(prompt)
        begin = self._model.token_bos()
        if scored[:1] == [begin] != tokens[:1]:
            tokens = [begin, *tokens]
        if tokens != scored:
            self.cut_otherwise.add(prompt)
        return tokens

    def _reply(self, prompt: list[int], room: int, stops: Sequence[str]) -> str:
        from llama_cpp import llama_vocab_is_eog

        vocabulary = self._model._model.vocab
        ends = {ids[0] for stop in stops if len(ids := self._reader.tok_encode(stop, False)) == 1}
        written: list[int] = []
        text = ""
        # One request is not to begin where another ended: what they share was read in other parts.
        self._model.reset()
        for token in self._model.generate(prompt, temp=0.0):
            if token in ends or llama_vocab_is_eog(vocabulary, token):
                break
            written.append(token)
            text = self._reader.tok_decode(written)
            if len(written) == room or any(stop and stop in text for stop in stops):
                break
        for stop in filter(None, stops):
            text = text.split(stop)[0]
        return text


__all__ = ["LlamaCppLM", "has_llama_cpp"]
