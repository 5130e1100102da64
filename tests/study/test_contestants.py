"""Studies with a classifier and with weights trained elsewhere: what is asked of each."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.data import read_examples_file
from harness.errors import InputError
from harness.records import TrialSpec
from harness.review.studies import AnalysedStudy, load_study, write_reports
from harness.store import StoreReader
from harness.study.run import StudyRun, plan_study, run_study
from tests.fake_trial import Watching, experiment, fake_weights
from tests.tiny_model import write_suite
from tests.untimed import untimed

__all__ = ["untimed"]


def adapter(folder: Path, base: Path, weights: str = "weights") -> Path:
    """A folder that looks like an adapter of ``base``."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"peft_type": "LORA", "base_model_name_or_path": str(base), "r": 4}
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "adapter_model.safetensors").write_bytes(fake_weights(weights))
    return folder


def run(folder: Path, arms: dict[str, Any], **changes: Any) -> tuple[StudyRun, list[TrialSpec]]:
    engine = Watching()
    spec = experiment(folder, arms={"zero-shot": {"kind": "prompt"}, **arms}, **changes)
    return run_study(spec, folder / "results", open_with=lambda: engine), engine.seen


def of(seen: list[TrialSpec], arm: str, phase: str) -> list[TrialSpec]:
    return [spec for spec in seen if (spec.arm, spec.phase) == (arm, phase)]


def told(analysed: AnalysedStudy, folder: Path) -> str:
    """The report of a study, on one line."""
    return " ".join(write_reports(analysed, folder / "report", ("md",))["md"].read_text().split())


def test_each_folder_is_a_seed_and_scored_as_a_fine_tuned_arm(tmp_path: Path) -> None:
    folders = [adapter(tmp_path / name, tmp_path / "model", name) for name in "ab"]
    suite = str(write_suite(tmp_path))
    arms = {"theirs": {"kind": "trained", "path": [str(folder) for folder in folders]}}
    done, seen = run(tmp_path, arms, general={"suite": suite, "limit": 4, "search_limit": 2})
    finals = of(seen, "theirs", "finalist")
    assert [(spec.seed, spec.trained_path) for spec in finals] == [
        (1, str(folders[0])),
        (2, str(folders[1])),
    ]
    assert len({spec.weights_id for spec in finals}) == 2
    suites = {score.suite for score in finals[0].scores}
    # What it was trained on is not known, so that nothing is said of fit and memory.
    assert suites == {"domain", "general", "divergence"}
    assert {score.split for score in finals[0].scores if score.suite == "domain"} == {
        "validation",
        "test",
    }
    assert not finals[0].validation_path
    assert {spec.trained_path for spec in of(seen, "theirs", "latency")} == {str(folders[0])}
    record = StoreReader(tmp_path / "results" / "harness.duckdb").study(done.experiment_id)
    assert {trial.kind for trial in record.trials if trial.arm == "theirs"} == {"trained"}


@pytest.mark.usefixtures("untimed")
def test_weights_are_known_by_what_they_hold_and_not_by_where_they_lie(tmp_path: Path) -> None:
    first = adapter(tmp_path / "a", tmp_path / "model")
    arms: dict[str, Any] = {"theirs": {"kind": "trained", "path": str(first)}}
    run(tmp_path, arms)
    arms["theirs"]["path"] = str(adapter(tmp_path / "moved" / "b", tmp_path / "model"))
    _, seen = run(tmp_path, arms)
    assert seen == []
    arms["theirs"]["path"] = str(adapter(tmp_path / "c", tmp_path / "model", "others"))
    _, seen = run(tmp_path, arms)
    assert [spec.phase for spec in seen if spec.arm == "theirs"][:2] == ["search", "finalist"]


@pytest.mark.usefixtures("untimed")
def test_what_it_was_trained_on_is_held_against_what_judges(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", tmp_path / "model")
    arm = {"kind": "trained", "path": str(folder), "trained_on": str(tmp_path / "data.jsonl")}
    done, seen = run(tmp_path, {"theirs": arm})
    study = load_study(tmp_path / "results", done.experiment_id)
    shared = study.study.experiment.data.audit.brought["theirs"]["test"]["exact"]
    assert len(shared) == study.study.experiment.splits["test"] > 0
    caveats = " ".join(study.findings.verdict.caveats)
    assert "share text with the rows that theirs was trained on" in caveats
    # The file is the study's own: how well its training rows are fitted is looked at as well. But
    # no text is left that it has not seen, to tell what it memorised.
    scores = of(seen, "theirs", "finalist")[0].scores
    assert ("domain", "train") in {(score.suite, score.split) for score in scores}
    assert "memorisation" not in {score.suite for score in scores}
    assert "not measured; every validation text is among those" in told(study, tmp_path)


def completed(seen: list[TrialSpec], arm: str, phase: str) -> dict[tuple[str, str], list[str]]:
    """(lm-eval task, split) -> the texts that a trial was asked to complete."""
    scores = [one for one in of(seen, arm, phase)[0].scores if one.suite == "memorisation"]
    return {
        (one.task, one.split): [item.inputs["text"] for item in read_examples_file(one.items_path)]
        for one in scores
    }


@pytest.mark.usefixtures("untimed")
def test_what_an_arm_that_goes_on_memorised_is_looked_for_in_both_trainings(
    tmp_path: Path,
) -> None:
    texts = [f"A row of their own, number {n}." for n in range(9)]
    (tmp_path / "theirs.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in texts))
    theirs = {"kind": "trained", "path": str(adapter(tmp_path / "a", tmp_path / "model")),
              "trained_on": str(tmp_path / "theirs.jsonl")}  # fmt: skip
    others = {"kind": "trained", "path": str(adapter(tmp_path / "b", tmp_path / "model", "b"))}
    on, blind = {"kind": "lora", "start": "theirs"}, {"kind": "lora", "start": "others"}
    arms = {"on": on, "blind": blind, "theirs": theirs, "others": others, "lora": {"kind": "lora"}}
    done, seen = run(tmp_path, arms, memorisation_items=8)
    usual = completed(seen, "lora", "finalist")
    assert completed(seen, "blind", "finalist") == usual
    assert completed(seen, "on", "finalist") == {**usual, **completed(seen, "theirs", "finalist")}
    analysed = load_study(tmp_path / "results", done.experiment_id)
    rows = [(one.arm, one.rows) for one in analysed.findings.memorisation]
    file = theirs["trained_on"]
    own = [(arm, None) for arm in ("on", "blind", "lora")]
    assert sorted(rows, key=str) == sorted([*own, ("on", file), ("theirs", file)], key=str)
    report = told(analysed, tmp_path)
    for whose in ("training texts", "texts of theirs.jsonl"):
        words = rf"\bon\b[^:]*: not shown to have memorised; [\d.]+ % of the {whose} completed"
        assert re.search(words, report), whose
    page = write_reports(analysed, tmp_path / "report", ("html",))["html"].read_text()
    assert re.search(r"<bdi>on</bdi></th><td[^>]*><bdi>theirs\.jsonl<", page)
    assert "blind: of its training before the study not measured; what it was trained" in report
    reasons = list(plan_study(analysed.experiment, tmp_path / "results").left_out())
    assert any("of others and what blind was trained on before is not" in one for one in reasons)


@pytest.mark.usefixtures("untimed")
def test_what_it_memorised_is_looked_for_in_its_own_rows(tmp_path: Path) -> None:
    """Its unseen texts are those of validation that it was not trained on; the base's are alike."""
    source = experiment(tmp_path, arms={"zero-shot": {"kind": "prompt"}}).data.source
    texts = [f"A row of their own, number {n}." for n in range(9)]
    arm = {"kind": "trained", "path": str(adapter(tmp_path / "a", tmp_path / "model")),
           "trained_on": str(tmp_path / "theirs.jsonl")}  # fmt: skip
    (tmp_path / "theirs.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in texts))
    others = {"kind": "trained", "path": str(adapter(tmp_path / "b", tmp_path / "model", "b"))}
    arms = {"theirs": arm, "others": others, "lora": {"kind": "lora"}}
    done, seen = run(tmp_path, arms, memorisation_items=8)

    theirs, base = completed(seen, "theirs", "finalist"), completed(seen, "base", "baseline")
    assert set(theirs) == {("memorisation_theirs", split) for split in ("train", "validation")}
    assert len(theirs["memorisation_theirs", "train"]) == 8
    assert set(theirs["memorisation_theirs", "train"]) <= set(texts)
    assert base == {**completed(seen, "lora", "finalist"), **theirs}
    assert completed(seen, "others", "finalist") == {}
    analysed = load_study(tmp_path / "results", done.experiment_id)
    rows = {one.arm: one.rows for one in analysed.findings.memorisation}
    assert rows == {"theirs": arm["trained_on"], "lora": None}
    report = told(analysed, tmp_path)
    assert "of the texts of theirs.jsonl completed word by word" in report
    assert "others: not measured; what it was trained on is not known" in report

    # Half of what it saw is the study's own file: what is left of validation is unseen.
    half = Path(source).read_text().splitlines()[::2]
    (tmp_path / "theirs.jsonl").write_text("\n".join(half))
    _, seen = run(tmp_path, arms, memorisation_items=8)
    unseen = completed(seen, "theirs", "finalist")["memorisation_theirs", "validation"]
    assert unseen
    assert not set(unseen) & {json.loads(row)["text"] for row in half}


def test_an_adapter_of_another_base_stops_before_anything_runs(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", Path("somebody/Other-7B"))
    with pytest.raises(InputError) as refused:
        run(tmp_path, {"theirs": {"kind": "trained", "path": str(folder)}})
    assert refused.value.exit_code == 2
    assert "somebody/Other-7B" in str(refused.value)
    assert not (tmp_path / "results" / "trials").exists()


def test_a_classifier_is_asked_for_the_task_alone(tmp_path: Path) -> None:
    suite = str(write_suite(tmp_path))
    done, seen = run(
        tmp_path,
        {"words": {"kind": "classifier"}},
        budget={"trials": 3},
        general={"suite": suite, "limit": 4},
    )
    mine = [spec for spec in seen if spec.arm == "words"]
    assert len(of(seen, "words", "search")) == 3
    assert {score.suite for spec in mine for score in spec.scores} == {"domain", "latency"}
    assert {(spec.pruning, spec.keep_artifact) for spec in mine} == {(None, False)}
    assert all(spec.identity["template"] is None for spec in mine if spec.phase != "latency")
    assert not any("model" in spec.identity for spec in mine)
    findings = load_study(tmp_path / "results", done.experiment_id).findings
    assert findings.verdict.winner != "words"
    assert any("words" in reason for reason in findings.verdict.reasons)
    # A run again has nothing to do.
    assert run(
        tmp_path,
        {"words": {"kind": "classifier"}},
        budget={"trials": 3},
        general={"suite": suite, "limit": 4},
    )[1] == []  # fmt: skip
