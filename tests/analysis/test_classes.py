"""Recall, precision and confusions, counted by hand."""

from __future__ import annotations

from harness.analysis.whole_study import analyse
from harness.answers.answer import INVALID
from harness.answers.metrics import ABSENT
from harness.findings import ArmClasses, ClassScore
from harness.records import ItemRow

from .study_builder import StudyBuilder, experiment

# Right answer, reply: of a 3 right and 1 taken for b; of b 1 right, 2 taken for a, 1 no label.
REPLIES = [*[("a", "a")] * 3, ("a", "b"), ("b", "b"), *[("b", "a")] * 2, ("b", "neither of them")]


def classes(*runs: list[tuple[str, str]]) -> ArmClasses:
    made = StudyBuilder(experiment(seeds=list(range(1, len(runs) + 1))))
    made.search("few-shot", [0.5]).search("lora", [0.8])
    for seed, replies in enumerate(runs, 1):
        made.finalist("lora", seed, {"test": [float(t == r) for t, r in replies]})
        made.items += [
            ItemRow("lora", seed, f"test-{n}", f"row {n}", target, reply, float(target == reply))
            for n, (target, reply) in enumerate(replies)
        ]
    (arm,) = analyse(made.build(), resamples=100, sensitivity=False).classes
    return arm


def test_recall_and_precision() -> None:
    arm = classes(REPLIES)
    assert arm.arm == "lora"
    assert arm.classes == (
        ClassScore("label", "a", 4, recall=3 / 4, precision=3 / 5),
        ClassScore("label", "b", 4, recall=1 / 4, precision=1 / 2),
    )
    assert arm.classes[0].f1 == 2 * 0.6 * 0.75 / 1.35


def test_confusions_name_an_item() -> None:
    wrong = {(pair.target, pair.replied): pair for pair in classes(REPLIES).confusions}
    assert {key: pair.items for key, pair in wrong.items()} == {
        ("b", "a"): 2,
        ("a", "b"): 1,
        ("b", INVALID): 1,
    }
    assert wrong["b", "a"].example == "test-5"


def test_replies_are_read_as_they_are_scored() -> None:
    arm = classes([("a", '"A"'), ("a", "a."), ("b", "B\nbecause")])
    assert [score.recall for score in arm.classes] == [1.0, 1.0]
    assert arm.confusions == ()


def test_seeds_are_averaged() -> None:
    arm = classes([("a", "b"), ("b", "b")], [("a", "a"), ("b", "b")])
    a, b = arm.classes
    assert (a.items, a.recall, a.precision) == (1, 0.5, 1.0)
    assert (b.items, b.recall, b.precision) == (1, 1.0, 2 / 3)
    assert arm.confusions[0].items == 0.5


def test_a_class_that_is_never_given_has_no_precision() -> None:
    arm = classes([("a", "a"), ("b", "a")])
    assert arm.classes[1] == ClassScore("label", "b", 1, recall=0.0, precision=None)
    assert arm.classes[1].f1 == 0.0


def test_fields_of_an_object_are_told_apart_and_those_without_classes_left_out() -> None:
    task = {
        "instruction": "Read the order.",
        "answer": {
            "kind": "json",
            "column": "answer",
            "schema": {
                "type": "object",
                "properties": {
                    "size": {"enum": ["small", "large"]},
                    "gift": {"type": "boolean"},
                    "pieces": {"type": "integer"},
                    "name": {"type": "string"},
                },
                "required": ["size"],
            },
        },
    }
    made = StudyBuilder(experiment(seeds=[1], task=task))
    made.search("few-shot", [0.5]).search("lora", [0.8])
    made.finalist("lora", 1, {"test": [1.0, 0.0]})
    target = '{"size":"small","gift":true,"pieces":3,"name":"Ada"}'
    replies = [target, '{"size":"large","gift":true}']
    made.items += [
        ItemRow("lora", 1, f"test-{n}", f"row {n}", target, reply, 1.0)
        for n, reply in enumerate(replies)
    ]
    (arm,) = analyse(made.build(), resamples=100, sensitivity=False).classes
    assert {(s.field, s.value, s.recall) for s in arm.classes} == {
        ("size", "small", 0.5),
        ("gift", "true", 1.0),
    }
    assert [(c.field, c.target, c.replied) for c in arm.confusions] == [("size", "small", "large")]


def test_sets_of_labels_are_counted_label_by_label() -> None:
    task = {"instruction": "Tag it.", "answer": {"kind": "labels", "column": "tags",
                                                  "labels": ["red", "blue", "new"]}}  # fmt: skip
    made = StudyBuilder(experiment(seeds=[1], task=task))
    made.search("few-shot", [0.5]).search("lora", [0.8])
    made.finalist("lora", 1, {"test": [1.0, 0.0, 0.0]})
    pairs = [('["red", "new"]', '["new", "red"]'), ('["red"]', '["blue"]'), ("[]", '["new"]')]
    made.items += [
        ItemRow("lora", 1, f"test-{n}", f"row {n}", target, reply, 0.0)
        for n, (target, reply) in enumerate(pairs)
    ]
    (arm,) = analyse(made.build(), resamples=100, sensitivity=False).classes
    assert {s.value: (s.items, s.recall, s.precision) for s in arm.classes} == {
        "red": (2, 0.5, 1.0),
        "new": (1, 1.0, 0.5),
    }
    assert {(c.target, c.replied) for c in arm.confusions} == {
        ("red", ABSENT),
        (ABSENT, "blue"),
        (ABSENT, "new"),
    }
