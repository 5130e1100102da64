"""What holds for every kind of answer."""

from __future__ import annotations

import click
import pytest
from pydantic import TypeAdapter

from harness.answers import KINDS, Answer, AnyAnswer
from harness.answers.cells import AnswerError
from harness.answers.metrics import METRICS, macro_f1
from harness.cli.init import command
from tests.answers.examples import EXAMPLES, KindExample

every_kind = pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.answer.kind)


def test_every_kind_is_tried_here_and_offered_by_init() -> None:
    assert [example.answer.kind for example in EXAMPLES] == list(KINDS)
    (option,) = (parameter for parameter in command.params if parameter.name == "kind")
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS.values())
def test_the_first_metric_can_be_primary(kind: type[Answer]) -> None:
    assert kind.metrics[0].per_item
    assert kind.form_metric in kind.metrics
    assert all(METRICS[metric.name] is metric for metric in kind.metrics)
    assert kind.metrics_reason.startswith(kind.metrics[0].name)


@every_kind
def test_a_row_is_read_or_refused(example: KindExample) -> None:
    reader = example.answer.row_reader()
    assert reader.read({"y": example.cell}) == example.target
    # What training learns to write is read as itself.
    assert reader.read({"y": example.target}) == example.target
    assert example.answer.columns_read == ("y",)
    for cell in (None, "", float("nan")):
        with pytest.raises(AnswerError, match=r"^y: the value is (missing|empty); fill it in"):
            reader.read({"y": cell})


@every_kind
def test_a_reply_has_a_value_of_each_metric_in_its_range(example: KindExample) -> None:
    read, target = example.answer.reader(example.known), example.target
    per_item = {metric.name for metric in example.answer.metrics if metric.per_item}
    for reply in (target, "", "something else"):
        reading = read(target, reply)
        assert set(reading.metrics) == per_item
        for name, value in reading.metrics.items():
            assert METRICS[name].lowest <= value <= METRICS[name].highest
    best = read(target, f"<think>Hm.</think>\n{target}\n")
    assert best.metrics == {
        name: METRICS[name].highest if METRICS[name].higher_is_better else METRICS[name].lowest
        for name in per_item
    }
    if best.classes:
        assert macro_f1([best.classes]) == 1.0


@every_kind
def test_an_answer_is_written_and_read_back(example: KindExample) -> None:
    answer = example.answer
    assert TypeAdapter(AnyAnswer).validate_python(answer.drafted()) == answer
    assert answer.judged_by()["kind"] == answer.kind
    assert "y" not in answer.judged_by().values()
    assert answer.instruction("y", is_reply=False, is_told=False)
    assert set(answer.draft_notes) <= {
        field.alias or name for name, field in type(answer).model_fields.items()
    }
    counted = answer.count_classes([example.target])
    assert all(set(counter.values()) == {1} for counter in counted.values())
