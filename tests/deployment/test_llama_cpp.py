"""A GGUF file answers by llama.cpp where that is installed, and is told from the file's weights.

Its binding is built from sources where it is installed, so a stand-in with its interface answers.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from gguf import GGMLQuantizationType

from harness.deployment.verification import Verification
from harness.deployment.verify_folder import verify_folder
from harness.errors import InputError
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.trial.scoring import candidate_lm

from .conftest import LearntStudy
from .test_gguf_folder import gguf_file

pytestmark = pytest.mark.weights


class StandIn:
    """What llama-cpp-python's ``Llama`` has of it, on a model of transformers."""

    fault = ""
    lm: CandidateLM
    made: list[int]

    def __init__(self, path: str, *, n_ctx: int, **settings: Any) -> None:
        if self.fault == "unreadable":
            raise ValueError("unknown architecture")
        self.made.append(n_ctx)
        self._context = n_ctx
        self._model = SimpleNamespace(vocab="vocabulary")

    def n_ctx(self) -> int:
        return self._context

    def token_bos(self) -> int:
        bos = self.lm.tokenizer.bos_token_id
        return -1 if bos is None else int(bos)

    def tokenize(self, text: bytes, add_bos: bool, special: bool) -> list[int]:
        assert (add_bos, special) == (False, True)
        ids = self.lm.tok_encode(text.decode(), False)
        return ids[:-1] if self.fault == "other tokens" else ids

    def reset(self) -> None:
        """Nothing is kept of an earlier prompt."""

    def detokenize(self, tokens: list[int], special: bool) -> bytes:
        assert special
        return str(self.lm.tokenizer.decode(tokens)).encode()

    def generate(self, tokens: list[int], temp: float) -> Iterator[int]:
        import torch

        assert temp == 0.0
        read = list(tokens)
        while len(read) < self._context:
            logits = self.lm.model(torch.tensor([read])).logits[0, -1]
            token = int(logits.argmax())
            if self.fault == "arithmetic" and len(read) == len(tokens):
                token = int(logits.topk(2).indices[1])
            read.append(token)
            yield token


@pytest.fixture
def stand_in(learnt: LearntStudy, monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    lm = candidate_lm(learnt.candidate)
    ends = {lm.tokenizer.eos_token_id}
    made = type("Made", (StandIn,), {"lm": lm, "made": []})
    module = ModuleType("llama_cpp")
    module.__spec__ = ModuleSpec("llama_cpp", None)
    module.__dict__.update(Llama=made, llama_vocab_is_eog=lambda vocabulary, token: token in ends)
    monkeypatch.setitem(sys.modules, "llama_cpp", module)
    # A process of its own would not have the stand-in.
    monkeypatch.setattr("multiprocessing.get_context", lambda method: Threads)
    return made


class Threads:
    """What is asked of a way to start processes, in this one."""

    Pipe = staticmethod(multiprocessing.Pipe)

    class Process:
        def __init__(
            self, target: Callable[..., None], args: tuple[Any, ...], daemon: bool
        ) -> None:
            opening, pipe = args
            # The starter closes its copy of that end.
            again = Connection(os.dup(pipe.fileno()))
            self._thread = threading.Thread(target=target, args=(opening, again), daemon=daemon)
            self.start, self.join = self._thread.start, self._thread.join

        def kill(self) -> None:
            """It ends as the pipe does."""


@pytest.fixture
def gguf(merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A GGUF file whose weights, taken out of it, are those of the exported folder."""
    monkeypatch.setattr("harness.models.convert.convert_gguf", lambda *a: merged)
    return gguf_file(tmp_path / "model.gguf", GGMLQuantizationType.F32)


def found_of(found: Verification) -> dict[str, str]:
    return {culprit.name: culprit.found for culprit in found.culprits if culprit.explains}


def test_the_same_weights_give_the_scored_replies(
    learnt: LearntStudy, gguf: Path, stand_in: type[StandIn]
) -> None:
    found = verify_folder(learnt.final, gguf)
    assert found.what == f"the file {gguf}, by llama.cpp"
    assert (found.agreement.equal, found.culprits) == (12, ())
    assert [load.at_once for load in found.loads] == [1]
    assert len(stand_in.made) == 1


def test_arithmetic_of_its_own_is_told_from_other_weights(
    learnt: LearntStudy, gguf: Path, stand_in: type[StandIn]
) -> None:
    stand_in.fault = "arithmetic"
    found = verify_folder(learnt.final, gguf)
    assert found.agreement.equal == 0
    assert list(found_of(found)) == ["arithmetic"]
    assert "the same file gives 12 of 12 of these replies" in found_of(found)["arithmetic"]


def test_prompts_that_it_cuts_otherwise_are_told(
    learnt: LearntStudy, gguf: Path, stand_in: type[StandIn]
) -> None:
    stand_in.fault = "other tokens"
    found = verify_folder(learnt.final, gguf)
    assert found.agreement.apart
    assert "llama.cpp cuts 12 of 12 prompts into other tokens" in found_of(found)["template"]


def test_a_file_that_llama_cpp_cannot_load_is_named(
    learnt: LearntStudy, gguf: Path, stand_in: type[StandIn]
) -> None:
    stand_in.fault = "unreadable"
    with pytest.raises(InputError, match=r"llama\.cpp cannot answer by it: unknown arch"):
        verify_folder(learnt.final, gguf)


def test_a_process_that_llama_cpp_ends_is_told(
    learnt: LearntStudy, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it was compiled for a processor with other instructions."""
    (tmp_path / "llama_cpp.py").write_text(
        "import os, signal\ndef Llama(*a, **k): os.kill(os.getpid(), signal.SIGILL)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match="with SIGILL, as what was compiled for another"):
        verify_folder(learnt.final, gguf)


def test_without_it_transformers_answers_and_the_name_says_so(
    learnt: LearntStudy, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.deployment.verify_folder.has_llama_cpp", lambda: False)
    found = verify_folder(learnt.final, gguf)
    assert found.what == f"the file {gguf}, its weights read by transformers"
    assert found.agreement.equal == 12
