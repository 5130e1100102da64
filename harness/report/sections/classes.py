"""What the compared arms made of every class: recall, precision, and what was taken for what."""

from __future__ import annotations

from collections.abc import Sequence

from harness import wording
from harness.answers.answer import INVALID
from harness.answers.metrics import ABSENT
from harness.findings import ArmClasses, ClassScore, Samples
from harness.report.document import Block, Column, Section, Table
from harness.report.sections.material import Material
from harness.report.tables import Field, shortened, table
from harness.wording import PER_CENT

HEADING = "Class by class"
# More classes than this make a matrix that no page holds, or one that hides what matters.
MATRIX_CLASSES = 12
# Of more classes than this, those to look at first; the others stand in the appendix.
SHOWN_CLASSES = 5
MOST_APART = 3  # of them, where the arms differ most; the rest is where either is worst
WORST_PAIRS = 5
EXCERPT = 120  # characters of an item's text


def classes_section(material: Material) -> Section:
    """Tables of the compared arms; without blocks where answers have no classes."""
    arms = _compared(material)
    blocks: list[Block] = []
    for field in dict.fromkeys(score.field for arm in arms for score in arm.classes):
        what = "" if field == "label" else f" of {wording.cell(field)}"
        blocks += _scores(arms, field, what)
        blocks += [_matrix(arm, field, what) for arm in arms if _has_matrix(arm, field)]
    if any(arm.confusions for arm in arms):
        blocks.append(_mistakes(material.samples, arms))
    return Section("classes", HEADING, tuple(blocks))


def _compared(material: Material) -> list[ArmClasses]:
    """The two arms of the primary contrast; else all."""
    arms = material.findings.classes
    contrast = material.findings.primary
    if contrast is None:
        return list(arms)
    of = {arm.arm: arm for arm in arms}
    return [of[name] for name in (contrast.a, contrast.b) if name in of]


def _scores(arms: Sequence[ArmClasses], field: str, what: str) -> list[Table]:
    """Every class; of many, those to look at first, and all in the appendix."""
    known = [{score.value: score for score in arm.classes if score.field == field} for arm in arms]
    values = list(dict.fromkeys(value for scores in known for value in scores))
    headings = [
        Column(f"{name} {wording.cell(arm.arm)}", numeric=True, brief=name != "Precision")
        for arm in arms
        for name in ("Recall", "Precision", "F1")
    ]
    rows = tuple(
        (
            _class(value),
            wording.count(max(scores[value].items for scores in known if value in scores)),
            *(cell for scores in known for cell in _cells(scores.get(value))),
        )
        for value in values
    )
    columns = (Column("Class"), Column("Items", numeric=True), *headings)
    caption = f"Right answers{what} by class"
    note = (
        "Recall: of the items of a class, the share that was given it. Precision: of the items "
        "that were given it, the share that are of it. Means over seeds."
    )
    every = Table(caption, columns, rows, (note,))
    if len(rows) <= SHOWN_CLASSES:
        return [every]
    f1 = [[scores[value].f1 for scores in known if value in scores] for value in values]
    lowest = sorted(range(len(rows)), key=lambda n: min(f1[n]))
    apart = sorted(lowest, key=lambda n: min(f1[n]) - max(f1[n])) if len(arms) > 1 else []
    places = list(dict.fromkeys((*apart[:MOST_APART], *lowest)))[:SHOWN_CLASSES]
    which = "differs most, then those where it is lowest" if apart else "is lowest"
    return shortened(every, places, f"Those whose F1 {which}.")


def _cells(score: ClassScore | None) -> tuple[str, str, str]:
    if score is None:
        return (wording.NOT_MEASURED,) * 3
    precision = PER_CENT.score(score.precision, wording.NOT_APPLICABLE)
    return PER_CENT.score(score.recall), precision, PER_CENT.score(score.f1)


def _has_matrix(arm: ArmClasses, field: str) -> bool:
    return 2 <= sum(score.field == field for score in arm.classes) <= MATRIX_CLASSES


def _matrix(arm: ArmClasses, field: str, what: str) -> Table:
    scores = [score for score in arm.classes if score.field == field]
    wrong = {(c.target, c.replied): c.items for c in arm.confusions if c.field == field}
    values = [score.value for score in scores]
    # Classes that are nobody's right answer, then replies that are none.
    others = {replied for _, replied in wrong if replied not in values}
    columns = [*values, *sorted(others - {INVALID}), *sorted(others & {INVALID})]
    rows = tuple(
        (
            _class(score.value),
            *(
                _items(
                    score.recall * score.items
                    if value == score.value
                    else wrong.get((score.value, value), 0.0)
                )
                for value in columns
            ),
        )
        for score in scores
    )
    return Table(
        f"Replies of {wording.cell(arm.arm)}{what}: a row a right class, a column a replied one",
        (Column("Right class"), *(Column(_class(value), numeric=True) for value in columns)),
        rows,
        folded=True,
    )


_Pair = tuple[str, str, str]  # field, right class, replied one


def _mistakes(samples: Samples | None, arms: Sequence[ArmClasses]) -> Table:
    """The pairs that some arm mistakes most often, each with an item."""
    mistaken = [{(c.field, c.target, c.replied): c for c in arm.confusions} for arm in arms]
    items = {(c.field, c.value): c.items for arm in arms for c in arm.classes}
    most: dict[_Pair, float] = {}
    for pairs in mistaken:
        for pair, found in pairs.items():
            most[pair] = max(most.get(pair, 0.0), found.items)
    worst = sorted(most, key=lambda pair: -most[pair])[:WORST_PAIRS]

    def taken(arm: int) -> Field[_Pair]:
        def cell(pair: _Pair) -> str:
            found = mistaken[arm].get(pair)
            return _items(found.items if found else 0.0)

        return Field(wording.cell(arms[arm].arm), cell)

    fields: list[Field[_Pair]] = [
        Field("Right class", lambda pair: _class(pair[1]), numeric=False),
        Field("Taken for", lambda pair: _class(pair[2]), numeric=False),
        Field("Items", lambda pair: wording.count(items.get(pair[:2]))),
        *(taken(arm) for arm in range(len(arms))),
    ]
    if samples is not None:
        texts = dict(zip(samples.doc_hashes, samples.texts, strict=True))

        def item(pair: _Pair) -> str:
            found = (pairs[pair].example for pairs in mistaken if pair in pairs)
            shown = (wording.cell(texts[example], EXCERPT) for example in found if example in texts)
            return next(shown, wording.NOT_APPLICABLE)

        fields.append(Field("Such as", item, numeric=False, brief=False))
    return table("What is taken for what most often", fields, worst)


def _class(value: str) -> str:
    named = {INVALID: "no valid answer", ABSENT: "not named"}.get(value)
    return named or wording.cell(value, 40) or "(empty)"


def _items(count: float) -> str:
    return f"{count:,.0f}" if abs(count - round(count)) < 0.05 else f"{count:,.1f}"


__all__ = ["classes_section"]
