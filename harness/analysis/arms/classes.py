"""What each arm made of every class of the right answers."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from harness.analysis.statistics.scores import Scores
from harness.answers.answer import ReplyReader
from harness.answers.metrics import ABSENT
from harness.findings import ArmClasses, ClassScore, Confusion
from harness.records import ItemRow

LABEL = "label"
# Wrong pairs of an arm that are kept: enough for the whole matrix of a dozen classes.
MOST_CONFUSIONS = 200


def class_scores(scores: Scores) -> tuple[ArmClasses, ...]:
    """Recall, precision and confusions of every finalist's replies to the test, by arm.

    Replies are read as they were when they were scored. Empty where answers have no classes.
    """
    runs: defaultdict[str, defaultdict[int, list[ItemRow]]] = defaultdict(lambda: defaultdict(list))
    for row in scores.study.items:
        runs[row.arm][row.seed].append(row)
    answer = scores.experiment.task.answer
    fields = answer.count_classes({row.target for row in scores.study.items}).keys()
    if not fields:
        return ()
    read = scores.reply_reader()
    found = (_arm(arm, runs[arm], read, fields) for arm in scores.experiment.arms if arm in runs)
    return tuple(arm for arm in found if arm.classes)


def _arm(
    arm: str, runs: Mapping[int, list[ItemRow]], read: ReplyReader, fields: Collection[str]
) -> ArmClasses:
    pairs: Counter[tuple[str, str, str]] = Counter()
    examples: dict[tuple[str, str, str], str] = {}
    first = min(runs)
    for seed, rows in runs.items():
        for row in rows:
            for field, (target, replied) in read(row.target, row.output).classes.items():
                pair = _pair(field, target, replied, fields)
                if pair is None:
                    continue
                pairs[pair] += 1
                if seed == first:
                    examples.setdefault(pair, row.doc_hash)
    wrong = sorted(
        (pair for pair in pairs if pair[1] != pair[2]), key=lambda pair: (-pairs[pair], pair)
    )
    return ArmClasses(
        arm=arm,
        classes=tuple(_classes(pairs, len(runs))),
        confusions=tuple(
            Confusion(*pair, pairs[pair] / len(runs), examples.get(pair, ""))
            for pair in wrong[:MOST_CONFUSIONS]
        ),
    )


def _pair(
    field: str, target: str, replied: str, fields: Collection[str]
) -> tuple[str, str, str] | None:
    """Field, right class and replied one; None where the field has no classes.

    Of a set of labels each label is a field, which an answer has or has not: one that neither
    target nor reply has is nothing to count.
    """
    if field in fields:
        return field, _plain(field, target), _plain(field, replied)
    if LABEL in fields and (target, replied) != (ABSENT, ABSENT):
        return LABEL, target, replied
    return None


def _plain(field: str, value: str) -> str:
    """A class as text: a text of a JSON object's field stands in quotes."""
    return str(json.loads(value)) if field != LABEL and value.startswith('"') else value


def _classes(pairs: Counter[tuple[str, str, str]], runs: int) -> Iterable[ClassScore]:
    asked: Counter[tuple[str, str]] = Counter()
    given: Counter[tuple[str, str]] = Counter()
    for (field, target, replied), count in pairs.items():
        asked[field, target] += count
        given[field, replied] += count
    asked.pop((LABEL, ABSENT), None)
    for field, value in sorted(asked, key=lambda one: (one[0], -asked[one], one[1])):
        right = pairs[field, value, value]
        times = given[field, value]
        yield ClassScore(
            field=field,
            value=value,
            items=round(asked[field, value] / runs),
            recall=right / asked[field, value],
            precision=right / times if times else None,
        )


__all__ = ["MOST_CONFUSIONS", "class_scores"]
