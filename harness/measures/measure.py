"""What every metric that a user brings has in common: what is declared of it, and its values."""

from __future__ import annotations

import contextlib
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from harness.answers.metrics import METRICS, MetricInfo
from harness.records import JsonValue
from harness.records.frozen_spec import FrozenSpec

Values = Mapping[str, float]
"""Name of a metric -> value."""
Scorer = Callable[[Mapping[str, JsonValue], str, str], Values]
"""The function (item, reply, target) -> values; raises :class:`UnscoredError`."""
_LONGEST_NAME = 60
_ROUNDING = 1e-9


class UnscoredError(Exception):
    """One item has no value, and why."""


class Measure(FrozenSpec, ABC):
    """A metric that is not the product's own: what is declared of its values."""

    gives_several: ClassVar[bool] = False
    """Whether it can have several values, each with a name."""

    names: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Names of its values, where there are several or its own will not do.",
    )
    label: str = Field("", description="The metric as a reader sees it; its name if not given.")
    meaning: str = Field("", description="What a value says, for the reader: a sentence's end.")
    higher_is_better: bool = Field(True, description="Whether greater values are better.")
    bounds: tuple[float | None, float | None] = Field(
        (0.0, 1.0),
        alias="range",
        description="Least and greatest value; `null` where there is none. A value beyond is an "
        "error of the metric, and its item is not scored.",
    )
    version: str = Field("", description="A word for its state, shown in the report.")

    @field_validator("names")
    @classmethod
    def _plain_names(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in names or ():
            _check_name(name)
        if len(names or ()) > 1 and not cls.gives_several:
            raise ValueError("names: it has one value; name it once, or stand it in the list again")
        twice = sorted({name for name in names or () if (names or ()).count(name) > 1})
        if twice:
            raise ValueError(f"names: {', '.join(twice)} stands twice; give each value its own")
        return names

    @model_validator(mode="after")
    def _room_between_bounds(self) -> Self:
        if not self.lowest < self.highest:
            raise ValueError(f"range: {self.lowest:g} is not less than {self.highest:g}")
        if self.label and len(self.names or ()) > 1:
            raise ValueError(
                f"label: {self.label!r} cannot be that of several values; leave it out, and let "
                "`names` say what each is"
            )
        return self

    @property
    def lowest(self) -> float:
        """The least value, minus infinity where there is none."""
        return -math.inf if self.bounds[0] is None else self.bounds[0]

    @property
    def highest(self) -> float:
        """The greatest value, infinity where there is none."""
        return math.inf if self.bounds[1] is None else self.bounds[1]

    @property
    @abstractmethod
    def own_name(self) -> str:
        """What it is called where ``names`` does not say."""

    @property
    def is_per_item(self) -> bool:
        """Whether each item has a value."""
        return True

    @property
    def reads_rows(self) -> bool:
        """Whether it is handed the columns of an item's row."""
        return False

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of its values, in order."""
        return self.names or (self.own_name,)

    @property
    def infos(self) -> tuple[MetricInfo, ...]:
        """What a reader and the analysis need of each of its values."""
        single, better = len(self.metric_names) == 1, "higher" if self.higher_is_better else "lower"
        # Whatever the user calls it, the reader is told what it is.
        meaning = f"{self.meaning or 'a metric of this study'}; {self.kind_in_words}"
        if "better" not in meaning and "best" not in meaning:
            meaning += f"; {better} is better"
        return tuple(
            MetricInfo(
                name,
                (self.label if single else "") or name,
                meaning,
                higher_is_better=self.higher_is_better,
                lowest=self.lowest,
                highest=self.highest,
                per_item=self.is_per_item,
            )
            for name in self.metric_names
        )

    @property
    @abstractmethod
    def kind_in_words(self) -> str:
        """What it is and where it comes from, as in ``computed by closeness of metrics.py``."""

    @abstractmethod
    def located(self, folder: Path) -> Self:
        """The metric as a study keeps it: complete, and known by its content.

        Args:
            folder: what relative paths are taken from.

        Raises:
            ValueError: it cannot be used; says why and what to do.
        """

    @property
    @abstractmethod
    def is_located(self) -> bool:
        """Whether :meth:`located` made it."""

    @abstractmethod
    def identity(self) -> dict[str, JsonValue]:
        """All that can change a value: what a score's key holds of it."""

    @abstractmethod
    def scorer(self) -> Scorer:
        """What gives values, ready to be asked.

        Raises:
            ValueError: it cannot be used here; says why and what to do.
        """

    def checked(self, result: object) -> dict[str, float]:
        """The values that a function's result gives.

        Raises:
            UnscoredError: it is not what was declared.
        """
        names = self.metric_names
        if isinstance(result, Mapping):
            if self.names is None:
                raise UnscoredError(
                    f"gives a mapping of {_listed(result)}, and a single number was declared; "
                    "list its names (names: [...])"
                )
            given = set(map(str, result))
            if given != set(names):
                raise UnscoredError(
                    f"gives values called {_listed(result)}, and {_listed(names)} were declared"
                )
            return {name: self._number(result[name], f"{name}: ") for name in names}
        if len(names) > 1:
            raise UnscoredError(f"gives {_shown(result)}, not a mapping of {_listed(names)}")
        return {names[0]: self._number(result, "")}

    def _number(self, value: object, lead: str) -> float:
        # NumPy's and PyTorch's numbers hand over Python's.
        if not isinstance(value, Real | str | None) and hasattr(value, "item"):
            with contextlib.suppress(ValueError, RuntimeError, TypeError):
                value = value.item()
        if not isinstance(value, Real):
            raise UnscoredError(f"{lead}gives {_shown(value)}; give a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise UnscoredError(f"{lead}gives {number}, which cannot be averaged; give a number")
        # What arithmetic adds to a bound is no fault.
        within = min(max(number, self.lowest), self.highest)
        if math.isclose(number, within, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
            number = within
        if number != within:
            raise UnscoredError(
                f"{lead}gives {number:g}, outside its range of {_bound(self.lowest)} to "
                f"{_bound(self.highest)}; declare the right one (range, or lowest and highest)"
            )
        return number


def _check_name(name: str) -> None:
    if name in METRICS:
        raise ValueError(f"{name!r} is the name of a metric of the product; choose another")
    # lm-eval writes ``metric,filter`` and ``metric_stderr``; MLflow takes no other marks.
    plain = re.fullmatch(r"[\w.-]([\w. -]*[\w.-])?", name) and not name.endswith("_stderr")
    if not plain or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"{name!r} is no name for a metric: up to {_LONGEST_NAME} letters, digits, dots, "
            "dashes, underscores and spaces within, and no _stderr at its end"
        )


def check_own_name(name: str) -> None:
    """Check what a metric is called by itself.

    Raises:
        ValueError: it cannot be a metric's name.
    """
    try:
        _check_name(name)
    except ValueError as error:
        raise ValueError(f"{error} (names: [...])") from None


def _bound(value: float) -> str:
    return f"{value:g}" if math.isfinite(value) else ("-inf" if value < 0 else "inf")


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names)) or "nothing"


def _shown(value: object) -> str:
    text = repr(value)
    kind = "nothing (None)" if value is None else f"{type(value).__name__} {text[:80]}"
    return f"{kind}{'…' if value is not None and len(text) > 80 else ''}"


__all__ = ["Measure", "Scorer", "UnscoredError", "Values", "check_own_name"]
