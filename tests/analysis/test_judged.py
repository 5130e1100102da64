"""People's marks put to the replies that they are of, and what they make of a judge."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.arms.judged import HumanMarks, judge_trust, match_marks
from harness.analysis.statistics.bootstrap import named_generator
from harness.analysis.statistics.paired import Comparison, compare, conclude_primary
from harness.analysis.statistics.scores import Scores
from harness.records import CalibrationRow, ItemRow, marked_key

from .study_builder import METRIC, StudyBuilder, experiment

ITEMS, MARKED = 100, 40


class Judged:
    """Two arms alike to people; the judge gives lora one mark more. People marked 40 items."""

    def __init__(self, seeds: int = 1, favour: float = 1.0, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        made = StudyBuilder(experiment(seeds=list(range(1, seeds + 1))))
        self.rows: list[CalibrationRow] = []
        quality = generator.normal(3, 1, ITEMS)
        for arm, kind in (("lora", favour), ("few-shot", 0.0)):
            for run in range(1, seeds + 1):
                human = np.clip(np.round(quality + generator.normal(0, 0.5, ITEMS)), 1, 5)
                judged = human + kind + generator.normal(0, 0.3, ITEMS)
                made.finalist(arm, run, {"test": judged})
                for n in range(ITEMS):
                    reply = f"<think>so</think>{arm}  says {n}\nin run {run}"
                    made.items.append(
                        ItemRow(arm, run, f"test-{n}", f"row {n}", "?", reply, judged[n])
                    )
                    # Item by item another run is marked.
                    if n < MARKED and n % seeds == run - 1:
                        said = f"{arm} says {n} in run {run}"
                        self.rows.append(CalibrationRow(f"row {n}", said, float(human[n])))
        self.scores = Scores(made.build())

    def marks(self, rows: list[CalibrationRow] | None = None) -> HumanMarks:
        return match_marks(self.scores, METRIC, self.rows if rows is None else rows)

    def comparison(self, a: str = "lora", b: str = "few-shot") -> Comparison:
        found = compare(
            self.scores.vectors(a, METRIC, task="domain", split="test"),
            self.scores.vectors(b, METRIC, task="domain", split="test"),
            margin=0.1,
            level=0.95,
            resamples=1000,
            generator=np.random.default_rng(0),
        )
        assert found is not None
        return found


def corrected(study: Judged, marks: HumanMarks) -> Comparison:
    return marks.correct(study.comparison(), 1000, np.random.default_rng(0))


@pytest.mark.parametrize("seeds", [1, 3])
def test_marks_find_their_replies_whatever_spaces_and_thoughts(seeds: int) -> None:
    study = Judged(seeds)
    marks = study.marks()
    assert {arm: len(replies) for arm, replies in marks.replies.items()} == {
        "lora": MARKED,
        "few-shot": MARKED,
    }
    assert (marks.marked, marks.unmatched) == (2 * MARKED, 0)


def test_marks_of_no_reply_are_counted_and_left_out() -> None:
    study = Judged()
    strange = [
        CalibrationRow("row 1", "said by nobody", 5.0),
        CalibrationRow("row 2", "lora says 1 in run 1", 5.0),
    ]
    marks = study.marks([*study.rows, *strange])
    assert (marks.marked, marks.unmatched) == (2 * MARKED, 2)


def test_two_people_are_averaged() -> None:
    study = Judged()
    row = study.rows[0]
    other = CalibrationRow(row.item_id, row.reply, row.score + 1)
    marks = study.marks([row, other])
    assert marks.replies["lora"][0].human == row.score + 0.5
    assert marks.marked == 2


def test_what_the_judge_favours_is_taken_out() -> None:
    study = Judged()
    raw = conclude_primary(study.comparison())
    assert raw.outcome == "better"
    assert raw.difference == pytest.approx(1.0, abs=0.15)
    found = conclude_primary(corrected(study, study.marks()))
    assert found.outcome != "better"
    assert abs(found.difference) < 0.25
    assert found.interval.low < 0 < found.interval.high
    assert found.mean_a - found.mean_b == pytest.approx(found.difference)
    # No number of items would settle what people's marks leave open.
    assert found.items_needed is None
    assert "corrected by people's marks" in found.test


def test_too_few_marks_correct_nothing() -> None:
    study = Judged()
    marks = study.marks(study.rows[: MARKED + 5])  # all of one arm, five of the other
    plain = study.comparison()
    assert marks.correct(plain, 1000, np.random.default_rng(0)) is plain
    assert marks.contrasts == {}


def test_what_is_told_of_a_judge() -> None:
    study = Judged()
    marks = study.marks()
    corrected(study, marks)

    def generator(*names: str) -> np.random.Generator:
        return named_generator(0, *names)

    found = judge_trust(marks, primary=True, level=0.95, resamples=500, generator=generator)
    assert (found.metric, found.primary, found.marked) == (METRIC, True, 2 * MARKED)
    biases = {one.arm: one for one in found.biases}
    assert biases["lora"].bias == pytest.approx(1.0, abs=0.2)
    assert biases["few-shot"].bias == pytest.approx(0.0, abs=0.2)
    for one in found.biases:
        assert one.replies == MARKED
        assert one.interval is not None
        assert one.interval.low < one.bias < one.interval.high
    assert found.kappa is not None
    assert found.kappa_interval is not None
    assert found.kappa_interval.low < found.kappa < found.kappa_interval.high < 1
    assert found.correlation is not None
    assert found.correlation > 0.7
    (contrast,) = found.contrasts
    assert (contrast.a, contrast.b, contrast.marked) == ("lora", "few-shot", MARKED)
    assert contrast.judged == pytest.approx(1.0, abs=0.15)
    assert contrast.judged_interval.low > 0.5
    assert 0 < contrast.weight < 1
    assert MARKED < contrast.marks_needed <= ITEMS


def test_a_judge_without_marks_has_no_agreement() -> None:
    study = Judged()

    def generator(*names: str) -> np.random.Generator:
        return named_generator(0, *names)

    found = judge_trust(
        study.marks([]), primary=False, level=0.95, resamples=100, generator=generator
    )
    assert (found.kappa, found.correlation, found.kappa_interval) == (None, None, None)
    assert (found.marked, found.biases, found.contrasts) == (0, (), ())


def test_a_mark_is_found_by_its_key_where_a_spreadsheet_altered_the_reply() -> None:
    study = Judged()
    row = study.rows[0]
    altered = CalibrationRow(row.item_id, "#NAME?", row.score, marked_key(row.item_id, row.reply))
    marks = study.marks([altered])
    assert (marks.marked, marks.unmatched) == (1, 0)
    assert marks.replies["lora"][0].human == row.score


def test_what_is_told_is_the_whole_contrast_and_a_seed_left_out_leaves_its_marks_out() -> None:
    study = Judged(seeds=3)
    marks = study.marks()
    whole = corrected(study, marks)
    told = marks.contrasts["lora", "few-shot"]
    part = marks.correct(study.comparison(), 1000, np.random.default_rng(0), whole=False, without=1)
    assert marks.contrasts["lora", "few-shot"] is told
    assert told.corrected == whole.sampling.estimate != part.sampling.estimate
