"""Whether training examples can be drawn out of a fine-tuned model again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness import wording
from harness.findings import Memorisation
from harness.records import items_of
from harness.report.document import Block, Bullets, Unmeasured
from harness.report.sections.material import Material
from harness.report.tables import ARM, Field, table
from harness.spec import BroughtArm
from harness.spec.starts import rows_elsewhere
from harness.wording import PER_CENT, PLAIN


def memorisation_blocks(material: Material) -> list[Block]:
    """A sentence an arm, and the numbers behind it."""
    measures = material.findings.memorisation
    told = (*map(_told, measures), *_not_measured(material))
    if not told:
        return [
            Unmeasured(
                "Memorising word by word",
                "`memorisation_items: 64` in the experiment file asks each fine-tuned arm to "
                "complete that many training texts.",
            )
        ]
    fields: tuple[Field[Memorisation], ...] = (
        ARM,
        Field("Training texts", lambda row: PER_CENT.score(row.verbatim)),
        Field("Unseen texts", lambda row: PER_CENT.score(row.verbatim_unseen)),
        Field("Base, training texts", lambda row: PER_CENT.score(row.verbatim_base)),
        *Field[Memorisation].change(
            "Excess", PER_CENT, lambda row: row.excess, lambda row: row.excess_interval
        ),
        *Field[Memorisation].change(
            "Familiarity (bits per byte)",
            PLAIN,
            lambda row: row.familiarity,
            lambda row: row.familiarity_interval,
        ),
        Field("Texts (training / unseen)", _texts, brief=False),
    )
    if len({row.arm for row in measures}) < len(measures):
        fields = (*fields[:1], Field("Rows", _rows, numeric=False), *fields[1:])
    sentences = Bullets("Was the training text memorised?", told)
    if not measures:
        return [sentences]
    numbers = table(
        "Texts completed word by word after their first half",
        fields,
        measures,
        notes=(
            "Excess: completed on training texts beyond unseen ones, less what the base shows of "
            "it. Familiarity: how much likelier training made training texts than unseen ones; "
            "above 0 the model has seen them.",
        ),
        folded=True,
    )
    return [sentences, numbers]


def _not_measured(material: Material) -> Iterator[str]:
    """Of arms that were trained elsewhere, or before, why nothing is said, a sentence each."""
    audit = material.study.experiment.data.audit.brought
    validation = material.study.experiment.splits.get("validation")
    arms = material.experiment.arms
    for name, rows in rows_elsewhere(arms).items():
        if not material.experiment.memorisation_items:
            continue
        if rows is None:
            here = isinstance(arms[name], BroughtArm)
            what = "not measured" if here else "of its training before the study not measured"
            yield f"{wording.cell(name)}: {what}; what it was trained on is not known."
        elif len(items_of(audit.get(name, {}).get("validation", {}))) == validation:
            yield (
                f"{wording.cell(name)}: not measured; every validation text is among those that it "
                "was trained on."
            )


def _texts(row: Memorisation) -> str:
    return f"{wording.count(row.items)} / {wording.count(row.unseen_items)}"


def _rows(row: Memorisation) -> str:
    return "the study's" if row.rows is None else wording.cell(Path(row.rows).name)


def _told(row: Memorisation) -> str:
    arm = wording.cell(row.arm)
    whose = (
        "training texts" if row.rows is None else f"texts of {wording.cell(Path(row.rows).name)}"
    )
    shown = (
        f"it completes {PER_CENT.score(row.verbatim)} of the {whose} word by word and "
        f"{PER_CENT.score(row.verbatim_unseen)} of unseen ones"
    )
    if not row.memorised:
        return f"{arm}: not shown to have memorised; {shown}."
    if row.excess_interval.low > 0:
        return f"{arm}: memorised; {shown}, more than chance explains."
    return (
        f"{arm}: memorised in part; {shown}, and it finds training texts likelier than unseen ones "
        f"by {PLAIN.gap(row.familiarity)} bits per byte."
    )
