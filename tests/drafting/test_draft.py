"""Odd files, each with an outcome that helps: an experiment that checks, or what to do."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.data import Prepared, prepare
from harness.drafting.answers import Answers, take_default
from harness.drafting.draft import Draft, draft_experiment
from harness.drafting.machine import Machine, look_at_model
from harness.drafting.workload import THOROUGH
from harness.errors import InputError
from harness.spec import Experiment, TrainedArm, load_experiment

CPU = Machine("cpu", "float32", 2, 20_000, 150e9)
GPU = Machine("cuda", "bfloat16", 16, 80_000, 500e12)
LABELS = ("billing", "delivery", "praise")


def words(number: int, count: int = 12) -> str:
    return " ".join(f"w{number}x{n}" for n in range(count))


def labelled(count: int = 60) -> list[tuple[str, str]]:
    return [(words(n), LABELS[n % 3]) for n in range(count)]


def table(
    rows: Sequence[Sequence[Any]], header: Sequence[str] = ("message", "category"), mark: str = ","
) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=mark).writerows([header, *rows])
    return out.getvalue()


def lines(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def drafted(folder: Path, content: str | bytes, name: str = "rows.csv", **said: Any) -> Draft:
    machine = said.pop("machine", CPU)
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    output = folder / "experiment.yaml"
    draft = draft_experiment(
        str(path), Answers(**said), take_default, lambda: machine, output, folder
    )
    output.write_text(draft.text, encoding="utf-8")
    return draft


def checked(folder: Path) -> tuple[Experiment, Prepared]:
    """What `harness check` reads and prepares."""
    experiment = load_experiment(folder / "experiment.yaml")
    return experiment, prepare(experiment)


def conversation(number: int, answer: str) -> dict[str, Any]:
    turns = [("system", "You sort mail."), ("user", words(number)), ("assistant", answer)]
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


# ------------------------------------------------------------------- files that become a study

GOOD: dict[str, tuple[str, str | bytes, str]] = {
    "plain": ("rows.csv", table(labelled()), "label"),
    "thirty rows": ("rows.csv", table(labelled(30)), "label"),
    "byte order mark": ("rows.csv", b"\xef\xbb\xbf" + table(labelled()).encode(), "label"),
    "semicolons": ("rows.csv", table(labelled(), mark=";"), "label"),
    "tabs": ("rows.tsv", table(labelled(), mark="\t"), "label"),
    "Windows-1252": ("rows.csv", table([(f"é {t}", a) for t, a in labelled()]).encode("cp1252"),
                     "label"),
    "UTF-16": ("rows.csv", table(labelled()).encode("utf-16"), "label"),
    "quoted newlines": ("rows.csv", table([(f'{t}\n"x"', a) for t, a in labelled()]), "label"),
    "ratings": ("rows.csv", table([(t, n % 5 + 1) for n, (t, _) in enumerate(labelled())],
                                  ("review", "stars")), "label"),
    "numbers": ("rows.csv", table([(t, n * 1.37) for n, (t, _) in enumerate(labelled())],
                                  ("review", "price")), "number"),
    "index column": ("rows.csv", table([(n, *row) for n, row in enumerate(labelled())],
                                       ("", "text", "label")), "label"),
    "long texts": ("rows.csv", table([(words(n, 2500), LABELS[n % 3]) for n in range(24)]),
                   "label"),
    "list of objects": ("rows.json", json.dumps([{"text": t, "label": a} for t, a in labelled()]),
                        "label"),
    "truth values": ("rows.jsonl", lines([{"text": t, "urgent": a == "praise"}
                                          for t, a in labelled()]), "label"),
    "conversations": ("rows.jsonl", lines([conversation(n, f"reply {n}") for n in range(40)]),
                      "text"),
    "nested answers": ("rows.jsonl", lines([{"text": t, "answer": {"a": {"b": [{"c": a}]},
                                             "d": None if a == "praise" else 1}}
                                            for t, a in labelled()]), "json"),
    "an instruction a row": ("rows.json", json.dumps([
        {"instruction": f"Do {n}: {t}", "input": None if n % 2 else t, "output": a}
        for n, (t, a) in enumerate(labelled())]), "label"),
    "one object": ("rows.json", json.dumps({"rows": [{"text": t, "label": a}
                                                     for t, a in labelled()]}), "label"),
    "conversations as text": ("rows.csv", table([(json.dumps(conversation(n, LABELS[n % 3])),)
                                                 for n in range(40)], ("talk",)), "label"),
    "prompts and completions": ("rows.jsonl", lines([
        {"prompt": conversation(n, "")["messages"][:2],
         "completion": [{"role": "assistant", "content": LABELS[n % 3]}]} for n in range(40)]),
        "label"),
    "Python literals": ("rows.csv", table([(t, repr({"is": a, "why": None}))
                                           for t, a in labelled()]), "json"),
    "fences": ("rows.jsonl", lines([{"text": t, "out": f'```json\n{{"is": "{a}"}}\n```'}
                                    for t, a in labelled()]), "json"),
    "separator line": ("rows.csv", "sep=;\r\n" + table(labelled(), mark=";"), "label"),
    "empty columns": ("rows.csv", table([(*row, "", "") for row in labelled()],
                                        ("text", "label", "", "")), "label"),
    "lists": ("rows.jsonl", lines([{"text": t, "tags": [a, "x"]} for t, a in labelled()]),
              "labels"),
    "odd labels": ("rows.csv", table([(t, f"{a}: #'\"é\u0085 ") for t, a in labelled()]), "label"),
    "labels like YAML": ("rows.csv", table([(t, ("yes", "no", "3", "null")[n % 4])
                                            for n, (t, _) in enumerate(labelled())]), "label"),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_a_study_that_checks(tmp_path: Path, case: str) -> None:
    name, content, kind = GOOD[case]
    draft = drafted(tmp_path, content, name)
    experiment, prepared = checked(tmp_path)
    assert experiment.task.answer.kind == kind
    assert experiment.data.bad_rows == "stop"
    assert sum(prepared.counts.values()) == sum(draft.prepared.counts.values())
    assert {"zero-shot", "lora", "full"} <= set(experiment.arms)
    assert all(f"# {word}: " in draft.text for word in ("instruction", "text", "answer", "group"))


def test_encoding_is_said_with_a_line_that_shows_it(tmp_path: Path) -> None:
    rows = [(f"Grüße {text}", answer) for text, answer in labelled()]
    draft = drafted(tmp_path, table(rows).encode("cp1252"))
    assert draft.request.encoding == "windows-1252"
    assert "Grüße" in draft.request.reasons["encoding"]
    _, prepared = checked(tmp_path)
    assert all(e.inputs["message"].startswith("Grüße") for e in prepared.splits.train)


def test_a_few_bad_rows_are_left_out_and_named(tmp_path: Path) -> None:
    rows = [(text, answer if n % 20 else "") for n, (text, answer) in enumerate(labelled())]
    draft = drafted(tmp_path, table(rows) + "short\r\n")
    assert [problem.where.rpartition(":")[2] for problem in draft.problems] == [
        "2", "22", "42", "62"]  # fmt: skip
    assert "4 of 61 rows cannot be used" in draft.request.reasons["bad_rows"]
    assert "write `bad_rows: stop` under data" in draft.request.reasons["bad_rows"]
    experiment, prepared = checked(tmp_path)
    assert experiment.data.bad_rows == "drop"
    assert prepared.dropped == draft.problems


def test_many_labels_stand_in_the_zero_shot_prompt_only(tmp_path: Path) -> None:
    rows = [(words(n), f"intent_number_{n % 77}") for n in range(400)]
    drafted(tmp_path, table(rows))
    experiment, _ = checked(tmp_path)
    assert "intent_number_76" not in experiment.task.instruction
    assert "intent_number_76" in str(experiment.arms["zero-shot"].instruction)
    assert "choice" in experiment.arms


@pytest.mark.parametrize(
    ("case", "ways"),
    [
        ("labels", ("generate", "choice")),
        ("open object", ("generate", "constrained")),
        ("text", ("generate",)),
    ],
)
def test_trained_weights_are_tried_in_the_ways_of_decoding_that_prompts_have(
    tmp_path: Path, case: str, ways: tuple[str, ...]
) -> None:
    contents = {
        "labels": ("rows.csv", table(labelled())),
        "open object": (
            "rows.jsonl",
            "\n".join(
                json.dumps({"text": text, "answer": {"who": words(n), "kind": answer}})
                for n, (text, answer) in enumerate(labelled())
            ),
        ),
        "text": ("rows.csv", table([(words(n), words(n + 500)) for n in range(80)])),
    }
    name, content = contents[case]
    drafted(tmp_path, content, name)
    experiment, _ = checked(tmp_path)
    for arm in experiment.trained_arms().values():
        assert isinstance(arm, TrainedArm)
        assert arm.ways() == ways
        assert "answering" not in arm.search_space()
    prompted = {
        way for arm in experiment.prompt_arms().values() for way in arm.values_of("answering")
    }
    assert prompted == set(ways)


def test_a_large_object_is_described_by_its_fields(tmp_path: Path) -> None:
    rows = [
        {
            "text": text,
            "answer": {"who": words(n), "what": {f"part_{i}": words(n) for i in range(60)}},
        }
        for n, (text, _) in enumerate(labelled(20))
    ]
    draft = drafted(tmp_path, lines(rows[:20]), "rows.jsonl")
    assert "with the fields who, what (part_0, part_1" in draft.request.instruction
    assert len(draft.request.instruction) < 800
    small = drafted(tmp_path, lines([{"text": t, "out": {"a": "xy"[len(a) % 2]}}
                                     for t, a in labelled()]), "rows.jsonl")  # fmt: skip
    assert small.request.instruction.endswith('Reply with JSON only: {"a": "y" or "x"}')


def test_conversations_give_the_instruction(tmp_path: Path) -> None:
    drafted(tmp_path, lines([conversation(n, LABELS[n % 3]) for n in range(40)]), "rows.jsonl",
            bad_rows="drop", kind="text")  # fmt: skip
    experiment, _ = checked(tmp_path)
    assert experiment.task.instruction == "You sort mail."
    assert experiment.task.template == "{messages_prompt}"


def test_a_constant_instruction_is_that_of_the_task(tmp_path: Path) -> None:
    rows = [("Where does the mail go?", text, answer) for text, answer in labelled()]
    drafted(tmp_path, table(rows, ("instruction", "text", "label")))
    experiment, _ = checked(tmp_path)
    assert experiment.task.instruction == "Where does the mail go?"
    assert experiment.task.template == "{text}"


def test_a_varying_instruction_is_part_of_the_item(tmp_path: Path) -> None:
    rows = [(f"Way {n % 4} of asking it?", t, a) for n, (t, a) in enumerate(labelled())]
    drafted(tmp_path, table(rows, ("instruction", "text", "label")))
    experiment, _ = checked(tmp_path)
    assert experiment.task.template == "instruction: {instruction}\n\ntext: {text}"


def test_an_instruction_that_goes_with_the_answer_is_shown_with_a_caution(tmp_path: Path) -> None:
    rows = [(f"Way {n % 3} of asking it?", t, a) for n, (t, a) in enumerate(labelled())]
    draft = drafted(tmp_path, table(rows, ("instruction", "text", "label")))
    assert draft.request.texts == ("instruction", "text")
    assert any("the text `instruction` has values that each" in one for one in draft.cautions)


def test_a_guessed_group_costs_few_rows_or_is_left_out(tmp_path: Path) -> None:
    header = ("text", "customer", "label")
    rows = [(t, f"c{n % 10}" if n != 5 else "", a) for n, (t, a) in enumerate(labelled())]
    draft = drafted(tmp_path, table(rows, header))
    assert draft.request.group == "customer"
    assert [problem.where.rpartition(":")[2] for problem in draft.problems] == ["7"]
    # Six rows lack their group: as many as may be left out, were there not others.
    rows = [(t, f"c{n % 10}" if n > 5 else "", a) for n, (t, a) in enumerate(labelled())]
    rows[50] = (*rows[50][:2], "")
    draft = drafted(tmp_path, table(rows, header))
    assert draft.request.group is None
    assert "`customer` is empty in 6 rows" in draft.request.reasons["group"]
    assert len(draft.problems) == 1


def test_given_files_are_the_division(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(
        table([(words(n), (*LABELS, "new")[n % 4]) for n in range(100, 140)]), encoding="utf-8"
    )
    for said in ({"test": str(tmp_path / "test.csv")}, {}):
        draft = drafted(tmp_path, table(labelled()), "train.csv", **said)
        assert any("'new', in 10 test rows" in caution for caution in draft.cautions)
        _, prepared = checked(tmp_path)
        assert prepared.counts["test"] == 40
        assert yaml.safe_load(draft.text)["data"]["splits"]["test"] == "test.csv"
        assert f"# test: {'as you said' if said else 'it lies beside'}" in draft.text
    drafted(tmp_path, table(labelled()), "train.csv", test="none")
    assert "test" in checked(tmp_path)[0].data.splits.model_dump()
    assert checked(tmp_path)[1].counts["test"] == 24


# ------------------------------------------------------------------- cautions


@pytest.mark.parametrize(
    ("content", "said", "caution"),
    [
        (table([(t, n % 3, a) for n, (t, a) in enumerate(labelled())], ("text", "code", "label")),
         {}, "`code` has values that each go with one answer only"),
        (table([(f"{t} {a}", a) for t, a in labelled()]), {}, "holds it word for word in 60 of 60"),
        (table(labelled(30)), {}, "12 test items: a true difference below about"),
        (table([(t, a.upper() if n % 7 == 0 else a) for n, (t, a) in enumerate(labelled())]), {},
         "'billing' (17 rows) and 'BILLING' (3 rows) differ only in case"),
        (table([(t, a if n else "odd") for n, (t, a) in enumerate(labelled())]), {},
         "1 of 4 labels occur in fewer than 5 rows"),
        (table([(t, "a" if n % 10 else "b") for n, (t, _) in enumerate(labelled())]), {},
         "90 % of the answers are 'a'"),
        (table([(t, ("a;b", "a;c", "a;b;c", "a")[n % 4] if n % 10 else "b")
                for n, (t, _) in enumerate(labelled())]),
         {}, "90 % of the answers hold 'a': a model that always names it is right about this"),
        (table([(t, a, n % 4) for n, (t, a) in enumerate(labelled())], ("text", "label", "who")),
         {"group": "who"}, "the test part has 1 group(s) of `who`"),
        (table([(words(n, 2500), LABELS[n % 3]) for n in range(24)]), {}, "max_length"),
        (table(labelled()), {"model": "some/large-70b", "minutes": 1.0}, "longer than you allow"),
        (table(labelled()), {"minutes": 1.0},
         "training makes 24 optimiser steps, not 50 and one setting of each arm is tried, so that"),
        (table([(words(n), f"label {n % 70}") for n in range(700)]), {}, "no fair chance"),
        (table(labelled()), {"model": "some/unsized"}, "memory was not looked at"),
        (table([*labelled(), (words(0), "praise")]), {},
         "1 text(s) stand with different answers, in 2 rows (rows.csv:2 'billing' and rows.csv:62"),
        (table([(t, repr({"a": n % 2 == 0}) if n % 3 else json.dumps({"a": True}))
                for n, (t, _) in enumerate(labelled())]), {},
         "40 of 60 answers in `category` are Python literals (lines 3, 4, 6, 7, 9 …)"),
        (table([(t, json.dumps({"a": n}) if n % 2 else words(n, 4))
                for n, (t, _) in enumerate(labelled())]), {},
         "30 of 60 answers in `category` are JSON (lines 3, 5, 7, 9, 11 …) and the others are not"),
        (table([(t, f'{{"a": true, "b": "{a}",}}') for t, a in labelled()]), {},
         "60 of 60 answers in `category` look like JSON but are none"),
        (table([(t, f"['{a}' 'x']") for t, a in labelled()]), {}, "look like JSON but are none"),
        (table([(t, f"{{kind: '{a}'}}") for t, a in labelled()]), {},
         "look like JSON but are none"),
        (table([(t, f'See:\n```json\n{{"a": "{a}"}}\n```') for t, a in labelled()]), {},
         "look like JSON but are none"),
        (table([(t, f"no {n}", words(n, 4)) for n, (t, _) in enumerate(labelled())],
               ("prompt", "rejected", "chosen")), {}, "the rows are preference pairs"),
        (table([(t, words(n, 5), n % 3 == 0) for n, (t, _) in enumerate(labelled())],
               ("prompt", "completion", "label")), {},
         "`completion` is named like an answer and neither shown nor asked for"),
        (table([(t, words(-n, 5), a) for n, (t, a) in enumerate(labelled(), 1)],
               ("premise", "addendum", "label")), {}, "`addendum` is not shown to the model"),
        (lines([{"question": t, "clues": [n, "no"], "answer": a}
                for n, (t, a) in enumerate(labelled())]), {"name": "rows.jsonl"},
         "`clues` is not shown to the model"),
        (lines([{"messages": [{"role": "user", "content": t},
                              {"role": "assistant", "content": words(-n, 4)}], "label": a}
                for n, (t, a) in enumerate(labelled(), 1)]), {"name": "rows.jsonl"},
         "`label` is named like an answer and neither shown nor asked for"),
        (table([(t, f"<think>{words(n, 4)}</think>{a}") for n, (t, a) in enumerate(labelled())]),
         {}, "60 of 60 answers in `category` begin with a thought"),
        (table([(t, a) for t, a in labelled()], ("text", "")), {},
         "a column without a name is called `column 2`"),
    ],
)  # fmt: skip
def test_cautions(tmp_path: Path, content: str, said: dict[str, Any], caution: str) -> None:
    draft = drafted(tmp_path, content, **said)
    assert any(caution in one for one in draft.cautions), draft.cautions
    checked(tmp_path)


@pytest.mark.parametrize(
    ("rows", "epochs", "steps"),
    [(2000, 2, 500), (300, 2, 76), (160, 3, 60), (60, 7, 56), (9, 8, 16)],
)
def test_few_examples_are_trained_on_for_more_epochs(rows: int, epochs: int, steps: int) -> None:
    """Of fewer than 50 optimiser steps the verdict says that training was hardly tried."""
    size = THOROUGH.within(train=rows, validation=8, test=8)
    assert (size.train, size.epochs, size.steps) == (rows, epochs, steps)


# ------------------------------------------------------------------- files that cannot be one


@pytest.mark.parametrize(
    ("name", "content", "said", "what"),
    [
        ("rows.csv", "text,text\na,b\n", {}, "rows.csv:1: the header names 'text' twice"),
        ("rows.csv", table([(t, "x") for t, _ in labelled()]), {}, "nothing to tell apart"),
        ("rows.jsonl", lines([{"text": t, "out": {"a": 1}} for t, _ in labelled()]), {},
         "is {'a': 1}, so there is nothing to tell apart"),
        ("rows.csv", table([(t, "") for t, _ in labelled()]), {}, "without any value: `category`"),
        ("rows.csv", table([(t, a if n % 3 else "") for n, (t, a) in enumerate(labelled())]), {},
         "20 of 60 rows cannot be used, so nothing was written"),
        ("rows.csv", table([(t, a) for t, a in labelled()], ("mail.body", "label")), {},
         "'mail.body' cannot stand in a template"),
        ("rows.csv", table([(t, a) for t, a in labelled()], ("0", "1")), {},
         "'0' cannot stand in a template"),
        ("rows.csv", table([("same text here", a) for _, a in labelled()]), {}, "never divided"),
        ("rows.csv", table(labelled(2)), {}, "2 row(s), with the columns `message`"),
        ("rows.csv", table(labelled()), {"group": "category"}, ""),
        ("rows.csv", table(labelled()), {"model": "./nothing"}, "no such file or folder"),
        ("rows.csv", table(labelled()), {"texts": ("a",)}, "no column 'a'; it has message"),
        ("rows.csv", table(labelled()), {"encoding": "latin1252"}, "no encoding of text is called"),
        ("rows.csv", table(labelled()), {"minutes": 0.0}, "no number from 1"),
        ("rows.csv", table(labelled()), {"validation": "x.csv"}, "--validation needs --test"),
        ("rows.csv", table([(t, a, f"u{n % 4}") for n, (t, a) in enumerate(labelled())],
                           ("message", "category", "user")), {"id": "user"},
         "--id user: ids repeat, 'u0' in 15 rows, 'u1' in 15 rows, 'u2' in 15 rows and 1 more"),
        ("rows.csv", table([(t, a, f"u{n % 2}") for n, (t, a) in enumerate(labelled())],
                           ("message", "category", "user")), {"id": "user", "bad_rows": "drop"},
         "rows.csv:4: user: id 'u0' stands already on line 2"),
        ("rows.csv", table(labelled()), {"instruction": ""}, "--instruction is empty: say what"),
        ("rows.csv", table(labelled()), {"instruction": " \n"}, "--instruction is empty: say what"),
        ("rows.csv", table(labelled()), {"model": ""}, "--model is empty: write what it names"),
        ("rows.csv", table(labelled()), {"test": " "}, "--test is empty: write what it names"),
        ("rows.csv", table(labelled()), {"encoding": ""}, "--encoding is empty: write what"),
        ("rows.xlsx", "PK", {}, "save the sheet that holds the rows as CSV"),
        ("rows.csv.gz", "x", {}, "unpack it first"),
        ("rows.txt", "x", {}, "cannot be read; use .jsonl"),
        ("rows.jsonl", lines([{"messages": [{"role": "user", "content": t}]}
                              for t, _ in labelled()]), {}, "does not end with an answer"),
        ("rows.json", json.dumps({"a": [{"x": 1}], "b": [{"x": 2}]}), {},
         "lists of objects under `a` (1) and `b` (1)"),
        ("rows.json", "[{]", {}, "rows.json:1: not valid JSON"),
        ("rows.csv", table(labelled()), {"texts": ("message",), "answers": ("message",)},
         "cannot be both"),
    ],
)  # fmt: skip
def test_what_to_do(
    tmp_path: Path, name: str, content: str, said: dict[str, Any], what: str
) -> None:
    if not what:
        # A group that is the answer divides badly, but can: three labels, three splits.
        drafted(tmp_path, content, name, **said)
        checked(tmp_path)
        return
    with pytest.raises(InputError) as caught:
        drafted(tmp_path, content, name, **said)
    assert what in str(caught.value)


def test_a_few_repeated_ids_are_bad_rows(tmp_path: Path) -> None:
    rows = [(n if n != 7 else 3, *row) for n, row in enumerate(labelled())]
    draft = drafted(tmp_path, table(rows, ("key", "message", "category")), id="key")
    (problem,) = draft.problems
    assert str(problem).startswith(f"{tmp_path / 'rows.csv'}:9: key: id '3' stands already on line")
    assert draft.request.id == "key"


def test_the_instruction_of_conversations_may_be_given_as_empty(tmp_path: Path) -> None:
    content = lines([talk(n) for n in range(40)])
    assert drafted(tmp_path, content, "rows.jsonl", instruction="").request.instruction == ""
    with pytest.raises(InputError, match=r"^--instruction is empty"):
        drafted(tmp_path, content, "rows.jsonl", instruction="", texts=("messages_prompt",))


# ------------------------------------------------------------------- machine, model, time


def arms(draft: Draft) -> set[str]:
    return {arm.name for arm in draft.sizing.arms.arms}


def test_arms_that_make_sense_on_the_machine(tmp_path: Path) -> None:
    small = drafted(tmp_path, table(labelled()))
    assert "qlora" not in arms(small)
    assert "saves the memory of weights" in small.sizing.arms.left_out["qlora"]
    seven = drafted(tmp_path, table(labelled()), model="some/model-7b", machine=GPU)
    assert {"lora", "qlora"} <= arms(seven)
    assert "full" not in arms(seven)
    cramped = replace(CPU, available_mib=600.0)
    assert arms(drafted(tmp_path, table(labelled()), machine=cramped)) >= {"zero-shot", "few-shot"}
    assert "full" not in arms(drafted(tmp_path, table(labelled()), machine=cramped))
    assert "Left out: full, since weights and optimiser alone" in drafted(
        tmp_path, table(labelled()), machine=cramped
    ).text.replace("\n  # ", " ")


def test_a_classifier_stands_beside_arms_whose_answers_are_classes(tmp_path: Path) -> None:
    assert "classifier" in arms(drafted(tmp_path, table(labelled())))
    assert checked(tmp_path)[0].arms["classifier"].search_space()
    free = [(words(n), words(n + 500)) for n in range(60)]
    assert "classifier" not in arms(drafted(tmp_path, table(free)))


@pytest.mark.parametrize(
    ("answers", "shown"),
    [
        ((0, 1, 2), "0. {choices_0}\n1. {choices_1}\n2. {choices_2}"),
        ((1, 2, 3), "1. {choices_0}\n2. {choices_1}\n3. {choices_2}"),
        ("ABC", "A. {choices_0}\nB. {choices_1}\nC. {choices_2}"),
        (("yes", "no", "may be"), "- {choices_0}\n- {choices_1}\n- {choices_2}"),
    ],
)
def test_listed_choices_are_shown_by_the_marks_of_the_answers(
    tmp_path: Path, answers: Sequence[Any], shown: str
) -> None:
    rows = [
        {"question": words(n), "choices": [words(n + m, 3) for m in (100, 200, 300)],
         "answer": answers[n % 3]}
        for n in range(60)
    ]  # fmt: skip
    draft = drafted(tmp_path, lines(rows), "exam.jsonl")
    experiment, prepared = checked(tmp_path)
    assert experiment.task.template == "{question}\n\n" + shown
    assert prepared.splits.train[0].inputs.keys() >= {"question", "choices_0", "choices_2"}
    assert not any("choices" in caution for caution in draft.cautions)
    assert not draft.request.unused


def test_columns_that_are_not_used_are_known(tmp_path: Path) -> None:
    rows = [(*row, "web", f"C{n % 20}") for n, row in enumerate(labelled())]
    draft = drafted(tmp_path, table(rows, ("message", "category", "channel", "customer")))
    assert (draft.request.group, draft.request.unused) == ("customer", ["channel"])


def test_labels_as_long_as_replies_are_doubted(tmp_path: Path) -> None:
    replies = [(words(n), f"Please {LABELS[n % 3]} it " + "now " * 12) for n in range(60)]
    assert "--kind text" in " ".join(drafted(tmp_path, table(replies)).cautions)
    assert "--kind text" not in " ".join(drafted(tmp_path, table(labelled())).cautions)


def test_a_written_instruction_is_an_option_that_can_be_taken(tmp_path: Path) -> None:
    draft = drafted(tmp_path, table(labelled()), minutes=600.0)
    option = "# written: {kind: prompt"
    (tmp_path / "experiment.yaml").write_text(draft.text.replace(option, option[2:]), "utf-8")
    assert checked(tmp_path)[0].arms["written"].optimiser is not None
    assert option not in drafted(tmp_path, table(labelled()), minutes=1.0).text


def test_a_time_that_is_as_long_as_allowed_is_not_called_longer(tmp_path: Path) -> None:
    seconds = drafted(tmp_path, table(labelled()), minutes=1.0).sizing.seconds
    for allowed, too_long in ((seconds / 60.3, False), (seconds / 90, True)):
        sizing = drafted(tmp_path, table(labelled()), minutes=allowed).sizing
        assert (sizing.seconds, sizing.too_long) == (seconds, too_long)


def test_the_size_ends_within_the_minutes_or_says_so(tmp_path: Path) -> None:
    rows = table(labelled(900))
    seconds = []
    for minutes in (5.0, 60.0, 600.0, 1e5):
        draft = drafted(tmp_path, rows, minutes=minutes)
        experiment, prepared = checked(tmp_path)
        sizing = draft.sizing
        assert sizing.too_long or sizing.seconds <= 60 * minutes * 1.05
        assert experiment.budget.trials == sizing.size.trials
        assert len(experiment.seeds) == sizing.size.seeds
        assert all(prepared.counts[name] <= limit for name, limit in sizing.limits.items())
        seconds.append(sizing.seconds)
    assert seconds == sorted(seconds)
    assert (experiment.budget.trials, experiment.seeds) == (8, (1, 2, 3))
    fast = drafted(tmp_path, rows, machine=GPU)
    assert fast.sizing.size.trials > drafted(tmp_path, rows).sizing.size.trials


def test_a_measured_time_is_that_of_the_size_that_is_written(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(table(labelled(900)), encoding="utf-8")
    asked: list[Experiment] = []

    def drafted_at(pace: float | None) -> Draft:
        rough = draft_experiment(
            str(rows), Answers(), take_default, lambda: CPU, tmp_path / "e.yaml", tmp_path
        ).sizing.seconds

        def measure(path: Path) -> float | None:
            asked.append(load_experiment(path))
            return pace and pace * rough

        return draft_experiment(
            str(rows), Answers(), take_default, lambda: CPU, tmp_path / "e.yaml", tmp_path, measure
        )

    rough, alike, slow, fast = map(drafted_at, (None, 1.0, 20.0, 0.05))
    assert len(asked) == 4
    assert not rough.sizing.measured
    assert "A rough sum" in rough.text
    assert alike.sizing.measured
    assert "Measured here when this file was written." in alike.text
    assert alike.sizing.seconds == pytest.approx(rough.sizing.seconds)
    assert alike.sizing.size == rough.sizing.size
    # A machine that is slower than the rough sum gets a smaller study, a faster one a larger.
    assert slow.sizing.size.trials < rough.sizing.size.trials < fast.sizing.size.trials
    assert slow.sizing.too_long
    assert "longer than you allow" in slow.text
    assert fast.sizing.seconds <= 3600


def test_as_many_worked_examples_as_labels(tmp_path: Path) -> None:
    drafted(tmp_path, table(labelled()))
    few = checked(tmp_path)[0].arms["few-shot"]
    assert few.values_of("shots") == (2, 3, 4, 8)
    assert few.defaults()["shots"] == 3
    many = [(words(n), f"label {n % 12}") for n in range(240)]
    drafted(tmp_path, table(many))
    few = checked(tmp_path)[0].arms["few-shot"]
    assert few.values_of("shots") == (2, 4, 8, 12)
    assert few.defaults()["shots"] == 4


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev"])
def test_validation_rows_are_found_beside_the_training_file(tmp_path: Path, name: str) -> None:
    for part, first, count in (("test", 500, 40), (name, 700, 30)):
        rows = [(words(first + n), LABELS[n % 3]) for n in range(count)]
        (tmp_path / f"my-{part}.csv").write_text(table(rows), encoding="utf-8")
    draft = drafted(tmp_path, table(labelled(90)), "my-train.csv")
    splits = yaml.safe_load(draft.text)["data"]["splits"]
    assert splits == {"test": "my-test.csv", "validation": f"my-{name}.csv"}
    assert "# validation: it lies beside the training file" in draft.text
    assert checked(tmp_path)[1].counts["validation"] == 30
    assert not any("is not used" in caution for caution in draft.cautions)
    without = drafted(tmp_path, table(labelled(90)), "my-train.csv", validation="none")
    assert "validation" not in yaml.safe_load(without.text)["data"]["splits"]


def test_validation_rows_that_cannot_be_used_without_test_rows_are_told(tmp_path: Path) -> None:
    (tmp_path / "my-val.csv").write_text(table(labelled(30)))
    draft = drafted(tmp_path, table(labelled(90)), "my-train.csv")
    (told,) = (caution for caution in draft.cautions if "is not used" in caution)
    assert told.startswith("my-val.csv lies beside the training file") and "--test" in told


def test_the_size_of_a_model(tmp_path: Path) -> None:
    assert look_at_model("smollm2-135m-instruct", tmp_path).parameters == 135_000_000
    assert look_at_model("some/Model-1.5B-chat", tmp_path).parameters == 1_500_000_000
    assert look_at_model("some/model", tmp_path).parameters is None
    (tmp_path / "m.gguf").write_bytes(b"x" * 650)
    assert look_at_model("m.gguf", tmp_path).parameters == 1000


# ------------------------------------------------------------------- any table

COLUMNS = st.sampled_from(
    [
        st.text(max_size=12),
        st.integers(0, 10**6).map(words),
        st.sampled_from(["a", "b", " b"]),
        st.sampled_from(["1", "2", "3.5"]),
        st.sampled_from(['{"k": 1}', '{"k": 2, "l": ["x"]}', "{}"]),
        st.sampled_from(["x", "y", "", "  "]),
    ]
)
NAMES = st.sampled_from(["text", "label", "a", "id", "group", "x.y", "no #", "é", "b c", ""])


@st.composite
def tables(draw: st.DrawFn) -> str:
    header = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    mark = draw(st.sampled_from(",;\t"))
    row = st.tuples(*(draw(COLUMNS) for _ in header))
    count = draw(st.integers(0, 30))
    return table(draw(st.lists(row, min_size=count, max_size=count)), header, mark)


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(content=tables(), encoding=st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))
def test_any_table_gives_a_study_that_checks_or_what_to_do(
    tmp_path: Path, content: str, encoding: str
) -> None:
    try:
        draft = drafted(tmp_path, content.encode(encoding, "replace"))
    except InputError as error:
        assert error.exit_code == 2
        assert all(problem.what for problem in error.problems)
        return
    _, prepared = checked(tmp_path)
    assert prepared.dropped == draft.problems


def test_an_instruction_with_its_input_is_wholly_shown(tmp_path: Path) -> None:
    rows = [
        {"instruction": words(n, 4), "input": words(-n) if n % 2 else "", "output": label}
        for n, (_, label) in enumerate(labelled())
    ]
    draft = drafted(tmp_path, lines(rows), "rows.jsonl")
    assert not any("not shown" in caution for caution in draft.cautions)


def test_labels_with_commas_are_listed_apart(tmp_path: Path) -> None:
    content = table([(t, f"{n % 3},5") for n, (t, _) in enumerate(labelled())])
    assert "exactly one of: 0,5; 1,5; 2,5" in drafted(tmp_path, content).request.instruction


def test_names_of_columns_may_have_space_around_them(tmp_path: Path) -> None:
    content = lines([{" note": t, "label ": a} for t, a in labelled()])
    drafted(tmp_path, content, "rows.jsonl")
    assert checked(tmp_path)[1].counts["train"]


def talk(number: int, *, system: str = "", turns: int = 2) -> dict[str, Any]:
    said = [(("user", "assistant")[n % 2], f"{words(number)} {n}") for n in range(2 * turns)]
    head = [("system", system)] if system else []
    return {"messages": [{"role": role, "content": text} for role, text in [*head, *said]]}


def test_conversations_of_several_turns_are_asked_as_such(tmp_path: Path) -> None:
    rows = [talk(n, system="You sort mail.", turns=2 + n % 2) for n in range(40)]
    draft = drafted(tmp_path, lines(rows), "rows.jsonl")
    experiment, prepared = checked(tmp_path)
    talks = experiment.data.conversations
    assert talks is not None
    assert (talks.column, talks.turns) == ("messages", "every")
    assert (experiment.task.instruction, experiment.task.answer.kind) == ("", "text")
    assert "template" not in draft.text
    assert sum(prepared.counts.values()) + len(prepared.audit.dropped) == 100
    assert "few-shot" in experiment.arms
    assert "of 40 have several turns" in draft.text


def test_conversations_without_system_messages_get_an_instruction(tmp_path: Path) -> None:
    drafted(tmp_path, lines([talk(n) for n in range(40)]), "rows.jsonl")
    experiment, _ = checked(tmp_path)
    assert experiment.data.conversations is not None
    assert experiment.task.instruction == "Reply to the last message."


def test_system_messages_that_differ_show_no_worked_examples(tmp_path: Path) -> None:
    rows = [talk(n, system=f"You sort mail of shelf {n % 5}.", turns=1) for n in range(40)]
    draft = drafted(tmp_path, lines(rows), "rows.jsonl")
    experiment, _ = checked(tmp_path)
    assert experiment.data.conversations is not None
    assert experiment.data.conversations.turns == "last"
    assert "few-shot" not in experiment.arms
    assert "Left out: few-shot, since conversations with different system messages" in draft.text


def test_labels_at_the_end_of_conversations_are_asked_for_alone(tmp_path: Path) -> None:
    rows = [talk(n) for n in range(42)]
    for n, row in enumerate(rows):
        row["messages"][-1]["content"] = LABELS[n % 3]
    drafted(tmp_path, lines(rows), "rows.jsonl")
    experiment, prepared = checked(tmp_path)
    assert experiment.data.conversations is not None
    assert experiment.data.conversations.turns == "last"
    assert prepared.labels == tuple(sorted(LABELS))


def test_a_named_text_is_shown_as_one_text(tmp_path: Path) -> None:
    rows = [talk(n) for n in range(40)]
    drafted(tmp_path, lines(rows), "rows.jsonl", texts=("messages_prompt",))
    experiment, _ = checked(tmp_path)
    assert experiment.data.conversations is None
    assert experiment.task.template == "{messages_prompt}"


def test_conversations_that_go_on_after_their_answer_are_used(tmp_path: Path) -> None:
    rows = [talk(n, turns=1) for n in range(42)]
    for n, row in enumerate(rows):
        row["messages"][-1]["content"] = LABELS[n % 3]
        row["messages"] += [{"role": "user", "content": "Thanks"}] if n % 2 else []
    draft = drafted(tmp_path, lines(rows), "rows.jsonl")
    experiment, prepared = checked(tmp_path)
    assert experiment.data.conversations is not None
    assert experiment.data.conversations.turns == "every"
    assert prepared.dropped == ()
    assert "21 go on after their last answer" in draft.text
    assert "one of" in experiment.task.instruction


def test_a_file_called_like_a_device_gives_a_name_that_files_may_have(tmp_path: Path) -> None:
    drafted(tmp_path, table(labelled()), name="nul.csv")
    assert checked(tmp_path)[0].name == "study-nul"
    drafted(tmp_path, table(labelled()), name=f"{'x' * 80}.csv")
    assert checked(tmp_path)[0].name == "x" * 64


def test_the_only_prose_is_shown_though_it_names_the_answer(tmp_path: Path) -> None:
    rows = [(n, f"{t} about {a}", a) for n, (t, a) in enumerate(labelled())]
    draft = drafted(tmp_path, table(rows, ("", "message", "category")))
    assert checked(tmp_path)[0].task.template == "{message}"
    assert any("the text `message` holds it word for word" in one for one in draft.cautions)
