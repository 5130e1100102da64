"""Before anything runs: rows that a model cannot read, examples that are not trained on, templates
that cannot ask."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.data import Prepared, prepare
from harness.errors import DataError, SpecError
from harness.models.load import load_tokenizer
from harness.prompting import PromptRenderer
from harness.records import Example
from harness.spec import Experiment
from harness.study.asked_models import models_of
from harness.study.preflight import Preflight
from harness.trial.candidate import reply_constraint, reply_room
from tests.models.test_brought import adapter
from tests.tiny_model import CHATML, MAX_LENGTH, TinyModels, resolved, write_model

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


def test_reasoning_that_worked_examples_may_show_is_counted_before_it_is_written(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    few: dict[str, Any] = {
        "kind": "prompt",
        "shots": {"choices": [0, 2]},
        "reasoning": {"choices": ["none", "brief"]},
        "reasoning_tokens": 20,
        "bootstrapped": 8,
    }

    def notes(**other: Any) -> list[str]:
        spec = experiment(tmp_path, tiny_models.chat, short(30), arms={"few": {**few, **other}})
        found, prepared = look(spec)
        assert prepared.dropped == ()
        return [note for note in found.notes if "worked example" in note]

    assert notes() == []
    (note,) = notes(reasoning_tokens=100)
    assert note.startswith("few: with 2 worked examples that reason as long as they may, a prompt ")
    assert f"reads {MAX_LENGTH}: a prompt that does not fit loses its beginning" in note
    # What shows answers alone has no reasoning to count.
    assert notes(reasoning_tokens=100, bootstrapped=0) == []


def dropping(spec: Experiment) -> Experiment:
    return spec.model_copy(update={"data": spec.data.model_copy(update={"bad_rows": "drop"})})


@pytest.mark.parametrize("selection", ["fixed", "random", "balanced", "nearest", "bm25"])
def test_a_row_that_is_too_long_by_itself_is_no_worked_example_of_others(
    tiny_models: TinyModels, tmp_path: Path, selection: str
) -> None:
    rows = short(30)
    for place in range(0, 30, 6):
        rows[place] = f"word {place} after word " * 120
    arms = {"few": {"kind": "prompt", "shots": 4, "selection": selection}}
    spec = dropping(experiment(tmp_path, tiny_models.chat, rows, arms=arms))
    found, prepared = look(spec)
    places = {problem.where.rpartition(":")[2] for problem in prepared.dropped}
    assert places == {str(place + 1) for place in range(0, 30, 6)}
    assert all("shorten it" in problem.what for problem in prepared.dropped)
    assert found.notes == []


def test_room_for_a_reply_that_is_more_than_needed_is_named_as_the_cause(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    task = {
        "instruction": "Is it good?",
        "answer": {"kind": "label", "column": "label", "labels": LABELS},
        "max_new_tokens": MAX_LENGTH,
    }
    spec = experiment(tmp_path, tiny_models.chat, short(30), task=task)
    for chosen in (spec, dropping(spec)):
        with pytest.raises(DataError, match=r"set task\.max_new_tokens to \d+ or few more") as stop:
            look(chosen)
        assert "no row of" in stop.value.problems[0].what
        assert "can be used" in stop.value.problems[0].what


@pytest.mark.parametrize("answering", ["generate", "constrained", "choice"])
def test_what_fits_in_check_fits_in_the_trial(
    tiny_models: TinyModels, tmp_path: Path, answering: str
) -> None:
    """The row that just fits is asked; with a word more it is not."""
    arms = {"lora": {"kind": "lora", "answering": answering}}
    spec = experiment(tmp_path, tiny_models.chat, short(30), arms=arms)
    renderer = PromptRenderer(load_tokenizer(resolved(tiny_models.chat)), spec.task)
    split = [Example("x", {"text": ""}, label, "x") for label in LABELS]
    constraint = reply_constraint(
        renderer, load_tokenizer(resolved(tiny_models.chat)), spec.task, split, answering
    )
    room = reply_room(renderer, spec.task, split, answering, constraint)
    text = "a"
    while tokens(spec, tiny_models.chat, text + " a") + room <= MAX_LENGTH:
        text += " a"
    fits = dropping(experiment(tmp_path, tiny_models.chat, [*short(30), text], arms=arms))
    assert look(fits)[1].dropped == ()
    over = dropping(experiment(tmp_path, tiny_models.chat, [*short(30), text + " a"], arms=arms))
    assert len(look(over)[1].dropped) == 1


def test_a_tokenizer_that_replies_cannot_be_kept_to_is_named(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - not a password
    core.pre_tokenizer, core.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(special_tokens=["[UNK]", "[SEP]"], show_progress=False)
    core.train_from_iterator(["number is fine Is it good Input Answer : ? 0 1 2"], trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token="[UNK]",  # noqa: S106
        eos_token="[SEP]",  # noqa: S106
    ).save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    (tmp_path / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    task = {
        "instruction": "Is it good?",
        "answer": {"kind": "json", "columns": {"a": "label"}, "schema": schema},
    }
    arms = {"zero": {"kind": "prompt", "answering": "constrained"}}
    spec = experiment(tmp_path, tmp_path / "model", short(30), task=task, arms=arms)
    with pytest.raises(SpecError, match=r"arms\.zero: answering: constrained cannot follow"):
        look(spec)


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
    arms["lora"] |= {"max_length": 140, "shots": {"low": 0, "high": 2, "default": 0}}
    found, _ = look(experiment(tmp_path, tiny_models.chat, rows, arms=arms))
    assert found.left_out == {}
    (note,) = found.notes
    assert note.startswith("with some settings that are searched, lora trains on ")
    arms["lora"] = {"kind": "lora"}
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


def test_control_tokens_of_the_experiment_itself_are_said(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    arms: dict[str, Any] = {
        "plain": {"kind": "prompt"},
        "ended": {"kind": "prompt", "instruction": "Answer, then write <|im_end|>."},
        "opened": {"kind": "prompt", "template": "<|text|>{text}"},
    }
    found, _ = look(experiment(tmp_path, tiny_models.chat, short(30), arms=arms))
    assert [note.partition(" holds")[0] for note in found.notes] == [
        "the instruction of ended",
        "the template of opened",
    ]
    assert "(<|im_end|>), which are obeyed" in found.notes[0]


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


def test_what_a_chat_template_is_told_is_looked_at_and_known_by_arm(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", "{{ mood }}" + CHATML)
    told = {"reference": str(model), "chat_template_args": {"mood": "kind"}}
    arms = {"own": {"kind": "prompt"}, "other": {"kind": "prompt", "model": told},
            "same": {"kind": "prompt", "model": str(model)}}  # fmt: skip
    found, _ = look(experiment(tmp_path, model, short(30), arms=arms))
    renderings = found.renderings("2026-01-02")
    assert renderings["own"] == renderings["same"] == renderings["base"]
    assert renderings["other"].startswith("kind<|im_start|>")
    told = {**told, "chat_template_args": {"moods": "kind"}}
    wrong = experiment(tmp_path, model, short(30), arms={"zero": {"kind": "prompt", "model": told}})
    with pytest.raises(SpecError, match=r"arms\.zero.*reads no `moods` \(it reads `mood`\)"):
        look(wrong)


def test_every_folder_of_an_arm_is_looked_at_with_its_own_template(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    folders = tuple(adapter(tmp_path / name, tiny_models.chat) for name in ("a", "b"))
    theirs = {"kind": "trained", "path": [str(folder) for folder in folders]}
    arms = {"zero": {"kind": "prompt"}, "theirs": theirs}
    spec = experiment(tmp_path, tiny_models.chat, short(30), arms=arms)
    models = models_of(spec, lambda model: resolved(Path(model.reference)))
    fine = Preflight(spec, models, folders={"theirs": folders})
    assert sum(prepare(spec, fine.unfit).counts.values()) == 30
    # The second folder alone shows nothing of what is said.
    (folders[1] / "chat_template.jinja").write_text(
        "{% for m in messages %}<|im_start|>{{ m.role }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    dropping = Preflight(spec, models, folders={"theirs": folders})
    with pytest.raises(SpecError, match=re.escape(str(folders[1]))):
        prepare(spec, dropping.unfit)
