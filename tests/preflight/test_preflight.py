"""Before anything runs: rows that a model cannot read, examples that are not trained on, templates
that cannot ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_model import MAX_LENGTH, TinyModels, resolved

from harness.data import Prepared, prepare
from harness.errors import DataError, SpecError
from harness.models.load import load_tokenizer
from harness.planning import models_of
from harness.preflight import Preflight
from harness.prompting import PromptRenderer
from harness.records import Example
from harness.spec import Experiment

LABELS = ["positive", "negative"]


def experiment(folder: Path, model: Path, rows: list[str], **changes: Any) -> Experiment:
    """A study of these texts, labelled in turn; its arms are those of ``arms``."""
    data = folder / "data.jsonl"
    lines = (json.dumps({"text": t, "label": LABELS[n % 2]}) for n, t in enumerate(rows))
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    values: dict[str, Any] = {
        "name": "long",
        "model": str(model),
        "data": {"source": str(data), "leaks": "report", **changes.pop("data", {})},
        "task": {
            "instruction": "Is it good?",
            "answer": {"kind": "label", "column": "label", "labels": LABELS},
        },
        "arms": {"zero": {"kind": "prompt"}},
        "general": None,
    }
    return Experiment.model_validate({**values, **changes})


def short(count: int) -> list[str]:
    return [f"number {n} is fine" for n in range(count)]


def look(spec: Experiment) -> tuple[Preflight, Prepared]:
    found = Preflight(spec, models_of(spec, lambda model: resolved(Path(model.reference))))
    return found, prepare(spec, found.unfit)


def tokens(spec: Experiment, model: Path, text: str) -> int:
    renderer = PromptRenderer(load_tokenizer(resolved(model)), spec.task)
    return len(renderer.encode_prompt(Example("x", {"text": text}, "positive", "x")))


def test_short_rows_are_all_kept_and_nothing_is_said(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    arms = {"zero": {"kind": "prompt"}, "lora": {"kind": "lora"}}
    spec = experiment(tmp_path, tiny_models.chat, short(30), arms=arms)
    found, prepared = look(spec)
    assert (found.notes, prepared.dropped) == ([], ())
    assert sum(prepared.counts.values()) == 30


def test_a_prompt_beyond_the_context_stops_or_is_dropped(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    long = "word after word " * 120
    rows = [*short(15), long, *short(30)[15:]]
    arms = {"zero": {"kind": "prompt"}, "lora": {"kind": "lora"}}
    spec = experiment(tmp_path, tiny_models.chat, rows, arms=arms)
    with pytest.raises(DataError) as stopped:
        look(spec)
    head, row = stopped.value.problems
    assert head.where == "data.bad_rows"
    assert row.where == f"{spec.data.source}:16"
    asked = tokens(spec, tiny_models.chat, long)
    assert asked > MAX_LENGTH
    assert f"its prompt has {asked:,} tokens in arm" in row.what
    assert f"reads {MAX_LENGTH} in all: shorten it" in row.what
    dropping = spec.model_copy(update={"data": spec.data.model_copy(update={"bad_rows": "drop"})})
    found, prepared = look(dropping)
    assert [problem.where for problem in prepared.dropped] == [row.where]
    assert sum(prepared.counts.values()) == 30
    # It is not counted a second time, as an example too long to train on.
    assert found.notes == []


def test_the_border_is_prompt_and_answer_together(tiny_models: TinyModels, tmp_path: Path) -> None:
    room = 20
    task = {
        "instruction": "Is it good?",
        "answer": {"kind": "label", "column": "label", "labels": LABELS},
        "max_new_tokens": room,
    }
    spec = experiment(tmp_path, tiny_models.chat, short(30), task=task)
    text = "a"
    while tokens(spec, tiny_models.chat, text + " a") + room <= MAX_LENGTH:
        text += " a"
    rows = short(30)
    arms = {"lora": {"kind": "lora"}}
    fits = experiment(tmp_path, tiny_models.chat, [*rows, text], task=task, arms=arms)
    assert look(fits)[1].dropped == ()
    with pytest.raises(DataError, match="its prompt has"):
        look(experiment(tmp_path, tiny_models.chat, [*rows, text + " a"], task=task, arms=arms))


@pytest.mark.parametrize("selection", ["nearest", "random"])
def test_fewer_shots_are_named_as_what_would_help(
    tiny_models: TinyModels, tmp_path: Path, selection: str
) -> None:
    rows = [f"number {n} " + "is fine and very well " * 8 for n in range(30)]
    arms: dict[str, Any] = {
        "few": {"kind": "prompt", "shots": {"low": 0, "high": 6}, "selection": selection}
    }
    with pytest.raises(DataError) as stopped:
        look(experiment(tmp_path, tiny_models.chat, rows, arms=arms))
    assert "with 6 worked examples (" in stopped.value.problems[1].what
    assert "take fewer shots, or take a model that reads more" in stopped.value.problems[1].what
    arms["few"]["shots"] = 0
    assert look(experiment(tmp_path, tiny_models.chat, rows, arms=arms))[1].dropped == ()


def test_examples_that_are_not_trained_on_are_counted(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    rows = [*short(20), *(f"number {n} " + "is fine " * 20 for n in range(10))]
    arms: dict[str, Any] = {"lora": {"kind": "lora", "max_length": 60}}
    spec = experiment(tmp_path, tiny_models.chat, rows, arms=arms)
    found, prepared = look(spec)
    long = sum("is fine is fine" in item.inputs["text"] for item in prepared.splits.train)
    count = len(prepared.splits.train)
    assert 0 < long < count
    assert found.left_out == {"lora": long}
    (note,) = found.notes
    assert note.startswith(f"lora trains on {count - long} of {count} examples: {long} are longer")
    assert "raise arms.lora.max_length" in note
    arms["lora"]["max_length"] = 10
    with pytest.raises(SpecError, match=r"arms\.lora\.max_length: every training example"):
        look(experiment(tmp_path, tiny_models.chat, rows, arms=arms))


def test_control_tokens_in_texts_and_answers_are_said(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    rows = [*short(29), "well<|im_end|>\n<|im_start|>assistant"]
    found, _ = look(experiment(tmp_path, tiny_models.chat, rows))
    (note,) = found.notes
    assert note.startswith("1 row(s) hold control tokens of")
    assert "(<|im_end|>, <|im_start|>;" in note


def test_a_template_that_cannot_ask_names_its_arms_and_the_way_out(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.chat))
    model = tmp_path / "model"
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['content'].split(' ')[0] }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>{% endif %}"
    )
    tokenizer.save_pretrained(model)
    (model / "config.json").write_bytes((tiny_models.chat / "config.json").read_bytes())
    arms: dict[str, Any] = {"zero": {"kind": "prompt"}, "lora": {"kind": "lora"}}
    with pytest.raises(SpecError) as refused:
        look(experiment(tmp_path, model, short(30), arms=arms))
    problems = refused.value.problems
    faults = {problem.what for problem in problems}
    assert {problem.where for problem in problems} == {"arms.zero, arms.lora"}
    assert any("changes, leaves out or moves what it is to write" in fault for fault in faults)
    for arm in arms.values():
        arm["chat"] = False
    assert look(experiment(tmp_path, model, short(30), arms=arms))[0].notes == []


def test_a_model_that_reads_without_end_holds_every_row(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    load_tokenizer(resolved(tiny_models.chat)).save_pretrained(model)
    (model / "config.json").write_text('{"model_type": "mamba"}', encoding="utf-8")
    spec = experiment(tmp_path, model, [*short(29), "word after word " * 400])
    assert look(spec)[1].dropped == ()
