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


class JudgeMetric(Measure):
    """The mark that a judge gives a reply: no function, but a model that is asked."""

    judge: str = Field(min_length=1, description="Name of the judge, under `judges`.")
    by: str = Field(
        "", description="The judge's model, as the report names it; filled in from `judges`."
    )
    rubric: str = Field("", description="What it judges by; filled in from `judges`.")
    shows_target: bool = Field(
        True, description="Whether it sees the right answer; filled in from `judges`."
    )
    weights: str = Field(
        "",
        description="Hash of the judge's weights, or model and address of its server; filled in "
        "when the study is planned.",
    )

    @property
    def own_name(self) -> str:
        """As the experiment writes it."""
        return f"judge:{self.judge}"

    @property
    def kind_in_words(self) -> str:
        """The model, and what it judges by."""
        return f"judged by {self.by}: {self.judge}"

    @property
    def marks(self) -> tuple[int, ...]:
        """The marks that it may give, the worst first."""
        return tuple(range(int(self.lowest), int(self.highest) + 1))

    def _usual_meaning(self) -> str:
        return (
            f"mark from {self.lowest:g} to {self.highest:g} that a model, {self.by}, gives under "
            f"the rubric “{self.rubric.strip()}”; higher is better, and it is no person's judgement"
        )

    def filled(self, declared: Mapping[str, Any]) -> Self:
        """The metric with what the experiment declares of its judge.

        Args:
            declared: field -> value, ``range`` for the ends of the scale.

        Raises:
            ValueError: the metric says otherwise.
        """
        if not self.higher_is_better:
            raise ValueError(f"{self.own_name}: higher marks are better; remove higher_is_better")
        given = {self._key(name): getattr(self, name) for name in self.model_fields_set}
        for key, value in declared.items():
            if key in given and given[key] not in (value, ""):
                raise ValueError(
                    f"{self.own_name}: {key} is not that of judges.{self.judge}; remove it here"
                )
        if "label" not in given:
            given["label"] = f"judged by {declared['by']}: {self.judge}"
        # Known by its weights only once the study is planned.
        return type(self).model_validate({**given, **declared})

    def weighing(self, weights: str) -> Self:
        """The metric, known by the judge's weights, or by its server."""
        return type(self).model_validate(
            {**self.model_dump(by_alias=True, exclude_unset=True), "weights": weights}
        )

    @classmethod
    def _key(cls, name: str) -> str:
        return cls.model_fields[name].alias or name

    def located(self, folder: Path) -> Self:
        """As it is: the experiment has filled it in.

        Raises:
            ValueError: it was not.
        """
        if not self.is_located:
            raise ValueError(f"{self.own_name}: no judge is declared under `judges`")
        return self

    @property
    def is_located(self) -> bool:
        """Whether the experiment filled it in."""
        return bool(self.rubric)

    def identity(self) -> dict[str, JsonValue]:
        """Who judges, by what, and how it is asked."""
        return {
            "judge": self.weights,
            "rubric": self.rubric,
            "range": list(self.bounds),
            "shows_target": self.shows_target,
            "prompt_version": PROMPT_VERSION,
            "names": list(self.metric_names),
        }

    def scorer(self) -> NoReturn:
        """Refuse: a judge is asked about all replies of a trial at once."""
        raise ValueError(f"{self.own_name} is no function of one item")


__all__ = ["PROMPT_VERSION", "JudgeMetric"]
