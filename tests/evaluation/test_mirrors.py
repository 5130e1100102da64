"""Standard tasks on local copies of their data; what is missing is said before a model loads."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import lm_eval.tasks
import pytest
import yaml
from datasets import Dataset, DatasetDict
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from harness.errors import InputError, SpecError
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.score import score_task
from harness.evaluation.suites.find import Suite, build_general_task, load_suite
from harness.evaluation.suites.texts import suite_texts
from harness.records import ScoreRecord, ScoreRequest
from tests.real_data import write_pubmedqa, write_wikitext_pages
from tests.tiny_model import TinyModels, load_tiny

STANDARD = Path(lm_eval.tasks.__file__).parent
PAIRS = [
    {"sentence_good": f"The {word} is here.", "sentence_bad": f"The {word} are here.", "UID": "x"}
    for word in ("parcel", "camera", "battery", "box")
]
QUESTIONS = [
    {"question": f"Which is {n}?", "choices": {"text": ["this", "that"], "label": ["A", "B"]},
     "answerKey": "AB"[n % 2]} for n in range(6)
]  # fmt: skip


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def suite_of(folder: Path, task: str, mirror: Any, **entry: Any) -> Suite:
    values = {
        "name": "mirrored",
        "default_tasks": True,
        "tasks": [{"task": task, "metric": "acc", "text": task, **entry}],
        "mirrors": {task: mirror},
    }
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return load_suite(path)


def blimp(folder: Path, mirror: Any) -> Any:
    return build_general_task(suite_of(folder, "blimp_passive_1", mirror), "blimp_passive_1")


# --------------------------------------------------------------------------- layouts


def write_plain(root: Path) -> Any:
    jsonl(root / "train.jsonl", PAIRS)
    return "copy"


def write_one_file(root: Path) -> Any:
    jsonl(root / "passive_1.jsonl", PAIRS)
    return "copy/passive_1.jsonl"


def write_hub(root: Path) -> Any:
    """Shards in a folder for each configuration, beside another one."""
    for number in range(2):
        part = Dataset.from_list(PAIRS[number * 2 : number * 2 + 2])
        (root / "passive_1").mkdir(parents=True, exist_ok=True)
        part.to_parquet(str(root / "passive_1" / f"train-0000{number}-of-00002.parquet"))
    jsonl(root / "passive_2" / "train.jsonl", PAIRS[:1])
    return "copy"


def write_saved(root: Path) -> Any:
    DatasetDict({"train": Dataset.from_list(PAIRS)}).save_to_disk(str(root))
    return "copy"


def write_csv(root: Path) -> Any:
    Dataset.from_list(PAIRS).to_csv(str(root / "pairs.csv"))
    return {"path": "copy", "files": {"train": "pairs.csv"}}


def write_renamed(root: Path) -> Any:
    names = {"sentence_good": "good", "sentence_bad": "bad"}
    jsonl(root / "a.jsonl", [{names.get(k, k): v for k, v in row.items()} for row in PAIRS[:3]])
    jsonl(root / "b.jsonl", [{names.get(k, k): v for k, v in row.items()} for row in PAIRS[3:]])
    return {"path": "copy", "files": {"train": ["a.jsonl", "b.jsonl"]}, "columns": names}


@pytest.mark.parametrize(
    "write", [write_plain, write_one_file, write_hub, write_saved, write_csv, write_renamed]
)
def test_every_layout_gives_the_same_items(tmp_path: Path, write: Callable[[Path], Any]) -> None:
    (tmp_path / "copy").mkdir()
    mirror = write(tmp_path / "copy")
    before = sorted(tmp_path.rglob("*"))
    task = blimp(tmp_path, mirror)
    assert [dict(doc) for doc in task.eval_docs] == PAIRS
    assert task.source.startswith(f"mirror {tmp_path}/copy")
    # Nothing is written beside the copy, whose content is part of the key of a score.
    assert set(tmp_path.rglob("*")) - set(before) == {tmp_path / "suite.yaml"}


def test_a_split_for_worked_examples_is_needed_only_for_them(tmp_path: Path) -> None:
    copy = jsonl(tmp_path / "copy" / "ARC-Challenge" / "test.jsonl", QUESTIONS).parents[1]
    task = build_general_task(suite_of(tmp_path, "arc_challenge", "copy"), "arc_challenge")
    assert len(task.eval_docs) == 6
    few = suite_of(tmp_path, "arc_challenge", "copy", num_fewshot=2, limit=4)
    with pytest.raises(InputError, match="no split 'train' of 'ARC-Challenge', which arc_chall"):
        build_general_task(few, "arc_challenge")
    jsonl(copy / "ARC-Challenge" / "train.jsonl", QUESTIONS)
    prompts = []
    for _ in range(2):
        task = build_general_task(few, "arc_challenge", limit=5)
        task.build_all_requests()
        prompts.append([instance.args[0] for instance in task.instances])
    # The same worked examples each time: a candidate and its base are asked alike.
    assert prompts[0] == prompts[1]
    assert len(prompts[0]) == 2 * 4
    assert all(prompt.count("Question:") == 3 for prompt in prompts[0])


# --------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ("elsewhere", r"suite.yaml:\d: mirror of blimp_passive_1: no such file or folder: .*/else"),
        ("empty", r"suite.yaml:\d: .*no data file in .*/empty; restore"),
        ({"path": "copy", "files": {"train": "no.csv"}}, r"no such file: .*copy/no.csv"),
        ({"path": "copy", "files": {"train": "notes.md"}}, r"notes.md is of a kind that holds no"),
        ({"path": "copy", "file": "x"}, "unknown key `file`"),
        ({"path": "copy/train.jsonl", "files": {"train": "x"}}, "is a file"),
    ],
)  # fmt: skip
def test_a_copy_that_is_not_there_is_refused_with_the_suite(
    tmp_path: Path, mirror: Any, message: str
) -> None:
    jsonl(tmp_path / "copy" / "train.jsonl", PAIRS)
    (tmp_path / "copy" / "notes.md").write_text("Notes.")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpecError, match=message):
        suite_of(tmp_path, "blimp_passive_1", mirror)


def test_a_mirror_of_no_task_is_refused(tmp_path: Path) -> None:
    jsonl(tmp_path / "copy" / "train.jsonl", PAIRS)
    suite_of(tmp_path, "blimp_passive_1", "copy")
    path = tmp_path / "suite.yaml"
    path.write_text(path.read_text().replace("  blimp_passive_1: copy", "  blimp_passiv: copy"))
    with pytest.raises(SpecError, match=r"has no task 'blimp_passiv'; it has blimp_passive_1"):
        load_suite(path)


@pytest.mark.parametrize(
    ("name", "lines", "mirror", "message"),
    [
        ("train.jsonl", "", "copy", r"copy/train.jsonl: holds no items"),
        ("train.jsonl", '{"a": 1}\n{"a"\n[]\n', "copy", r"train.jsonl:2: not valid JSON(.|\n)*:3:"),
        ("train.json", '{\n"1": {"a": 1}\n}', "copy", r"train.json: not a list of objects, nor an"),
        ("test.jsonl", '{"a": 1}\n', "copy",
         r"copy: no split 'train' of 'passive_1', which blimp_passive_1 needs; there are test"),
        ("train.jsonl", '{"sentence_good": "Yes."}\n', "copy",
         r"copy: no column 'sentence_bad', which `doc_to_choice` of blimp_passive_1 reads; .*col"),
        ("train.jsonl", '{"good": "Y."}\n', {"path": "copy", "columns": {"sentence_good": "right"}},
         r"train.jsonl: no column 'right', which `columns` .* gives for 'sentence_good'; it has"),
    ],
)  # fmt: skip
def test_what_the_task_asks_for_and_the_copy_lacks_is_named(
    tmp_path: Path, name: str, lines: str, mirror: Any, message: str
) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / name).write_text(lines)
    suite = suite_of(tmp_path, "blimp_passive_1", mirror)
    with pytest.raises(SpecError, match=message) as caught:
        suite_texts(suite)
    assert caught.value.exit_code == 2


def test_a_bare_name_of_a_missing_column_is_not_taken_for_a_text(tmp_path: Path) -> None:
    row = {"QUESTION": "Is it?", "CONTEXTS": ["It is."], "decision": "yes"}
    jsonl(tmp_path / "test.jsonl", [row])
    suite = suite_of(tmp_path, "pubmedqa", "test.jsonl")
    with pytest.raises(InputError, match=r"no column 'final_decision', which `doc_to_target`"):
        build_general_task(suite, "pubmedqa")


def test_a_task_of_the_hub_names_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: object) -> NoReturn:
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr("datasets.load_dataset", away)
    tasks = [{"task": name, "metric": "acc", "text": name} for name in ("hellaswag", "winogrande")]
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({"name": "hub", "default_tasks": True, "tasks": tasks}))
    with pytest.raises(SpecError) as caught:
        suite_texts(load_suite(path))
    assert [problem.where for problem in caught.value.problems] == [str(path)] * 2
    for data, problem in zip(
        ("Rowan/hellaswag", "allenai/winogrande winogrande_xl"), caught.value.problems, strict=True
    ):
        assert f"its data set {data} could not be had from the hub (Connection" in problem.what
        assert "`mirrors: {" in problem.what


def test_the_standard_suite_runs_from_copies(tmp_path: Path) -> None:
    """An item or two of each task, with the columns and the layout of the hub."""
    four = ["a wall", "a door", "a cup", "a hat"]
    copies: dict[str, tuple[str, dict[str, Any]]] = {
        "hellaswag": ("data/validation-00000-of-00001", {
            "ind": 1, "activity_label": "Tea", "ctx_a": "She pours tea.", "ctx_b": "she",
            "endings": four, "label": "2", "split": "val"}),
        "arc_challenge": ("ARC-Challenge/test-00000-of-00001", {
            "id": "m1", "question": "What holds tea?", "answerKey": "C",
            "choices": {"text": four, "label": ["A", "B", "C", "D"]}}),
        "winogrande": ("winogrande_xl/validation-00000-of-00001", {
            "sentence": "The cup did not fit the box because _ was large.", "option1": "the cup",
            "option2": "the box", "answer": "1"}),
        "mmlu_all": ("all/test-00000-of-00001", {
            "question": "What holds tea?", "subject": "high_school_biology", "choices": four,
            "answer": 2}),
        "truthfulqa_mc2": ("multiple_choice/validation-00000-of-00001", {
            "question": "Who drinks tea?",
            "mc1_targets": {"choices": four, "labels": [1, 0, 0, 0]},
            "mc2_targets": {"choices": four, "labels": [1, 1, 0, 0]}}),
    }  # fmt: skip
    for name, (place, row) in copies.items():
        path = tmp_path / name / f"{place}.parquet"
        path.parent.mkdir(parents=True)
        Dataset.from_list([row]).to_parquet(str(path))
    instruction = {
        "key": 1, "prompt": "Write without commas.", "kwargs": [{}],
        "instruction_id_list": ["punctuation:no_comma"],
    }  # fmt: skip
    jsonl(tmp_path / "ifeval" / "ifeval_input_data.jsonl", [instruction])
    path = tmp_path / "offline.yaml"
    mirrors = {**{name: name for name in copies}, "ifeval": "ifeval/ifeval_input_data.jsonl"}
    path.write_text(yaml.safe_dump({"name": "offline", "extends": "standard", "mirrors": mirrors}))
    suite = load_suite(path)
    read = suite_texts(suite)
    assert read.unread == {}
    assert {
        name: (asked.items, asked.shots) for name, asked in read.tasks.items()
    } == dict.fromkeys([entry.task for entry in suite.tasks], (1, 0))
    for entry in suite.tasks:
        task = build_general_task(suite, entry.task)
        assert task.higher_is_better()[entry.metric] is entry.higher_is_better, entry.task
        if entry.chance:
            choices = task.doc_to_choice(task.eval_docs[0])
            assert len(choices) * entry.chance == 1, entry.task
        else:
            assert (task.OUTPUT_TYPE == "generate_until") == (entry.chance == 0)
    texts = dict(read.texts["winogrande"][:1])
    assert list(texts.values()) == ["The cup did not fit the box because the cup was large."]
    mmlu = build_general_task(suite, "mmlu_all")
    mmlu.build_all_requests()
    assert mmlu.instances[0].args == (
        "The following are multiple choice questions (with answers) about high school biology.\n\n"
        "What holds tea?\nA. a wall\nB. a door\nC. a cup\nD. a hat\nAnswer:",
        " A",
    )
    with pytest.raises(InputError, match="mmlu_all is fixed to no worked examples"):
        values = {
            "name": "few",
            "extends": "offline.yaml",
            "tasks": [{"task": "mmlu_all", "metric": "acc", "num_fewshot": 5, "text": "questions"}],
        }
        few = tmp_path / "few.yaml"
        few.write_text(yaml.safe_dump(values))
        build_general_task(load_suite(few), "mmlu_all")


# --------------------------------------------------------------------------- keys and extension


def test_the_content_of_a_copy_is_part_of_the_key_and_its_place_is_not(tmp_path: Path) -> None:
    found = []
    for number, rows in enumerate((PAIRS, PAIRS, PAIRS[:3])):
        jsonl(tmp_path / str(number) / "train.jsonl", rows)
        found.append(suite_of(tmp_path, "blimp_passive_1", str(number)).fingerprint)
    assert found[0] == found[1] != found[2]
    renamed = {"path": "0", "columns": {"sentence_good": "sentence_bad"}}
    assert suite_of(tmp_path, "blimp_passive_1", renamed).fingerprint not in found
    shots = suite_of(tmp_path, "blimp_passive_1", "0", limit=2)
    assert shots.fingerprint not in found


def test_a_suite_extends_another_one(tmp_path: Path) -> None:
    jsonl(tmp_path / "copy" / "test.jsonl", QUESTIONS)
    path = tmp_path / "offline.yaml"
    entry = {"task": "arc_challenge", "metric": "acc", "limit": 2, "text": "questions"}
    values = {
        "name": "offline", "extends": "standard", "tasks": [entry],
        "mirrors": {"arc_challenge": "copy"},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(values))
    suite, standard = load_suite(path), load_suite("standard")
    assert [one.task for one in suite.tasks] == [one.task for one in standard.tasks]
    assert suite.task("arc_challenge").metric == "acc"
    assert suite.folders == standard.folders
    assert suite.fingerprint != standard.fingerprint
    assert len(build_general_task(suite, "arc_challenge", limit=4).eval_docs) == 2
    path.write_text(yaml.safe_dump({**values, "extends": "offline.yaml"}))
    with pytest.raises(SpecError, match="extends itself"):
        load_suite(path)


# --------------------------------------------------------------------------- parity


@pytest.mark.real_data
def test_scores_are_those_of_lm_eval(
    shared_data: Path, tmp_path: Path, tiny_models: TinyModels
) -> None:
    """Real items, a tiny model, and lm-eval's own loader, model and evaluator on the other side."""
    plain = {name: tmp_path / f"{name}.jsonl" for name in ("blimp", "pubmedqa", "wikitext")}
    plain["blimp"].write_bytes((shared_data / "blimp" / "passive_1.jsonl").read_bytes())
    assert write_pubmedqa(shared_data, plain["pubmedqa"]) == 500
    assert write_wikitext_pages(shared_data, plain["wikitext"]) > 50
    include = tmp_path / "include"
    include.mkdir()
    for name, path in plain.items():
        rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
        first = rows[:6] if name != "wikitext" else [{"page": rows[0]["page"][:3000]}]
        split = "train" if name == "blimp" else "test"
        unused = {} if name == "blimp" else {"training_split": None, "validation_split": None}
        config = {
            "include": str(STANDARD / name / ("passive_1" if name == "blimp" else name)) + ".yaml",
            "dataset_path": "json", "dataset_name": None,
            "dataset_kwargs": {"data_files": {split: str(jsonl(path, first))}}, **unused,
        }  # fmt: skip
        (include / f"{name}.yaml").write_text(yaml.safe_dump(config))
    names = ["blimp_passive_1", "pubmedqa", "wikitext"]
    loaded = load_tiny(tiny_models.plain)
    peer = simple_evaluate(
        HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, device="cpu"), tasks=names,
        task_manager=TaskManager(include_path=str(include), include_defaults=False),
        bootstrap_iters=0,
    )  # fmt: skip
    lm = CandidateLM(loaded.model, loaded.tokenizer, 8)
    for name, path in zip(names, plain.values(), strict=True):
        suite = suite_of(tmp_path, name, path.name)
        request = ScoreRequest("k", name, "general", "test", suite_path=str(suite.path))
        ours: ScoreRecord = score_task(lm, build_general_task(suite, name), request, "base")
        items = {(one.doc_hash, one.metric): one.value for one in ours.item_scores}
        metric = "bits_per_byte" if name == "wikitext" else "acc"
        assert peer["results"][name][f"{metric},none"] == pytest.approx(ours.aggregates[metric])
        samples = peer["samples"][name]
        assert len(samples) == len(ours.outputs) > 0
        for sample in samples:
            assert (sample["doc_hash"], metric) in items
            if metric == "acc":
                assert items[sample["doc_hash"], metric] == sample[metric]
