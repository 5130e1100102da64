"""How the scores of a metric are written: as they are, or in per cent where they are shares."""

from __future__ import annotations

from dataclasses import dataclass

from harness.findings import Interval
from harness.report.wording import MINUS, NOT_MEASURED, is_number

SHARES = frozenset({"exact_match", "valid", "valid_json", "acc", "acc_norm"})


@dataclass(frozen=True, slots=True)
class Scale:
    """Scores multiplied by ``factor``, with ``decimals`` and a unit.

    Scores and their differences have units of their own: per cent, and percentage points.
    """

    factor: float
    decimals: int
    unit: str
    difference_unit: str

    def scaled(self, value: float | None) -> float | None:
        """A score as it is drawn; None where there is none."""
        return value * self.factor if is_number(value) else None

    def score(self, value: float | None, missing: str = NOT_MEASURED) -> str:
        """One score."""
        return missing if not is_number(value) else self._number(value) + self.unit

    def difference(self, value: float | None, missing: str = NOT_MEASURED) -> str:
        """A signed difference; what rounds to zero has no sign."""
        return missing if not is_number(value) else self._signed(value) + self.difference_unit

    def gap(self, value: float | None, missing: str = NOT_MEASURED) -> str:
        """The size of a difference, such as a margin."""
        return missing if not is_number(value) else self._number(value) + self.difference_unit

    def interval(self, found: Interval | None, missing: str = NOT_MEASURED) -> str:
        """Bounds of a score, in the score's unit."""
        if found is None or not (is_number(found.low) and is_number(found.high)):
            return missing
        return f"{self._number(found.low)} to {self._number(found.high)}"

    def difference_interval(self, found: Interval | None, missing: str = NOT_MEASURED) -> str:
        """Bounds of a difference, in the difference's unit."""
        if found is None or not (is_number(found.low) and is_number(found.high)):
            return missing
        return f"{self._signed(found.low)} to {self._signed(found.high)}"

    def axis(self, text: str, difference: bool = False) -> str:
        """An axis label with its unit."""
        unit = (self.difference_unit if difference else self.unit).strip()
        return f"{text} ({unit})" if unit else text

    def _number(self, value: float) -> str:
        text = f"{value * self.factor:.{self._places(value)}f}"
        return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)

    def _signed(self, value: float) -> str:
        text = f"{value * self.factor:+.{self._places(value)}f}"
        return text[1:] if float(text) == 0 else text.replace("-", MINUS)

    def _places(self, value: float) -> int:
        return self.decimals if abs(value * self.factor) < 10 else 1


PLAIN = Scale(factor=1, decimals=3, unit="", difference_unit="")
PER_CENT = Scale(factor=100, decimals=1, unit=" %", difference_unit=" points")


def scale_of(metric: str, share: bool | None = None) -> Scale:
    """The scale of a metric; ``share`` says so where the metric's name does not."""
    return PER_CENT if (metric in SHARES if share is None else share) else PLAIN


__all__ = ["PER_CENT", "PLAIN", "Scale", "scale_of"]
