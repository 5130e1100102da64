"""What the compared arms made of every class: recall, precision, and what was taken for what."""

from __future__ import annotations

from collections.abc import Sequence

from harness import wording
from harness.answers.answer import INVALID
from harness.answers.metrics import ABSENT
from harness.findings import ArmClasses, ClassScore, Confusion
from harness.report.document import Block, Column, Example, Examples, Section, Table
from harness.report.sections.material import Material
from harness.report.tables import Field, table
from harness.wording import PER_CENT

HEADING = "Class by class"
# More classes than this make a matrix that no page holds, or one that hides what matters.
MATRIX_CLASSES = 12
CLEAR_CLASSES = 8
WORST_PAIRS = 5
SHOWN_EXAMPLES = 2


def classes_section(material: Material) -> Section:
    """Tables of the compared arms; without blocks where answers have no classes."""
    arms = _compared(material)
    blocks: list[Block] = []
    for field in dict.fromkeys(score.field for arm in arms for score in arm.classes):
        what = "" if field == "label" else f" of {wording.cell(field)}"
        blocks.append(_scores(arms, field, what))
        blocks += [_matrix(arm, field, what) for arm in arms if _has_matrix(arm, field)]
    blocks += [_worst(arm) for arm in arms if arm.confusions]
    blocks += _examples(material, arms)
    return Section("classes", HEADING, tuple(blocks))


def _compared(material: Material) -> list[ArmClasses]:
    """The two arms of the primary contrast; else all."""
    arms = material.findings.classes
    contrast = material.findings.primary
    if contrast is None:
        return list(arms)
    of = {arm.arm: arm for arm in arms}
    return [of[name] for name in (contrast.a, contrast.b) if name in of]


def _scores(arms: Sequence[ArmClasses], field: str, what: str) -> Table:
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
    return Table(
        f"Right answers{what} by class",
        (Column("Class"), Column("Items", numeric=True), *headings),
        rows,
        (
            "Recall: of the items of a class, the share that was given it. Precision: of the items "
            "that were given it, the share that are of it. Means over seeds.",
        ),
        folded=len(rows) > MATRIX_CLASSES,
    )


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
        folded=len(scores) > CLEAR_CLASSES,
    )


def _worst(arm: ArmClasses) -> Table:
    fields: tuple[Field[Confusion], ...] = (
        Field("Right class", lambda pair: _class(pair.target), numeric=False),
        Field("Replied", lambda pair: _class(pair.replied), numeric=False),
        Field("Items", lambda pair: _items(pair.items)),
    )
    caption = f"What {wording.cell(arm.arm)} takes for what most often"
    of = {(score.field, score.value): score.items for score in arm.classes}
    share: Field[Confusion] = Field(
        "Of its items", lambda pair: _share(pair, of.get((pair.field, pair.target)))
    )
    return table(caption, (*fields, share), arm.confusions[:WORST_PAIRS])


def _share(pair: Confusion, items: int | None) -> str:
    return PER_CENT.score(pair.items / items) if items else wording.NOT_APPLICABLE


def _examples(material: Material, arms: Sequence[ArmClasses]) -> list[Block]:
    """An item of each of the worst pairs, with what the arm replied."""
    samples = material.samples
    if samples is None:
        return []
    place = {doc_hash: at for at, doc_hash in enumerate(samples.doc_hashes)}
    runs = {arm.arm: arm.runs[0] for arm in samples.arms if arm.runs}
    blocks: list[Block] = []
    for arm in arms:
        shown = tuple(
            Example(
                item=f"{_class(pair.target)} taken for {_class(pair.replied)}",
                text=wording.clean(samples.texts[at]),
                target=wording.clean(samples.targets[at]),
                replies=((wording.cell(arm.arm), wording.clean(runs[arm.arm].outputs[at] or "")),),
            )
            for pair in arm.confusions[:SHOWN_EXAMPLES]
            if arm.arm in runs and (at := place.get(pair.example, -1)) >= 0
        )
        if shown:
            blocks.append(Examples(f"Mistakes of {wording.cell(arm.arm)}", shown))
    return blocks


def _class(value: str) -> str:
    named = {INVALID: "no valid answer", ABSENT: "not named"}.get(value)
    return named or wording.cell(value, 40) or "(empty)"


def _items(count: float) -> str:
    return f"{count:,.0f}" if abs(count - round(count)) < 0.05 else f"{count:,.1f}"


__all__ = ["classes_section"]
