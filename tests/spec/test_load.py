"""Every mistake in an experiment file gets one message, with its line and field."""

from __future__ import annotations

import contextlib
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import SpecError
from harness.spec import Experiment, load_experiment

FEEDBACK = Path(__file__).resolve().parents[2] / "experiments" / "product-feedback.yaml"
TEXT = FEEDBACK.read_text(encoding="utf-8")


def load(folder: Path, text: str | bytes) -> Experiment:
    path = folder / "experiment.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_experiment(path)


def problems(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(SpecError) as error:
        load(folder, text)
    return [
        str(one).replace(str(folder / "experiment.yaml"), "FILE") for one in error.value.problems
    ]


def changed(old: str, new: str) -> tuple[str, int]:
    """An experiment with ``old`` replaced, and the line on which that was."""
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new), TEXT[: TEXT.index(old)].count("\n") + 1


def test_the_unchanged_experiment_is_valid(tmp_path: Path) -> None:
    assert load(tmp_path, TEXT).name == "product-feedback"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("limits: {train: 160", "limits: {trian: 160",
         "data.limits.trian: unknown key `trian`; did you mean `train`?"),
        ("budget: {trials: 3}", "budgte: {trials: 3}",
         "budgte: unknown key `budgte`; did you mean `budget`?"),
        ("budget: {trials: 3}", "budget.trials: 8",
         "budget.trials: unknown key `budget.trials`: it is the path of a field; write `trials:` "
         "below `budget:`"),
        ("budget: {trials: 3}", "budget: {trials: 3, zzz: 1}", "budget.zzz: unknown key `zzz`"),
        ("budget: {trials: 3}", "budget: {trials: many}",
         "budget.trials: input should be a valid integer, unable to parse string as an integer "
         "(got 'many')"),
        ("budget: {trials: 3}", "budget: {trials: 0}",
         "budget.trials: input should be greater than or equal to 1 (got 0)"),
        ("name: product-feedback", "name: yes",
         "name: must be text, and YAML reads it as True: put quotes around it"),
        ("name: product-feedback", "name: 2031-05-06",
         "name: must be text, and YAML reads it as 2031-05-06: put quotes around it"),
        ("budget: {trials: 3}", "budget: [3]",
         "budget: input should be a valid dictionary or instance of Budget"),
        ("name: product-feedback", "name: quick start",
         "name: name 'quick start': use letters, digits, dot, dash and underscore, at most 64 "
         "(got 'quick start')"),
        ("  zero-shot: {kind: prompt}", "  zero-shot: {}",
         "arms.zero-shot: unable to extract tag using discriminator 'kind'"),
        ("  zero-shot: {kind: prompt}", "  zero-shot: {kind: prompt, shots: -1}",
         "arms.zero-shot.shots: input should be greater than or equal to 0 (got -1)"),
        ("  zero-shot: {kind: prompt}", "  zero-shot: {kind: prompt, shots: few}",
         "arms.zero-shot.shots: input should be a valid integer, unable to parse string as an "
         "integer (got 'few')"),
        ("  zero-shot: {kind: prompt}", "  zero-shot: {kind: prompt, shots: {low: 4, high: 2}}",
         "arms.zero-shot.shots: low 4 must be below high 2; for one value write it plainly"),
        ("  zero-shot: {kind: prompt}", "  zero-shot: {kind: prompt, shots: {low: 1}}",
         "arms.zero-shot.shots.high: this key is required and missing"),
        ("  zero-shot: {kind: prompt}",
         "  zero-shot: {kind: prompt, shots: {low: 0, high: 9, log: true}}",
         "arms.zero-shot.shots: a logarithmic range needs low above 0, not 0"),
        ("  zero-shot: {kind: prompt}",
         "  zero-shot: {kind: prompt, shots: {low: 1, high: 9, default: 12}}",
         "arms.zero-shot.shots: default 12 lies outside 1 to 9"),
        ("  zero-shot: {kind: prompt}", "  zero-shot: {kind: prompt, shots: {choices: [1, 1]}}",
         "arms.zero-shot.shots: choices (1, 1) hold a value twice"),
        ("  zero-shot: {kind: prompt}",
         "  zero-shot: {kind: prompt, shots: {choices: [1, 2], default: 4}}",
         "arms.zero-shot.shots: default 4 is not one of the choices (1, 2)"),
        ("  zero-shot: {kind: prompt}", "  zero-shot: {kind: prompt, selection: nearset}",
         "arms.zero-shot.selection: input should be 'fixed', 'random', 'balanced', "
         "'nearest' or 'bm25' (got 'nearset')"),
        ("  zero-shot: {kind: prompt}", "  zero-shot: {kind: prompt, learning_rate: 1}",
         "arms.zero-shot.learning_rate: unknown key `learning_rate`"),
        ("  zero-shot: {kind: prompt}", "  zero-shot: {kind: prompt, shots: {choices: [1, x]}}",
         "arms.zero-shot.shots.choices.1: input should be a valid integer, unable to parse string "
         "as an integer (got 'x')"),
        ("train: 0.4, validation", "train: 0.5, validation",
         "data.splits: the shares must sum to 1, not 1.1"),
        ("train: 0.4, validation", "train: 4, validation",
         "data.splits.train: input should be less than 1 (got 4)"),
        ("test: 0.4}", "tset: 0.4}", "data.splits.tset: unknown key `tset`; did you mean `test`?"),
        ("margin: 0.03", "margin: .inf",
         "contrast.margin: input should be a finite number (got inf)"),
        ("seeds: [1]", "seeds: [1, 1]", "seeds: seeds [1, 1] hold a value twice"),
        ("seeds: [1]", "seeds: [-1]",
         "seeds.0: input should be greater than or equal to 0 (got -1)"),
        ("seeds: [1]", "seeds: []",
         "seeds: tuple should have at least 1 item after validation, not 0"),
        ('template: "{text}"', 'template: "text"',
         "task.template: the template names no column; write one as {column} (got 'text')"),
        ('template: "{text}"', 'template: "{text"',
         "task.template: expected '}' before end of string (got '{text')"),
        ("model: smollm2-135m-instruct", 'model: ""',
         "model: string should have at least 1 character (got '')"),
    ],
)  # fmt: skip
def test_one_mistake_gets_one_message(tmp_path: Path, old: str, new: str, message: str) -> None:
    text, line = changed(old, new)
    assert problems(tmp_path, text) == [f"FILE:{line}: {message}"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("type: object\n", "type: string\n",
         "task.answer.schema: the schema must describe an object: add `type: object`"),
        ("type: object\n", "type: object\n      $ref: 'http://example.com/s'\n",
         "task.answer.schema: `$ref: http://example.com/s` leads nowhere; refer to a part of this "
         "schema, such as #/$defs/name"),
        ("type: object\n", "type: object\n      $ref: '#'\n",
         "task.answer.schema: the schema refers to itself without end"),
        ("type: object\n", "type: object\n      $dynamicRef: 'file:///etc/passwd'\n",
         "task.answer.schema: `$dynamicRef: file:///etc/passwd` leads nowhere; refer to a part of "
         "this schema, such as #/$defs/name"),
        ("type: object\n", "type: object\n      allOf: [{$id: 'http://127.0.0.1:9/', $ref: x}]\n",
         "task.answer.schema: `$ref: x` leads nowhere; refer to a part of this schema, such as "
         "#/$defs/name"),
        ("{enum: [negative, neutral, positive]}", "{enum: [2020-01-01]}",
         "task.answer.schema: datetime.date(2020, 1, 1) is not JSON; put quotes around it"),
        ("{enum: [negative, neutral, positive]}", "{const: .nan}",
         "task.answer.schema: nan is no number of JSON"),
        ("    movie-reviews: packaged", "    train_sample: packaged",
         "data.out_of_domain: an out-of-domain set cannot be called 'train_sample'"),
        ("    movie-reviews: packaged", "    replay: packaged",
         "data.out_of_domain: an out-of-domain set cannot be called 'replay'"),
        ("    movie-reviews: packaged", "    Tweets: packaged",
         "data.out_of_domain: 'Tweets' and 'tweets' differ in case only; rename one"),
        ("  full:\n", "  nul.txt:\n",
         "name 'nul.txt' is that of a device on Windows; choose another"),
        ("  full:\n", "  LoRA:\n", "arms: 'LoRA' and 'lora' differ in case only; rename one"),
        ("required: [sentiment, intensity]", "required: sentiment",
         "task.answer.schema: not a valid JSON Schema: 'sentiment' is not of type 'array'"),
        ("    movie-reviews: packaged", "    test: packaged",
         "data.out_of_domain: an out-of-domain set cannot be called 'test'"),
        ("contrast: {margin: 0.03}", "contrast: {fine_tuned: lroa}",
         "contrast.fine_tuned: no arm is called 'lroa'; the arms are zero-shot, few-shot, choice, "
         "full, lora, qlora"),
        ("contrast: {margin: 0.03}", "contrast: {fine_tuned: zero-shot}",
         "contrast.fine_tuned: arm 'zero-shot' is a prompt arm"),
        ("intensity: {type: integer, minimum: 0, maximum: 4}", "intensity: {type: integer}",
         "arms.choice.answering: choice needs a short closed list of valid answers; use labels or "
         "a schema of enumerations, or answering: generate"),
        ("  full:\n", "  base:\n",
         "`base` names the untouched model; call the arm something else"),
    ],
)  # fmt: skip
def test_mistakes_of_a_whole_part(tmp_path: Path, old: str, new: str, message: str) -> None:
    (problem,) = problems(tmp_path, changed(old, new)[0])
    assert problem.endswith(message)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("[bleu]", "metric 'bleu' is not one for answers of kind 'json': choose from"),
        ("[macro_f1, exact_match]", "'macro_f1' has not: put one of field_f1, exact_match"),
    ],
)
def test_metrics_must_fit(tmp_path: Path, metrics: str, message: str) -> None:
    (problem,) = problems(tmp_path, changed("task:\n", f"task:\n  metrics: {metrics}\n")[0])
    assert "task: " in problem
    assert message in problem


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    text = TEXT.replace("trials: 3", "trials: 0").replace("seeds: [1]", "seeds: [x]")
    text = text.replace("kind: lora", "kind: lora\n    rank: 0")
    assert [one.split(": ")[1] for one in problems(tmp_path, text)] == [
        "arms.lora.rank", "budget.trials", "seeds.0",
    ]  # fmt: skip


def test_missing_keys(tmp_path: Path) -> None:
    missing = [f"FILE:1: {key}: this key is required and missing" for key in
               ("arms", "data", "model", "task")]  # fmt: skip
    assert problems(tmp_path, "name: x\n") == missing
    text, line = changed("model: smollm2-135m-instruct", "model: {}")
    (problem,) = problems(tmp_path, text)
    assert problem == f"FILE:{line}: model.reference: this key is required and missing"


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    text = TEXT + "seeds: [2]\n"
    line = text.count("\n")
    assert problems(tmp_path, text) == [f"FILE:{line}: key `seeds` stands twice; keep one"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "FILE: an experiment is a mapping of keys, such as `name:`"),
        ("# only a comment\n", "FILE: an experiment is a mapping of keys, such as `name:`"),
        ("- a\n- b\n", "FILE: an experiment is a mapping of keys, such as `name:`"),
        ("text", "FILE: an experiment is a mapping of keys, such as `name:`"),
        ("name: [1\nmodel: x\n", "FILE:2: not valid YAML: expected ',' or ']', but got ':'"),
        ("\tname: x", "FILE:1: not valid YAML: found character '\\t' that cannot start any token"),
        ("name: *nothing", "FILE:1: not valid YAML: found undefined alias 'nothing'"),
        ("name: !!python/object/apply:os.system ['true']",
         "FILE:1: not valid YAML: could not determine a constructor for the tag "
         "'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("name: 2020-13-45",
         "FILE:1: name: YAML takes '2020-13-45' for a date, which it is not (month must be in "
         "1..12); put quotes around it where text is meant"),
        ("name: !!bool x", "FILE:1: name: YAML takes 'x' for true or false, which it is not;"),
        ("name: !!timestamp x", "FILE:1: name: YAML takes 'x' for a date, which it is not;"),
        ("a: " + "[" * 5000, "FILE: values are nested more than 100 levels deep"),
        (b"\x89PNG\r\n\x1a\n",
         "FILE: cannot be read: 'utf-8' codec can't decode byte 0x89"),
        (b"PK\x03\x04 \x00", "FILE: not valid YAML: unacceptable character #x0003"),
    ],
)  # fmt: skip
def test_what_is_no_experiment(tmp_path: Path, text: str | bytes, message: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(message)


def bomb(lines: int = 12) -> str:
    names = [f"k{n}" for n in range(lines)]
    text = ["k0: &k0 [x, x, x, x, x, x, x, x, x]"]
    for before, name in pairwise(names):
        text.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    return "\n".join(text) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        bomb(),
        TEXT + bomb(),
        TEXT.replace("model: smollm2-135m-instruct", "model: &x [*x]"),
        "a: &a\n  b: *a\n",
        "a: &a {x: 1}\nb: &b {<<: [*a, *a]}\n" + "".join(
            f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n"
            for a, b in zip("bcdefghi", "cdefghij", strict=True)
        ),
    ],
    ids=["alone", "appended", "itself", "cycle", "merge-keys"],
)  # fmt: skip
def test_aliases_that_explode_are_refused_at_once(tmp_path: Path, text: str) -> None:
    began = time.monotonic()
    (problem,) = problems(tmp_path, text)
    assert time.monotonic() - began < 2
    assert problem == (
        "FILE: its aliases write out to more than 100,000 values; write them plainly"
    )


def test_anchors_are_of_use(tmp_path: Path) -> None:
    text = TEXT.replace(
        "shots: {choices: [2, 4, 8], default: 4}", "shots: &shots {choices: [2, 4], default: 4}"
    ).replace("shots: {choices: [0, 2, 4, 8], default: 4}", "shots: *shots")
    arms = load(tmp_path, text).arms
    assert arms["few-shot"].shots == arms["choice"].shots


def test_what_overrides_a_merged_key_is_named_by_its_own_line(tmp_path: Path) -> None:
    arms = "arms:\n  one: &one {kind: prompt, shots: 1}\n  two:\n    <<: *one\n    shots: many\n"
    text = TEXT.replace("arms:\n", arms)
    line = text[: text.index("    shots: many")].count("\n") + 1
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(f"FILE:{line}: arms.two.shots:")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file; `harness init` writes one"):
        load_experiment(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="cannot be read"):
        load_experiment(tmp_path)


@pytest.mark.parametrize(
    "source", ['"a\\0b"', "~no-such-user-here/x.csv", "a" * 300 + "/" + "b" * 5000]
)
def test_paths_that_cannot_be(tmp_path: Path, source: str) -> None:
    text, _ = changed("source: packaged:product-feedback", f"source: {source}")
    try:
        load(tmp_path, text)
    except SpecError as error:
        assert "a path in it cannot be resolved" in str(error) or "NUL" in str(error)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    text = (
        TEXT.replace("packaged:product-feedback", "rows.csv")
        .replace("model: smollm2-135m-instruct", "model: model")
        .replace("suite: general-mini", "suite: own.yaml")
        .replace("packaged:tweets", "../t.jsonl")
    )
    spec = load(tmp_path, text)
    assert spec.data.source == str(tmp_path / "rows.csv")
    assert spec.data.out_of_domain["tweets"] == str(tmp_path.parent / "t.jsonl")
    assert spec.data.out_of_domain["editorials"] == "packaged:editorials"
    assert spec.model.reference == str(tmp_path / "model")
    assert spec.general is not None
    assert spec.general.suite == str(tmp_path / "own.yaml")


# --------------------------------------------------------------------------- mutations


SCRAPS = ("", " ", "\n", "  ", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "!!int ", "null", "-1",
          "1e999", ".nan", "'", '"', "#", "? ", "|", ">", "\t", "\x00", "é", "2020-01-01", "0x1f",
          "<<: ", "kind: lora", "choices: []", "low: 1", "true", "%", "@", "`", ",")  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """An experiment with a few spans replaced by scraps, or moved."""
    text = TEXT
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        length = draw(st.sampled_from((0, 0, 1, 2, 5, 12, 40)))
        scrap = draw(st.sampled_from(SCRAPS) | st.text(max_size=4))
        if draw(st.booleans()):
            other = draw(st.integers(0, len(text)))
            scrap = text[other : other + draw(st.integers(1, 60))]
        text = text[:start] + scrap + text[start + length :]
    return text


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=mutated())
def test_a_mutated_file_is_an_experiment_or_a_spec_error(tmp_path: Path, text: str) -> None:
    """Some of what `make fuzz` tries by the thousand."""
    try:
        spec = load(tmp_path, text.encode(errors="surrogatepass"))
    except SpecError as error:
        assert error.problems
        assert all(one.where for one in error.problems)
    else:
        assert Experiment.model_validate(spec.plain()) == spec


@pytest.mark.parametrize(
    "reference",
    ["$dynamicRef: 'http://127.0.0.1:9/s'", "$ref: 'http://127.0.0.1:9/s'",
     "$schema: 'http://127.0.0.1:9/s'", "$id: 'http://127.0.0.1:9/s'",
     "allOf: [{$id: 'http://127.0.0.1:9/a/', properties: {b: {$ref: '#/properties/b'}}}]"],
)  # fmt: skip
def test_a_schema_is_never_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *names, **_: asked.append(names))
    monkeypatch.setattr("socket.socket.connect", lambda *names: asked.append(names))
    text, _ = changed("type: object\n", f"type: object\n      {reference}\n")
    with contextlib.suppress(SpecError):
        load(tmp_path, text)
    assert asked == []
