"""Whether training examples can be drawn out of a fine-tuned model again."""

from __future__ import annotations

from harness import wording
from harness.findings import Memorisation
from harness.report.document import Block, Bullets, Unmeasured
from harness.report.sections.material import Material
from harness.report.tables import ARM, Field, table
from harness.wording import PER_CENT, PLAIN


def memorisation_blocks(material: Material) -> list[Block]:
    """A sentence an arm, and the numbers behind it."""
    measures = material.findings.memorisation
    if not measures:
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
    return [Bullets("Was the training text memorised?", tuple(map(_told, measures))), numbers]


def _texts(row: Memorisation) -> str:
    return f"{wording.count(row.items)} / {wording.count(row.unseen_items)}"


def _told(row: Memorisation) -> str:
    arm = wording.cell(row.arm)
    shown = (
        f"it completes {PER_CENT.score(row.verbatim)} of the training texts word by word and "
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
