"""Money and time: what each arm took, takes, and when it repays itself."""

from __future__ import annotations

from harness.report import wording
from harness.report.document import Block, Bullets, Column, Prose, Section, Table
from harness.report.material import Material


def cost_section(material: Material) -> Section:
    """Upfront, per request, per month, and the break-even volume."""
    rows = material.findings.arms
    if not rows:
        return Section("cost", "Cost", (Prose("Cost: not measured."),))
    currency = material.currency
    blocks: list[Block] = [Prose(_assumptions(material))]
    blocks.append(
        Table(
            "Money",
            (
                Column("Arm"),
                Column("Upfront (search and training)", numeric=True),
                Column("Per 1,000 requests", numeric=True),
                Column("Per month", numeric=True),
                Column("Prompt tokens per request", numeric=True),
                Column("Answer tokens per request", numeric=True),
            ),
            tuple(
                (
                    wording.cell(row.arm),
                    wording.money(row.cost.upfront, currency),
                    wording.money(row.cost.per_thousand_requests, currency),
                    wording.money(row.cost.monthly, currency),
                    wording.decimal(row.cost.prompt_tokens),
                    wording.decimal(row.cost.completion_tokens),
                )
                for row in rows
            ),
        )
    )
    sentences = tuple(wording.cell(found.sentence, 600) for found in material.findings.break_even)
    if sentences:
        blocks.append(Bullets("When does fine-tuning repay itself?", sentences))
    blocks.append(
        Table(
            "Time and size",
            (
                Column("Arm"),
                Column("All trials", numeric=True),
                Column("One final training", numeric=True),
                Column("Tokens trained on", numeric=True),
                Column("Peak memory, host", numeric=True),
                Column("Peak memory, device", numeric=True),
                Column("Size of what is deployed", numeric=True),
            ),
            tuple(
                (
                    wording.cell(row.arm),
                    wording.seconds(row.cost.search_seconds),
                    *(
                        (wording.NOT_APPLICABLE, wording.NOT_APPLICABLE)
                        if row.kind == "prompt"
                        else (
                            wording.seconds(row.cost.train_seconds),
                            wording.count(row.cost.train_tokens),
                        )
                    ),
                    wording.mebibytes(row.cost.peak_memory_mib),
                    wording.mebibytes(row.cost.peak_device_mib),
                    wording.file_size(row.cost.artifact_bytes)
                    if row.cost.artifact_bytes
                    else "the base only",
                )
                for row in rows
            ),
        )
    )
    return Section("cost", "Cost", tuple(blocks))


def _assumptions(material: Material) -> str:
    price = material.declared("cost", "machine_per_hour")
    volume = material.declared("cost", "requests_per_month")
    if not isinstance(price, int | float) or not isinstance(volume, int | float):
        return "The experiment states no price, so time is not turned into money."
    return (
        f"Assumed: {wording.money(float(price), material.currency)} for an hour of the machine "
        f"and {wording.count(volume)} requests a month. Other assumptions need no new run."
    )
