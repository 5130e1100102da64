"""A model's mark as a metric: ``judge:NAME``, of a judge that the experiment declares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Self

from pydantic import Field

from harness.measures.measure import Measure
from harness.records import JsonValue

# Raised when what a judge is asked changes, so that nothing is taken for an answer to it.
PROMPT_VERSION = 1
# What a pair compares with where that is no column.
TARGET = "target"
# Replies of which it is tried whether an instruction in them moves a judge.
PLEAS = 8


class JudgeMetric(Measure):
    """The mark that a judge gives a reply: no function, but a model that is asked."""

    judge: str = Field(min_length=1, description="Name of the judge, under `judges`.")
    by: str = Field(
        "", description="The judge's model, as the report names it; filled in from `judges`."
    )
    rubric: str = Field("", description="What it judges by; filled in from `judges`.")
    pairwise: str | None = Field(
        None, description="What a reply is compared with; filled in from `judges`."
    )
    shows_target: bool = Field(
        True, description="Whether it sees the right answer; filled in from `judges`."
    )
    weights: str = Field(
        "",
        description="Hash of the judge's weights and of what its chat template is told, or model "
        "and address of its server; filled in when the study is planned.",
    )
    max_new_tokens: int | None = Field(
        None, description="Longest reply of a judge on a server; filled in from `judges`."
    )

    @property
    def own_name(self) -> str:
        """The judge's name."""
        return self.judge

    @property
    def as_written(self) -> str:
        """As the experiment writes it."""
        return f"judge:{self.judge}"

    @property
    def kind_in_words(self) -> str:
        """The model, and what it judges by."""
        rubric = " ".join(self.rubric.split())
        return f"judged by the model {self.by} under “{rubric}”, which is no person's judgement"

    @property
    def reads_rows(self) -> bool:
        """Whether a reply is compared with what stands in a column."""
        return self.pairwise not in (None, TARGET)

    @property
    def marks(self) -> tuple[int, ...]:
        """The marks that it may give, the worst first; of pairs none."""
        if self.pairwise is not None:
            return ()
        return tuple(range(int(self.lowest), int(self.highest) + 1))

    def _usual_meaning(self) -> str:
        if self.pairwise is None:
            return f"mark of a reply from {self.lowest:g} to {self.highest:g}"
        other = "the right answer" if self.pairwise == TARGET else self.pairwise
        return f"share of replies that are preferred to {other}, ties as half, in both orders"

    def filled(self, declared: Mapping[str, Any]) -> Self:
        """The metric with what the experiment declares of its judge.

        Args:
            declared: field -> value, ``range`` for the ends of the scale.

        Raises:
            ValueError: the metric says otherwise.
        """
        if not self.higher_is_better:
            raise ValueError(f"{self.as_written}: higher marks are better; remove higher_is_better")
        given = {self._key(name): getattr(self, name) for name in self.model_fields_set}
        for key, value in declared.items():
            if key in given and given[key] not in (value, ""):
                raise ValueError(
                    f"{self.as_written}: {key} is not that of judges.{self.judge}; remove it here"
                )
        if "label" not in given:
            given["label"] = f"judged by {declared['by']}: {self.judge}"
        if given.get("names") is None:
            given["names"] = (self.own_name,)
        # Known by its weights only once the study is planned.
        filled = type(self).model_validate({**given, **declared})
        return filled if filled.meaning else filled._with(meaning=filled._usual_meaning())

    def weighing(self, weights: str) -> Self:
        """The metric, known by the judge's weights, or by its server."""
        return self._with(weights=weights)

    def _with(self, **changes: str) -> Self:
        plain = self.model_dump(by_alias=True, exclude_unset=True)
        return type(self).model_validate(plain | changes)

    @classmethod
    def _key(cls, name: str) -> str:
        return cls.model_fields[name].alias or name

    def located(self, folder: Path) -> Self:
        """As it is: the experiment has filled it in.

        Raises:
            ValueError: it was not.
        """
        if not self.is_located:
            raise ValueError(f"{self.as_written}: no judge is declared under `judges`")
        return self

    @property
    def is_located(self) -> bool:
        """Whether the experiment filled it in."""
        return bool(self.rubric)

    def identity(self) -> dict[str, JsonValue]:
        """Who judges, by what, and how it is asked."""
        return {
            "judge": self.weights,
            **({} if self.max_new_tokens is None else {"max_new_tokens": self.max_new_tokens}),
            "rubric": self.rubric,
            "range": list(self.bounds),
            "shows_target": self.shows_target,
            "pairwise": self.pairwise,
            "prompt_version": PROMPT_VERSION,
            "names": list(self.metric_names),
        }

    def scorer(self) -> NoReturn:
        """Refuse: a judge is asked about all replies of a trial at once."""
        raise ValueError(f"{self.as_written} is no function of one item")


__all__ = ["PROMPT_VERSION", "TARGET", "JudgeMetric"]
