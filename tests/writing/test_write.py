"""Writing an instruction, against an answering model and a writer that are plain functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from harness.records import Example, Writing, WritingTask
from harness.writing.copying import quoted
from harness.writing.headroom import chance_of, wordings_of
from harness.writing.reflection import Written, instruction_in
from harness.writing.rows import AnsweredRow, UnusableError, divided
from harness.writing.write import Ground, write_instruction

OWN = "Good or bad?"
BETTER = "Say positive where something is great."
BEST = f"{BETTER} Say negative elsewhere."


def rows(count: int) -> tuple[Example, ...]:
    return tuple(
        Example(f"r{n}", {"text": f"parcel {n} was {'great' if n % 2 else 'late'}"},
                "positive" if n % 2 else "negative", f"r{n}")
        for n in range(count)
    )  # fmt: skip


@dataclass(slots=True)
class Models:
    """Who answers, a quarter right under the user's own, and who writes."""

    proposals: Sequence[str | UnusableError] = (BETTER, BEST)
    asked: list[tuple[str, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    breaks: Exception | None = None

    def answer(self, instruction: str, items: Sequence[Example]) -> list[AnsweredRow]:
        if self.breaks is not None and self.told:
            raise self.breaks
        if "unaskable" in instruction:
            raise UnusableError("longer than the model reads")
        self.asked += [(instruction, item.id) for item in items]
        return [self._row(instruction, item) for item in items]

    def _row(self, instruction: str, item: Example) -> AnsweredRow:
        number = int(item.id[1:])
        helped = "great" in instruction and number % 2
        formed = "exactly in the form" in instruction and number % 6 == 0
        right = "elsewhere" in instruction or helped or formed or number % 4 == 3
        reply = item.answer if right else "neither"
        faults = () if right else (f"right is {item.answer}",)
        return AnsweredRow(item.inputs["text"], item.answer, reply, float(bool(right)), faults, 10)

    def write(self, request: str) -> Written:
        self.told.append(request)
        said = self.proposals[min(len(self.told), len(self.proposals)) - 1]
        if isinstance(said, UnusableError):
            raise said
        return Written(f"```\n{said}\n```", 50)


def task(**changes: Any) -> WritingTask:
    values: dict[str, Any] = {
        "by": "gepa", "writer": "w", "reflector": None, "asked": "a", "asked_writer": "b",
        "max_new_tokens": 64, "minibatch": 4, "rows": 24, "most_rows": 600,
    }  # fmt: skip
    return WritingTask(**{**values, **changes})


def ground(train: Sequence[Example], **changes: Any) -> Ground:
    values: dict[str, Any] = {
        "own": OWN, "plain": "Classify.", "train": tuple(train), "sign": 1.0, "perfect": 1.0,
        "writer": "w", "seed": 7,
    }  # fmt: skip
    return Ground(**{**values, **changes})


def write(models: Models, train: Sequence[Example] = (), **changes: Any) -> Writing:
    return write_instruction(
        ground(train or rows(80)), task(**changes), models.answer, models.write
    )


def test_it_goes_on_from_what_helped_until_all_is_right() -> None:
    models = Models()
    found = write(models)
    assert (found.text, found.score) == (BEST, 1.0)
    assert found.own_score is not None
    assert found.own_score < 0.5
    assert found.ended == "every row that is compared is answered right"
    assert [one.text for one in found.proposals] == [BETTER, BEST]
    first, second = found.proposals
    assert (first.parent, second.parent) == (0, 1)
    assert first.status == second.status == "taken up"
    assert first.score is not None
    assert first.score < (second.score or 0)
    assert "right is" in first.feedback
    assert first.tokens < second.tokens <= found.tokens


def test_what_is_asked_twice_under_one_instruction_is_counted_once() -> None:
    models = Models()
    found = write(models)
    assert found.rows_answered == len(set(models.asked))
    assert found.answering_tokens == 10 * found.rows_answered
    assert found.writing_tokens == 50 * len(models.told)


def test_the_same_seed_goes_the_same_way_and_another_another() -> None:
    one, same = Models(), Models()
    assert write(one) == write(same)
    assert one.asked == same.asked
    other = Models()
    write_instruction(ground(rows(80), seed=8), task(), other.answer, other.write)
    assert other.asked != one.asked


def test_rows_that_are_compared_are_shown_to_no_writer() -> None:
    models = Models([f"Wording {n}." for n in range(40)])
    write(models, most_rows=2000)
    pools = divided(rows(80), 24, np.random.default_rng([7, 3]))
    told = "\n".join(models.told)
    assert len(models.told) > 3
    assert not [item for item in pools.compared if f"{item.inputs['text']}\n" in told]
    assert [item for item in pools.shown if f"{item.inputs['text']}\n" in told]


def test_groups_are_divided_whole() -> None:
    train = [Example(f"r{n}", {"text": "x"}, "a", f"g{n // 5}") for n in range(40)]
    pools = divided(train, 15, np.random.default_rng(0))
    assert {item.group for item in pools.compared}.isdisjoint(item.group for item in pools.shown)


def test_a_proposal_that_nobody_can_be_asked_by_costs_itself() -> None:
    found = write(Models(["This is unaskable.", BETTER, BEST]))
    assert found.proposals[0].status == "unusable"
    assert found.proposals[0].why == "longer than the model reads"
    assert found.text == BEST


def test_a_writer_that_only_repeats_itself_ends_the_writing() -> None:
    found = write(Models([BETTER]))
    assert found.text == BETTER
    assert [one.status for one in found.proposals[1:]] == ["unusable"] * 5
    assert "5 proposals in a row could not be used" in found.ended


def test_what_ends_all_writing_ends_it_at_once() -> None:
    models = Models([BETTER, UnusableError("the cap is reached", final=True)])
    found = write(models)
    assert len(models.told) == 2
    assert (found.text, found.ended) == (BETTER, "the cap is reached")


def test_a_fault_of_the_answering_model_is_no_matter_of_a_proposal() -> None:
    with pytest.raises(OSError, match="gone"):
        write(Models(breaks=OSError("gone")))


def test_no_headroom_no_spending() -> None:
    class Same(Models):
        def _row(self, instruction: str, item: Example) -> AnsweredRow:
            return AnsweredRow("x", item.answer, "neither", 0.0, (), 10)

    models = Same()
    found = write(models)
    assert found.text is None
    assert not found.headroom.moves
    assert found.headroom.p_value == 1.0
    assert len(models.told) == 1
    assert found.rows_answered == 5 * 24 + 2 * 4


def test_a_budget_that_shows_nothing_is_left_alone() -> None:
    models = Models()
    found = write(models, most_rows=60)
    assert models.asked == []
    assert "8 are the least" in found.ended
    assert found.tokens == 0


def test_tokens_of_writing_count_as_rows() -> None:
    models = Models([f"Wording {n}." for n in range(900)])
    found = write(models, most_rows=400)
    spent = found.rows_answered + found.writing_tokens / 10
    assert 400 <= spent <= 400 + 24 + 8 + 5
    assert found.trials(20) == -(-found.tokens // 200)


def test_lower_can_be_better() -> None:
    models = Models()

    def negated(instruction: str, items: Sequence[Example]) -> list[AnsweredRow]:
        return [
            AnsweredRow(row.shown, row.right, row.reply, row.value - 1, row.faults, row.tokens)
            for row in models.answer(instruction, items)
        ]

    lower = ground(rows(80), sign=-1.0, perfect=0.0)
    found = write_instruction(lower, task(), negated, models.write)
    assert (found.text, found.score) == (BEST, 0.0)
    assert found.own_score is not None
    assert found.own_score > 0.5


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("Here:\n```\nDo it.\n```\nBye", "Do it."),
        ("```text\nDo it.\n```", "Do it."),
        ("```Do it.```", "Do it."),
        ("Do it.", "Do it."),
        ("```\nDo it, and then", "Do it, and then"),
        ("<think>```\nno\n```</think>```\nDo it.\n```", "Do it."),
        ("```\nDo\x00 it.\n```", "Do it."),
    ],
)
def test_an_instruction_is_read_from_what_a_writer_says(reply: str, text: str) -> None:
    assert instruction_in(reply) == text


@pytest.mark.parametrize(
    "reply", ["", "```\n\n```", "12 34 !!", "<think>never ends", "very " * 10_000]
)
def test_what_is_no_instruction_is_refused(reply: str) -> None:
    with pytest.raises(UnusableError):
        instruction_in(reply)


def test_a_quotation_is_told_once_and_whole() -> None:
    row = "One two three, four five six seven eight nine ten."
    train = [Example("r", {"text": row}, "a b", "r")]
    told = f"Do it. {row} And so on."
    assert quoted(told, OWN, train) == ("one two three four five six seven eight nine ten",)
    assert quoted(told, f"As in: {row}", train) == ()
    assert quoted("One two three four five six seven.", OWN, train) == ()


def test_wordings_are_distinct_and_the_users_own_is_first() -> None:
    assert wordings_of(OWN, OWN)[0] == OWN
    assert len(set(wordings_of(OWN, "Classify."))) == 4
    assert wordings_of("", "Classify.")[0] == ""


def test_chance_is_called_chance_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    alike = [rng.binomial(1, 0.4, (24, 5)).astype(np.float64) for _ in range(60)]
    level = sum(chance_of(values, rng) <= 0.1 for values in alike) / len(alike)
    assert level <= 0.2
    better = np.zeros((24, 5), dtype=np.float64)
    better[:, 4] = 1
    assert chance_of(better, rng) < 0.001
