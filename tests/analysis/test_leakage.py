"""Scores without flagged items: the same as a study that never had them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.generalisation.leakage import without_items
from harness.analysis.whole_study import analyse
from harness.findings import Findings
from harness.records import AuditRecord, ScoreVector, Study, items_of
from tests.data_records import audit_record, by_kind, data_record

from .study_builder import ACCURACY, BITS, StudyBuilder, experiment, right, whole_study

FEW = 500


def audit(
    test: Iterable[int] = (),
    general: Mapping[str, Sequence[int]] | None = None,
    **more: Any,
) -> AuditRecord:
    """An audit in which items, by their number, share text with training."""
    return audit_record(
        flagged={"test": by_kind(ngram=[f"test-{n}" for n in test])},
        general={
            task: by_kind(near=[f"general:{task}-{n}" for n in items])
            for task, items in (general or {}).items()
        },
        **more,
    )


def flagged(built: StudyBuilder, found: AuditRecord) -> Findings:
    built.data = data_record(audit=found)
    return analyse(built.build(), resamples=FEW)


def caveats(found: Findings, word: str) -> list[str]:
    return [sentence for sentence in found.verdict.caveats if word in sentence]


def two_arms(prompt: Sequence[float], tuned: Sequence[Sequence[float]]) -> StudyBuilder:
    built = StudyBuilder(experiment(general=None))
    built.search("few-shot", [0.5]).search("lora", [0.5])
    for seed, values in enumerate(tuned, start=1):
        built.finalist("few-shot", seed, {"test": prompt, "validation": right(0.5, 20)})
        built.finalist("lora", seed, {"test": values, "validation": right(0.5, 20)})
    return built


# --------------------------------------------------------------------------- what is read


def test_an_audit_that_found_nothing_flags_nothing() -> None:
    found = flagged(whole_study(), audit([]))
    assert found.primary is not None
    assert (found.primary.flagged, found.primary.without_flagged) == (0, None)
    assert caveats(found, "leakage audit") == []


def test_all_kinds_count() -> None:
    assert items_of(by_kind(exact="ab", near="c", ngram="d")) == frozenset("abcd")
    every = {"test": by_kind(exact=["test-1"], near=["test-2"], ngram=["test-3"])}
    found = flagged(whole_study(), audit_record(flagged=every))
    assert found.primary is not None
    assert found.primary.flagged == 3
    assert audit_record(
        found={"test": {"exact": 2, "near": 1, "ngram": 0}, "far": {"exact": 9, "ngram": 4}}
    ).counts == {"exact": 11, "near": 1, "ngram": 4}


# --------------------------------------------------------------------------- leaving out


def vector(values: Sequence[float], *, ids: bool = True) -> ScoreVector:
    (made,) = two_arms(values, [values]).vectors[:1]
    return made if ids else replace(made, item_ids=())


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=12), st.sets(st.integers(0, 14)))
def test_what_is_left_keeps_its_order_and_its_parts(values: list[float], out: set[int]) -> None:
    whole = vector(values)
    (rest,) = without_items([whole], frozenset(f"test-{n}" for n in out))
    kept = [n for n in range(len(values)) if n not in out]
    assert rest.item_ids == tuple(f"test-{n}" for n in kept)
    assert rest.doc_hashes == rest.item_ids
    assert len(rest.clusters) == len(kept)
    assert rest.values.tolist() == [values[n] for n in kept]


def test_without_ids_nothing_can_be_left_out() -> None:
    unnamed = vector([1.0, 0.0], ids=False)
    assert without_items([unnamed], frozenset({"test-0"})) == [unnamed]
    built = whole_study()
    built.vectors = [replace(v, item_ids=()) for v in built.vectors]
    found = flagged(built, audit([1, 2, 3]))
    assert found.primary is not None
    assert (found.primary.flagged, found.primary.without_flagged) == (0, None)
    (sentence,) = caveats(found, "leakage audit")
    assert "flagged 3 items of the test set, but the stored scores do not say" in sentence


# --------------------------------------------------------------------------- contrasts


def thinned(study: Study, out: set[int]) -> Study:
    """The study as if some test items had never been there."""
    vectors = []
    for one in study.vectors:
        drop = out if (one.suite, one.split) == ("domain", "test") else set()
        kept = [n for n in range(len(one.values)) if n not in drop]
        vectors.append(
            replace(
                one,
                doc_hashes=tuple(one.doc_hashes[n] for n in kept),
                clusters=tuple(one.clusters[n] for n in kept),
                item_ids=tuple(one.item_ids[n] for n in kept),
                values=one.values[kept],
            )
        )
    plain = replace(study.experiment, data=data_record())
    return replace(study, vectors=tuple(vectors), experiment=plain)


SCORE = st.sampled_from([0.0, 1.0])


@settings(max_examples=15, deadline=None)
@given(st.data(), st.integers(1, 2))
def test_the_contrast_without_equals_that_of_a_study_without(
    data: st.DataObject, seeds: int
) -> None:
    number = data.draw(st.integers(6, 20))
    scores = st.lists(SCORE, min_size=number, max_size=number)
    built = two_arms(data.draw(scores), [data.draw(scores) for _ in range(seeds)])
    out = data.draw(st.sets(st.integers(0, number - 1), min_size=1, max_size=number - 2))
    found = flagged(built, audit(out)).primary
    clean = analyse(thinned(built.build(), out), resamples=FEW, sensitivity=False).primary
    assert found is not None
    assert clean is not None
    assert found.flagged == len(out)
    rest = found.without_flagged
    assert rest is not None
    assert rest.items == number - len(out) == clean.items
    assert (rest.difference, rest.mean_a, rest.mean_b) == (
        clean.difference,
        clean.mean_a,
        clean.mean_b,
    )
    assert (rest.interval, rest.outcome) == (clean.interval, clean.outcome)


def test_a_gain_that_only_flagged_items_show() -> None:
    # lora has the first 60 items right beside what both can do; these 60 were in training.
    both = [0.0] * 60 + [1.0, 0.0] * 70
    built = whole_study(prompt=0.5, tuned=0.8)
    for n, one in enumerate(built.vectors):
        if (one.suite, one.split) == ("domain", "test") and one.arm != "base":
            gained = [1.0] * 60 if one.arm == "lora" else [0.0] * 60
            built.vectors[n] = replace(one, values=np.array(gained + both[60:]))
    plain = analyse(built.build(), resamples=FEW, sensitivity=False)
    found = flagged(built, audit(range(60)))
    assert found.primary is not None
    assert replace(found.primary, flagged=0, without_flagged=None) == plain.primary
    assert found.primary.outcome == "better"
    assert found.primary.difference == pytest.approx(60 / 200)
    rest = found.primary.without_flagged
    assert rest is not None
    assert (rest.items, rest.difference, rest.mean_a, rest.mean_b) == (140, 0.0, 0.5, 0.5)
    assert rest.outcome == "equivalent"
    (sentence,) = caveats(found, "primary contrast")
    assert sentence == (
        "60 items of the 200 compared in the primary contrast share text with training examples; "
        "without them it comes out equivalent, not better."
    )
    (sentence,) = caveats(found, "the verdict would be")
    assert "Without the items that share text with training" in sentence
    assert found.verdict.outcome == "fine_tune"


def test_an_outcome_that_stays_is_said_too() -> None:
    found = flagged(whole_study(), audit([0, 199, 500]))
    assert found.primary is not None
    assert found.primary.flagged == 2
    (sentence,) = caveats(found, "primary contrast")
    assert sentence.startswith("2 items of the 200 compared in the primary contrast share text")
    assert sentence.endswith("without them it comes out the same.")
    assert caveats(found, "the verdict would be") == []


def test_too_few_items_left() -> None:
    found = flagged(whole_study(), audit(range(199)))
    assert found.primary is not None
    assert (found.primary.flagged, found.primary.without_flagged) == (199, None)
    assert caveats(found, "too few are left without them")


def test_secondary_contrasts_are_corrected_over_the_same_family() -> None:
    arms = {"few-shot": "prompt", "zero": {"kind": "prompt"}, "lora": "lora", "full": "full"}
    built = StudyBuilder(experiment(arms, general=None))  # type: ignore[arg-type]
    shares = {"few-shot": 0.5, "zero": 0.3, "lora": 0.8, "full": 0.75}
    for arm, share in shares.items():
        built.search(arm, [share])
        for seed in (1, 2):
            built.finalist(arm, seed, {"test": right(share), "validation": right(share)})
    out = set(range(0, 200, 7))
    found = flagged(built, audit(out))
    clean = analyse(thinned(built.build(), out), resamples=FEW, sensitivity=False)
    assert len(found.secondary) == len(clean.secondary) >= 3
    for one, other in zip(found.secondary, clean.secondary, strict=True):
        assert one.flagged == len(out)
        assert one.without_flagged is not None
        assert (one.a, one.b, one.without_flagged.outcome, one.without_flagged.interval) == (
            other.a,
            other.b,
            other.outcome,
            other.interval,
        )


def test_test_items_known_from_validation_are_said_and_kept() -> None:
    found = flagged(whole_study(), audit([], selection=by_kind(near=["test-4"])))
    assert found.primary is not None
    assert found.primary.flagged == 0
    (sentence,) = caveats(found, "by which settings were selected")
    assert sentence.startswith("1 item of the test set shares text with validation")


# --------------------------------------------------------------------------- forgetting


def test_forgetting_without_flagged_items() -> None:
    built = whole_study(general=0.8, general_suite={"margin": 0.05})
    # Of 200 facts the base knows 160 and lora the first 110: 50 lost, of which 40 were flagged.
    for n, one in enumerate(built.vectors):
        if one.suite == "general" and one.arm == "lora":
            built.vectors[n] = replace(one, values=np.array(right(0.55)))
    found = flagged(built, audit(general={"facts": range(120, 160)}))
    (arm,) = found.forgetting
    assert arm.outcome == "forgot"
    assert arm.mean_change == pytest.approx(-50 / 200)
    assert [delta.flagged for delta in arm.tasks] == [40]
    assert arm.without_flagged is not None
    change, interval = arm.without_flagged.mean_change, arm.without_flagged.interval
    assert change == pytest.approx(-10 / 160)
    assert interval.low < change < interval.high
    assert interval.level == arm.interval.level
    (sentence,) = caveats(found, "general suite")
    assert sentence.startswith("40 items of the general suite (facts) share text with training")
    assert "the answer for lora is inconclusive, not forgot" in sentence


def test_flagged_text_is_counted_and_moves_no_mean() -> None:
    built = whole_study()
    built.general_tasks["text"] = BITS
    for name, seed in (("base", 0), ("lora", 1), ("lora", 2), ("lora", 3)):
        built.finalist(name, seed, {"general:text": [1.0, 1.1, 1.2, 1.3]})
        built.trials.pop()
    found = flagged(built, audit(general={"text": [0, 1, 9]}, general_not_audited=("far",)))
    (arm,) = found.forgetting
    assert {delta.task: delta.flagged for delta in arm.tasks} == {"facts": 0, "text": 2}
    assert arm.without_flagged is None
    assert caveats(found, "was not measured without them")
    assert caveats(found, "Not audited for leakage, since their items could not be read: far.")


def test_a_task_that_is_flagged_whole_is_out_of_the_mean() -> None:
    built = whole_study()
    built.general_tasks["sums"] = ACCURACY
    for name, seed in (("base", 0), ("lora", 1), ("lora", 2), ("lora", 3)):
        built.finalist(name, seed, {"general:sums": right(0.9 if name == "base" else 0.5)})
        built.trials.pop()
    found = flagged(built, audit(general={"sums": range(200)}))
    (arm,) = found.forgetting
    assert arm.mean_change == pytest.approx(-0.2)
    assert arm.without_flagged is not None
    assert arm.without_flagged.mean_change == pytest.approx(0.0)
