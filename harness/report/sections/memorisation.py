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
    """A sentence for arms of which the same is said, and the numbers behind it."""
    measures = material.findings.memorisation
    alike: dict[str, list[str]] = {}
    for row in measures:
        alike.setdefault(_told(row), []).append(wording.cell(row.arm))
    told = (
        *(f"{wording.listed(arms)}: {words}" for words, arms in alike.items()),
        *_not_measured(material),
    )
    if not told:
        return [
            Unmeasured(
                "Memorising word by word",
                "`memorisation_items: 64` asks each fine-tuned arm to complete that many training "
                "texts.",
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
    """What is said of an arm, without its name."""
    whose = (
        "training texts" if row.rows is None else f"texts of {wording.cell(Path(row.rows).name)}"
    )
    shown = (
        f"{PER_CENT.score(row.verbatim)} of the {whose} completed word by word, "
        f"{PER_CENT.score(row.verbatim_unseen)} of unseen ones"
    )
    if not row.memorised:
        return f"not shown to have memorised; {shown}."
    if row.excess_interval.low > 0:
        return f"memorised; {shown}, more than chance explains."
    return (
        f"memorised in part; {shown}, and training texts are likelier than unseen ones by "
        f"{PLAIN.gap(row.familiarity)} bits per byte."
    )
