"""Equal texts with different answers: whatever replies, it cannot be right in all of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.records import Example, system_of
from harness.spec import TaskSpec
from harness.spec.task import template_fields
from harness.wording import listed, per_cent

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Contradictions:
    """Texts that stand with several answers."""

    texts: int
    """Number of such texts."""
    rows: int
    """Number of rows with these texts."""
    best: float
    """The largest share of all rows that can be answered right."""
    best_test: float
    """The same of the test rows."""
    shown: tuple[str, ...]
    """Some of the texts, each as its rows and their answers."""

    def sentence(self) -> str:
        """What was found; empty where nothing was."""
        if not self.texts:
            return ""
        more = " …" if self.texts > len(self.shown) else ""
        return (
            f"{self.texts} text(s) stand with different answers, in {self.rows} rows "
            f"({'; '.join(self.shown)}{more}): no model can be right in more than "
            f"{per_cent(self.best, 1)} of all rows, and {per_cent(self.best_test, 1)} of the test "
            "rows; mend the answers, or show the model what tells such rows apart"
        )


NO_CONTRADICTIONS = Contradictions(0, 0, 1.0, 1.0, ())


def find_contradictions(
    task: TaskSpec, splits: Mapping[str, Sequence[Example]], source_of: Mapping[str, str]
) -> Contradictions:
    """The texts, equal to the letter as the task's template shows them, with several answers.

    Free text is left out: it may be right in many ways.

    Args:
        splits: split or out-of-domain set -> its examples.
        source_of: split or out-of-domain set -> where its examples stand, if not in the training
            source.
    """
    if task.answer.is_free_text:
        return NO_CONTRADICTIONS
    fields = template_fields(task.template)
    of_text: defaultdict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    of_test: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for split, examples in splits.items():
        source = Path(source_of.get(split, source_of["train"])).name
        for example in examples:
            text = (*(example.inputs[field] for field in fields), system_of(example), example.tools)
            # Two ways of getting to one answer contradict each other in nothing.
            meant = task.answer.meaning(example.answer)
            of_text[text].append((f"{source}:{example.line}", meant))
            if split == "test":
                of_test[text].append(meant)
    contradicting = [rows for rows in of_text.values() if len({answer for _, answer in rows}) > 1]
    if not contradicting:
        return NO_CONTRADICTIONS
    return Contradictions(
        texts=len(contradicting),
        rows=sum(map(len, contradicting)),
        best=_best([[answer for _, answer in rows] for rows in of_text.values()]),
        best_test=_best(list(of_test.values())),
        shown=tuple(map(_as_said, contradicting[:_SHOWN])),
    )


def _best(answers: Sequence[Sequence[str]]) -> float:
    """Share of rows that are right if each text is given its most frequent answer."""
    right = sum(max(Counter(answer).values()) for answer in answers)
    return right / max(1, sum(map(len, answers)))


def _as_said(rows: Sequence[tuple[str, str]]) -> str:
    """One row of each of two answers."""
    first = {answer: place for place, answer in reversed(rows)}
    return listed(f"{place} {answer!r:.40}" for answer, place in list(first.items())[-2:])
