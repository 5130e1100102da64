"""Money, time and memory: what each arm took, takes, and when it repays itself."""

from __future__ import annotations

from harness import wording
from harness.findings import ArmSummary, Interval
from harness.report.document import Block, Bullets, Column, Prose, Section, Table, Unmeasured
from harness.report.sections.material import Material
from harness.report.tables import ARM, Field, table
from harness.spec.kinds import kind_info
from harness.spec.served_arms import endpoints

RANGE = (
    "In brackets: 95 % interval of the mean time of a request, widened to hold each turn of timing."
)


def cost_section(material: Material) -> Section:
    """Upfront, per request, per month, and the break-even volume."""
    rows = material.findings.arms
    known = (row.cost.upfront for row in rows), (row.cost.per_thousand_requests for row in rows)
    if not any(wording.is_number(money) for costs in known for money in costs):
        missing = Unmeasured(
            "Cost", "It is reckoned from the final runs, whose requests are timed."
        )
        return Section("cost", "Cost", (missing,))
    blocks: list[Block] = [Prose(_assumptions(material)), _money(material)]
    blocks += _break_even(material)
    blocks.append(_size(rows))
    if fitted := _fitted(material):
        blocks.append(Bullets("How training went into memory", fitted, folded=True))
    if not material.prompts_only:
        blocks.append(_memory(material))
    return Section("cost", "Cost", tuple(blocks))


def _break_even(material: Material) -> list[Block]:
    """When the compared arm repays itself; of others in the appendix."""
    compared = {row.arm for row in material.compared() if row is not None}
    if contrast := material.findings.primary:
        compared |= {contrast.a, contrast.b}
    told: dict[bool, list[str]] = {}
    for row in material.findings.break_even:
        told.setdefault(row.arm not in compared, []).append(wording.cell(row.sentence, 600))
    return [
        Bullets("When does fine-tuning repay itself?", tuple(sentences), folded=folded)
        for folded, sentences in sorted(told.items())
    ]


def _money(material: Material) -> Table:
    def money(value: float | None, within: Interval | None = None) -> str:
        shown = wording.money(value, material.currency)
        if within is None:
            return shown
        low, high = (wording.money(end, "").strip() for end in (within.low, within.high))
        return f"{shown} ({low} to {high})"

    fields: tuple[Field[ArmSummary], ...] = (
        ARM,
        Field("Upfront (search and training)", lambda row: money(row.cost.upfront)),
        Field(
            "Per 1,000 requests",
            lambda row: money(row.cost.per_thousand_requests, row.cost.per_thousand_range),
        ),
        Field("Per month", lambda row: money(row.cost.monthly)),
        Field("Prompt tokens per request", lambda row: wording.decimal(row.cost.prompt_tokens)),
        Field("Answer tokens", lambda row: wording.decimal(row.cost.completion_tokens)),
    )
    rows = material.findings.arms
    ranged = any(row.cost.per_thousand_range for row in rows)
    return table("Money", fields, rows, notes=(RANGE,) if ranged else ())


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
    if any(row.cost.added_seconds > 0 for row in rows):
        later: Field[ArmSummary] = Field(
            "Scored later", lambda row: wording.seconds(row.cost.added_seconds)
        )
        fields = (*fields[:2], later, *fields[2:])
    return table("Time and size", fields, rows, folded=True)


def _training_time(row: ArmSummary) -> str:
    kind = kind_info(row.kind)
    if kind.brought:
        declared = row.cost.train_seconds
        return f"{wording.seconds(declared)} (declared)" if declared else "not known"
    trained = kind.trains or not kind.language_model
    return wording.seconds(row.cost.train_seconds) if trained else wording.NOT_APPLICABLE


def _training_examples(row: ArmSummary) -> str:
    examples = row.cost.train_examples
    return wording.NOT_APPLICABLE if examples is None else wording.count(examples)


def _training_tokens(row: ArmSummary) -> str:
    if not kind_info(row.kind).trains:
        return wording.NOT_APPLICABLE
    tokens = row.cost.train_tokens
    return "not known" if tokens is None else wording.count(tokens)


def _deployed(row: ArmSummary) -> str:
    if row.cost.by_token:
        return "nothing: the server has it"
    size = row.cost.artifact_bytes
    return wording.file_size(size) if size else "the base only"


def _fitted(material: Material) -> tuple[str, ...]:
    """A sentence for each way in which an arm's finalists were laid out in memory."""
    # Figures, after the semicolon, differ a little from seed to seed.
    layouts = {
        (trial.arm, trial.training_memory.partition(";")[0]): trial.training_memory
        for trial in material.study.trials
        if trial.phase == "finalist" and trial.training_memory
    }
    return tuple(
        f"{wording.cell(arm)}: {wording.cell(sentence, 400)}."
        for (arm, _), sentence in layouts.items()
    )


def _memory(material: Material) -> Table | Unmeasured:
    """Peak memory measured here beside what arithmetic gives for this and larger models."""
    memory = material.findings.memory
    if not memory:
        return Unmeasured(
            "Memory for training larger models",
            "`sizes_billion: [7, 65]` under `cost:` names the sizes, in billions of parameters.",
        )
    kinds = list(dict.fromkeys(row.kind for row in memory))
    sizes = sorted({row.parameters for row in memory})
    estimates = {(row.kind, row.parameters): row.mib for row in memory}
    own = {row.cost.total_parameters for row in material.findings.arms}
    headings = (
        f"{wording.large(n)} parameters{' (this model)' if n in own else ''}" for n in sizes
    )
    return Table(
        "Memory to train: measured here, and by arithmetic",
        (
            Column("Way of training"),
            Column("Measured here, peak", numeric=True),
            *(Column(text, numeric=True) for text in headings),
        ),
        tuple(
            (
                kind_info(kind).label,
                wording.mebibytes(_measured(material, kind)),
                *(wording.mebibytes(estimates.get((kind, size))) for size in sizes),
            )
            for kind in kinds
        ),
        ("The arithmetic counts weights, gradients and the optimiser's state, without activations, "
         "which grow with batch and text length. Measured is the whole process.",),
        folded=True,
    )  # fmt: skip


def _measured(material: Material, kind: str) -> float | None:
    """Peak of the arms of a kind: of the device where it was measured, else of the host."""
    costs = [row.cost for row in material.findings.arms if row.kind == kind]
    device = [c.peak_device_mib for c in costs if c.peak_device_mib is not None]
    host = [c.peak_memory_mib for c in costs if c.peak_memory_mib is not None]
    return max(device or host, default=None)


def _assumptions(material: Material) -> str:
    cost = material.experiment.cost
    return (
        f"Assumed: {wording.money(cost.machine_per_hour, material.currency)} for an hour of the "
        f"machine and {wording.count(cost.requests_per_month)} requests a month; others need no "
        f"new run.{_charges(material)}"
    )


def _charges(material: Material) -> str:
    """What the servers of arms charge, a sentence each; empty where no arm asks one."""
    asked, charges = endpoints(material.experiment), []
    for row in material.findings.arms:
        if row.cost.by_token:
            arm, endpoint = wording.cell(row.arm), asked[row.arm]
            prices = (endpoint.prompt_price, endpoint.completion_price)
            prompt, answer = (wording.money(price, material.currency) for price in prices)
            charges.append(
                f" {arm} is charged {prompt} for a million prompt tokens and {answer} for a "
                "million answer tokens, as its server counts them."
                if any(prices)
                else f" No price is stated for {arm}, so its money is not known."
            )
    return "".join(charges)
