"""What arms made of every class of the right answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClassScore:
    """What an arm made of one class. Counts are means over its seeds."""

    field: str
    """Field of the answer; ``label`` of a label."""
    value: str
    """The class."""
    items: int
    """Number of test items whose right answer it is."""
    recall: float
    """Share of these items that the arm gave it."""
    precision: float | None
    """Share of the items that the arm gave it of which it is right; None where it gave it to none.
    """

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision; 0 where either is."""
        precision = self.precision or 0.0
        both = precision + self.recall
        return 2 * precision * self.recall / both if both else 0.0


@dataclass(frozen=True, slots=True)
class Confusion:
    """A class that was taken for another."""

    field: str
    """Field of the answer; ``label`` of a label."""
    target: str
    """The right class."""
    replied: str
    """The class of the reply; :data:`harness.answers.answer.INVALID` where it is none."""
    items: float
    """Number of items, a mean over seeds."""
    example: str
    """Hash of an item of the first run of which it is true; empty where only others have one."""


@dataclass(frozen=True, slots=True)
class ArmClasses:
    """What an arm made of every class."""

    arm: str
    """Name of the arm."""
    classes: tuple[ClassScore, ...]
    """The classes that occur as right answers, the most frequent of each field first."""
    confusions: tuple[Confusion, ...]
    """Wrong pairs, the most frequent first."""


__all__ = ["ArmClasses", "ClassScore", "Confusion"]
