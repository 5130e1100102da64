"""The code that goes with a saved prompt does what the study did, at a server that can."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.data import read_examples_file
from harness.deployment.agreement import scored_items
from harness.deployment.finalist import loaded_candidate
from harness.export import export_prompt
from harness.export.final_run import find_final_run
from tests.fake_server import serving

from .conftest import RealStudy

pytestmark = pytest.mark.weights


def saved(study: RealStudy, arm: str, path: Path) -> dict[str, Any]:
    export_prompt(study.run.store.parent, None, path, arm=arm)
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def run_lines(lines: list[str], url: str, folder: Path, text: str) -> str:
    program = "\n".join(lines).replace("http://localhost:8000/v1", url)
    program = program.replace("'...'", repr(text))
    program = program.replace("open('prompt.json'", f"open({str(folder / 'prompt.json')!r}")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program, {})  # noqa: S102 - the very lines that a reader is shown
    return out.getvalue().strip()


@pytest.mark.parametrize("arm", ["chosen", "plain"])
def test_the_lines_choose_as_the_study_did(study: RealStudy, tmp_path: Path, arm: str) -> None:
    content = saved(study, arm, tmp_path / "prompt.json")
    assert set(content["choice"]["continuations"]) == {"positive", "negative"}
    assert "log-likelihoods of a given text" in " ".join(content["notes"])
    run = find_final_run(study.run.store.parent, None, arm)
    with loaded_candidate(run) as candidate, serving() as server:
        model, tokenizer = candidate.loaded.model, candidate.loaded.tokenizer

        def echo(payload: dict[str, Any]) -> dict[str, Any]:
            text = payload["prompt"]
            read = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
            ids = torch.tensor([read["input_ids"]])
            with torch.inference_mode():
                logits = model(input_ids=ids).logits[0].float().log_softmax(-1)
            rows = logits[:-1].gather(1, ids[0, 1:, None])[:, 0].tolist()
            starts = [start for start, _ in read["offset_mapping"]]
            # One token is written too, which is none of the answer.
            found = {"text_offset": [*starts, len(text)], "token_logprobs": [None, *rows, -9.0]}
            return {"choices": [{"text": text, "logprobs": found}]}

        server.echo = echo
        for one in scored_items(run)[:4]:
            chosen = run_lines(content["usage"], server.url, tmp_path, one.item.inputs["text"])
            assert chosen == one.reply


def test_servers_are_told_to_keep_to_the_answers(study: RealStudy, tmp_path: Path) -> None:
    content = saved(study, "kept", tmp_path / "prompt.json")
    told = content["constraint"]
    assert told["vllm"] == {"structured_outputs": {"choice": ["positive", "negative"]}}
    assert told["sglang"] == {"regex": "(positive|negative)"}
    assert told["llama.cpp"] == {"grammar": 'root ::= "positive" | "negative"'}
    item = read_examples_file(find_final_run(study.run.store.parent, None, "kept").spec.train_path)[
        0
    ]
    with serving() as server:
        run_lines(content["usage"], server.url, tmp_path, item.inputs["text"])
        (seen,) = server.seen
    assert seen.payload["structured_outputs"] == told["vllm"]["structured_outputs"]


def test_free_replies_need_neither(study: RealStudy, tmp_path: Path) -> None:
    content = saved(study, "written", tmp_path / "prompt.json")
    assert {"choice", "constraint"}.isdisjoint(content)
