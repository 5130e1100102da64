"""Money, time and memory: what each arm took, takes, and when it repays itself."""

from __future__ import annotations

from harness.findings import ArmSummary
from harness.report import wording
from harness.report.document import Block, Bullets, Column, Prose, Section, Table
from harness.report.material import Material
from harness.report.tables import ARM, Field, table


def cost_section(material: Material) -> Section:
    """Upfront, per request, per month, and the break-even volume."""
    rows = material.findings.arms
    if not rows:
        return Section("cost", "Cost", (Prose("Cost: not measured."),))
    blocks: list[Block] = [Prose(_assumptions(material)), _money(material)]
    sentences = tuple(wording.cell(found.sentence, 600) for found in material.findings.break_even)
    if sentences:
        blocks.append(Bullets("When does fine-tuning repay itself?", sentences))
    blocks.append(_size(rows))
    if fitted := _fitted(material):
        blocks.append(Bullets("How training went into memory", fitted))
    blocks.append(_memory(material))
    return Section("cost", "Cost", tuple(blocks))


def _money(material: Material) -> Table:
    def money(value: float | None) -> str:
        return wording.money(value, material.currency)

    fields: tuple[Field[ArmSummary], ...] = (
        ARM,
        Field("Upfront (search and training)", lambda row: money(row.cost.upfront)),
        Field("Per 1,000 requests", lambda row: money(row.cost.per_thousand_requests)),
        Field("Per month", lambda row: money(row.cost.monthly)),
        Field("Prompt tokens per request", lambda row: wording.decimal(row.cost.prompt_tokens)),
        Field("Answer tokens per request", lambda row: wording.decimal(row.cost.completion_tokens)),
    )
    return table("Money", fields, material.findings.arms)


def _size(rows: tuple[ArmSummary, ...]) -> Table:
    fields: tuple[Field[ArmSummary], ...] = (
        ARM,
        Field("All trials", lambda row: wording.seconds(row.cost.search_seconds)),
        Field("One final training", _training_time),
        Field("Examples trained on", _training_examples),
        Field("Tokens trained on", _training_tokens),
        Field("Peak memory, host", lambda row: wording.mebibytes(row.cost.peak_memory_mib)),
        Field("Peak memory, device", lambda row: wording.mebibytes(row.cost.peak_device_mib)),
        Field("Size of what is deployed", _deployed),
    )
    return table("Time and size", fields, rows)


def _training_time(row: ArmSummary) -> str:
    trained = row.kind != "prompt"
    return wording.seconds(row.cost.train_seconds) if trained else wording.NOT_APPLICABLE


def _training_examples(row: ArmSummary) -> str:
    examples = row.cost.train_examples
    return wording.NOT_APPLICABLE if examples is None else wording.count(examples)


def _training_tokens(row: ArmSummary) -> str:
    trained = row.kind != "prompt"
    return wording.count(row.cost.train_tokens) if trained else wording.NOT_APPLICABLE


def _deployed(row: ArmSummary) -> str:
    if row.cost.by_token:
        return "nothing: the server has it"
    size = row.cost.artifact_bytes
    return wording.file_size(size) if size else "the base only"


def _fitted(material: Material) -> tuple[str, ...]:
    """A sentence for each way in which an arm's finalists were laid out in memory."""
    # Figures, after the semicolon, differ a little from seed to seed.
    told = {
        (trial.arm, trial.training_memory.partition(";")[0]): trial.training_memory
        for trial in material.study.trials
        if trial.phase == "finalist" and trial.training_memory
    }
    return tuple(
        f"{wording.cell(arm)}: {wording.cell(sentence, 400)}."
        for (arm, _), sentence in told.items()
    )


def _memory(material: Material) -> Table | Prose:
    """Peak memory measured here beside what arithmetic gives for this and larger models."""
    found = material.findings.memory
    if not found:
        return Prose(
            "Memory for training larger models: not estimated. `sizes_billion: [7, 65]` under "
            "`cost:` in the experiment file names the sizes, in billions of parameters."
        )
    kinds = list(dict.fromkeys(row.kind for row in found))
    sizes = sorted({row.parameters for row in found})
    estimates = {(row.kind, row.parameters): row.mib for row in found}
    own = {row.cost.total_parameters for row in material.findings.arms}
    headings = (f"{_billions(n)}{' (this model)' if n in own else ''}" for n in sizes)
    return Table(
        "Memory to train: measured here, and by arithmetic",
        (
            Column("Way of training"),
            Column("Measured here, peak", numeric=True),
            *(Column(text, numeric=True) for text in headings),
        ),
        tuple(
            (
                wording.kind(kind),
                wording.mebibytes(_measured(material, kind)),
                *(wording.mebibytes(estimates.get((kind, size))) for size in sizes),
            )
            for kind in kinds
        ),
        ("The arithmetic counts weights, gradients and the optimiser's state, without activations, "
         "which grow with batch and text length. Measured is the whole process.",),
    )  # fmt: skip


def _measured(material: Material, kind: str) -> float | None:
    """Peak of the arms of a kind: of the device where it was measured, else of the host."""
    costs = [row.cost for row in material.findings.arms if row.kind == kind]
    device = [c.peak_device_mib for c in costs if c.peak_device_mib is not None]
    host = [c.peak_memory_mib for c in costs if c.peak_memory_mib is not None]
    return max(device or host, default=None)


def _billions(parameters: int) -> str:
    if parameters < 1_000_000_000:
        return f"{parameters / 1e6:.0f} M parameters"
    return f"{parameters / 1e9:.3g} B parameters"


def _assumptions(material: Material) -> str:
    price = material.declared("cost", "machine_per_hour")
    volume = material.declared("cost", "requests_per_month")
    if not isinstance(price, int | float) or not isinstance(volume, int | float):
        return "The experiment states no price, so time is not turned into money."
    return (
        f"Assumed: {wording.money(float(price), material.currency)} for an hour of the machine "
        f"and {wording.count(volume)} requests a month.{_charges(material)} Other assumptions "
        "need no new run."
    )


def _charges(material: Material) -> str:
    """What the servers of arms charge, a sentence each; empty where no arm asks one."""
    told = []
    for row in material.findings.arms:
        if row.cost.by_token:
            arm = wording.cell(row.arm)
            prices = [
                float(material.declared("arms", row.arm, "endpoint", key) or 0)
                for key in ("prompt_price", "completion_price")
            ]
            prompt, answer = (wording.money(price, material.currency) for price in prices)
            told.append(
                f" {arm} is charged {prompt} for a million prompt tokens and {answer} for a "
                "million answer tokens, as its server counts them."
                if any(prices)
                else f" No price is stated for {arm}, so its money is not known."
            )
    return "".join(told)
