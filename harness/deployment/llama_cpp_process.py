"""llama.cpp in a process of its own: what it was compiled for may be another processor, and it ends
the process in which it finds that out."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from harness.errors import InputError, interrupts_held


@dataclass(frozen=True, slots=True)
class Opening:
    """How a file is opened."""

    gguf: Path
    """The GGUF file."""
    context: int
    """Tokens of a prompt and its reply, at most."""
    threads: int
    """Threads of the processor."""
    on_gpu: bool
    """Whether all layers go to a GPU, where llama.cpp was built for one."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is to be answered."""

    text: str
    """The prompt."""
    begins: bool
    """Whether the token that begins a text stands before it, should the file have one."""
    room: int
    """Tokens that the reply may have."""
    stops: Sequence[str]
    """Texts at which it ends."""
    ends: Collection[int]
    """Tokens at which it ends."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply."""

    prompt: list[int]
    """Tokens of the prompt, as the file cuts it."""
    reply: list[int]
    """Tokens of the reply, without what ended it."""


class LlamaCpp:
    """A GGUF file that answers greedily in another process."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        # Forked, it would hold what this process has loaded.
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=answer, args=(opening, there), daemon=True)
        # It imports before it could say what an interrupt means there.
        with interrupts_held():
            self._process.start()
        there.close()

    def ask(self, prompt: Prompt) -> Answered:
        """The reply to a prompt.

        Raises:
            InputError: llama.cpp cannot load the file, fails, or ended its process.
        """
        gguf = self.opening.gguf
        try:
            self._pipe.send(prompt)
            answered = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            code = self._process.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            why = ""
            if code == -signal.SIGILL:
                why = ", as what was compiled for another processor does; build it on this machine"
            raise InputError(
                f"{gguf}: llama.cpp ended its process with {how}{why}; or serve the file, and "
                "verify its --endpoint"
            ) from error
        if isinstance(answered, str):
            raise InputError(f"{gguf}: llama.cpp cannot answer by it: {answered}")
        found: Answered = answered
        return found

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.kill()
        self._process.join()


def answer(opening: Opening, pipe: Connection) -> None:
    """Load the file and answer prompts from the pipe until it ends; a failure is sent as text."""
    model: Any = None
    while True:
        try:
            prompt = pipe.recv()
        except EOFError:
            return
        try:
            model = model or _loaded(opening)
            pipe.send(_answered(model, prompt))
        except (ValueError, OSError, RuntimeError) as error:
            pipe.send(str(error))


def _loaded(opening: Opening) -> Any:
    from llama_cpp import Llama

    return Llama(
        str(opening.gguf),
        n_ctx=opening.context,
        n_threads=opening.threads,
        n_threads_batch=opening.threads,
        n_gpu_layers=-1 if opening.on_gpu else 0,
        verbose=False,
    )


def _answered(model: Any, prompt: Prompt) -> Answered:
    from llama_cpp import llama_vocab_is_eog

    tokens: list[int] = model.tokenize(prompt.text.encode(), add_bos=False, special=True)
    begin = model.token_bos()
    if prompt.begins and begin >= 0 and tokens[:1] != [begin]:
        tokens = [begin, *tokens]
    written: list[int] = []
    # One request is not to begin where another ended: what they share was read in other parts.
    model.reset()
    for token in model.generate(tokens, temp=0.0):
        if token in prompt.ends or llama_vocab_is_eog(model._model.vocab, token):
            break
        written.append(token)
        text = model.detokenize(written, special=True).decode(errors="replace")
        if len(written) == prompt.room or any(stop and stop in text for stop in prompt.stops):
            break
    return Answered(tokens, written)


__all__ = ["Answered", "LlamaCpp", "Opening", "Prompt", "answer"]
