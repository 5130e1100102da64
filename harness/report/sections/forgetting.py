"""What fine-tuning does beside the task: forgetting, and the task on other data."""

from __future__ import annotations

import math

from harness import wording
from harness.findings import Forgetting, GeneralDelta, TaskDivergence
from harness.report.document import Block, Bullets, Column, Prose, Section, Table, Unmeasured
from harness.report.naming import metric_name
from harness.report.scales import scale_of
from harness.report.sections.material import BASE, Material
from harness.report.tables import ARM, Field, table
from harness.spec.kinds import kind_info
from harness.wording import PER_CENT, PLAIN, Scale

FORGETTING = {
    "kept": "kept",
    "forgot": "lost",
    "lost_ability": "one ability lost",
    "inconclusive": "undecided",
}
NOT_COUNTED = {"metric": "no margin", "chance": "base at chance", "room": "too little to lose"}


def general_section(material: Material) -> Section:
    """What the base could do, before training and after it."""
    heading = "What was forgotten"
    measures = material.findings.forgetting
    blocks: list[Block] = []
    if not measures:
        blocks.append(
            Unmeasured(
                "General ability after training",
                "`general: {suite: general-mini}` asks every fine-tuned arm and the base.",
            )
        )
    else:
        blocks.append(
            Prose(
                "The same general questions before and after training. Kept: the whole interval "
                f"stays within the accepted loss of {PER_CENT.margin(measures[0].margin)}, no seed "
                "alone lost more, and no task is shown to have lost more."
            )
        )
        quantised = [row.arm for row in material.findings.arms if kind_info(row.kind).quantises]
        if quantised:
            names = wording.listed([wording.cell(name) for name in quantised])
            blocks.append(
                Prose(
                    f"The change of {names} holds what the 4-bit weights cost, too: the base is in "
                    "full precision."
                )
            )
        blocks.append(_general_summary(measures))
        if not any(wording.is_number(row.divergence) for row in measures):
            blocks.append(
                Unmeasured(
                    "Distance from the base (Kullback-Leibler divergence)",
                    "It takes a general suite with a text task, scored in bits per byte.",
                )
            )
        blocks += [
            _general_tests(measures),
            _general_tasks(material, measures),
            _unflagged(material, measures),
        ]
    if material.findings.general_unscored:
        names = wording.listed([wording.cell(name) for name in material.findings.general_unscored])
        blocks.append(Prose(f"Not scored, and so not part of the judgement: {names}."))
    references = [wording.cell(name) for name in material.experiment.reference_arms()]
    if references:
        names = wording.listed(references)
        blocks.append(
            Prose(f"Does not apply to {names}: without a language model nothing can be forgotten.")
        )
    blocks += _task_inputs(material)
    return Section("general", heading, tuple(blocks))


def _general_summary(measures: tuple[Forgetting, ...]) -> Table:
    needed = any(row.items_needed is not None for row in measures)
    moved = any(wording.is_number(row.divergence) for row in measures)
    distance: tuple[Field[Forgetting], ...] = (
        Field("Distance from the base", lambda row: PLAIN.score(row.divergence)),
        Field("Interval", lambda row: PLAIN.interval(row.divergence_interval), brief=False),
    )
    fields: tuple[Field[Forgetting], ...] = (
        ARM,
        *Field[Forgetting].change(
            "Mean change", PER_CENT, lambda row: row.mean_change, lambda row: row.interval
        ),
        Field("Ability", _ability, numeric=False),
        *((Field("Items per task to settle it", _needed, brief=False),) if needed else ()),
        Field(
            "Worst task",
            lambda row: wording.cell(row.worst_task) or wording.NOT_APPLICABLE,
            numeric=False,
        ),
        *(distance if moved else ()),
    )
    notes = ["Mean change: over tasks in accuracy on which a loss beyond the margin could be seen."]
    if moved:
        notes.append("Distance from the base: in nats per token on general text; 0 is unchanged.")
    return table("General ability as a whole", fields, measures, notes=tuple(notes))


def _general_tests(measures: tuple[Forgetting, ...]) -> Table:
    """The tests behind what is said to be kept or lost."""
    fields: tuple[Field[Forgetting], ...] = (
        ARM,
        Field(
            "Worst seed",
            lambda row: PER_CENT.difference(min(row.seed_changes.values(), default=math.nan)),
        ),
        Field("p, kept", lambda row: wording.p_value(row.p_value)),
        Field("p, corrected", lambda row: wording.p_value(row.p_adjusted)),
        Field("p, pooled flips", lambda row: wording.p_value(row.pooled_p)),
    )
    note = (
        "P, kept: of the test against a mean loss of the margin or more, also corrected (Holm). P, "
        "pooled flips: whether more answers turned from right to wrong than the other way, over "
        f"all tasks.{_claiming(measures)}"
    )
    caption = "Tests of general ability as a whole"
    return table(caption, fields, measures, notes=(note,), folded=True)


def _task_inputs(material: Material) -> list[Block]:
    """How far training moved each arm on the task's own inputs."""
    divergences = material.findings.task_divergence
    if not divergences:
        return []
    fields: tuple[Field[TaskDivergence], ...] = (
        ARM,
        Field("Distance from the base", lambda row: PLAIN.score(row.mean)),
        Field("Interval", lambda row: PLAIN.interval(row.interval), brief=False),
    )
    note = (
        "The same distance (Kullback-Leibler divergence, nats per token) on validation items of "
        "the task with their right answers. What moves a model further here tends to make it "
        "forget more (RL's Razor, arXiv 2509.04259); learning the task moves it too."
    )
    return [
        table(
            "Distance from the base on the task's own inputs",
            fields,
            divergences,
            notes=(note,),
            folded=True,
        )
    ]


def _ability(row: Forgetting) -> str:
    return FORGETTING.get(row.outcome, row.outcome)


def _claiming(measures: tuple[Forgetting, ...]) -> str:
    """Which arms the claim to have kept abilities is corrected over, where there are several."""
    families = sorted({row.family for row in measures if row.family}, key=len)
    if not families or len(families[-1]) == 1:
        return ""
    named, every = (
        wording.listed([wording.cell(arm) for arm in family])
        for family in (families[0], families[-1])
    )
    if len(families) == 1:
        return f" P, corrected: over {every} (Holm)."
    over = "over these two" if len(families[0]) > 1 else "over no other"
    return (
        f" P, corrected: {over} for what the experiment names ({named}), for other arms over "
        f"{every} (Holm)."
    )


def _needed(row: Forgetting) -> str:
    if row.items_needed is not None:
        return wording.count(row.items_needed)
    return "no number would" if row.outcome == "inconclusive" else "settled"


def _unflagged(material: Material, measures: tuple[Forgetting, ...]) -> Block:
    """What is left of the change without general items that training data hold too."""
    sentences = []
    for row in measures:
        number = sum(task.flagged for task in row.tasks)
        shared = wording.plural(number, "general item shares", "general items share")
        them = "it" if number == 1 else "them"
        opening = f"{wording.cell(row.arm)}: {shared} text with training;"
        if row.without_flagged is not None:
            rest = row.without_flagged
            sentences.append(
                f"{opening} without {them} the mean change is "
                f"{PER_CENT.difference(rest.mean_change)} "
                f"(interval {PER_CENT.difference_interval(rest.interval)})."
            )
        elif number:
            sentences.append(f"{opening} too few are left without {them}.")
    if sentences:
        heading = "Without general items that share text with training"
        return Bullets(heading, tuple(sentences), folded=True)
    if _audited(material):
        return Prose("No general item was found to share text with training.", folded=True)
    return Unmeasured(
        "Whether general items share text with training data",
        "A suite whose items are at hand is audited.",
    )


def _audited(material: Material) -> bool:
    return bool(material.audit.general)


def _task_scale(material: Material, task: GeneralDelta) -> Scale:
    read = material.study.experiment.general_tasks.get(task.task)
    return scale_of(task.metric, read.accuracy if read else task.kept is not None)


def _kept(task: GeneralDelta, lost: bool) -> str:
    if task.kept is None:
        return NOT_COUNTED.get(task.not_counted, "no margin")
    if task.kept:
        return "kept"
    return "lost" if lost else "not shown"


def _turned(task: GeneralDelta) -> str:
    if task.right_to_wrong is None and task.wrong_to_right is None:
        return wording.NOT_APPLICABLE
    return f"{wording.decimal(task.right_to_wrong)} / {wording.decimal(task.wrong_to_right)}"


def _knowledge(task: GeneralDelta) -> str:
    if task.knowledge_lost is None:
        return wording.NOT_APPLICABLE
    return wording.decimal(task.knowledge_lost)


def _search_note(left_out: int) -> str:
    number = wording.plural(left_out, "item", "items")
    return (
        f"Up to {number} a task, on which the search looked at forgetting, are left out: a setting "
        "that was selected on them looks better there than it is."
    )


def _general_tasks(material: Material, measures: tuple[Forgetting, ...]) -> Table:
    def scale(task: GeneralDelta) -> Scale:
        return _task_scale(material, task)

    none = wording.NOT_APPLICABLE
    shown = _audited(material) or any(task.flagged for row in measures for task in row.tasks)
    unaudited = set(material.audit.general_not_audited)

    lost = {(row.arm, task) for row in measures for task in row.lost_tasks}

    def items(task: GeneralDelta) -> str:
        shared = "?" if task.task in unaudited else f"{task.flagged:,}"
        return f"{task.items:,} ({shared})" if shown else f"{task.items:,}"

    heading = "Items (shared)" if shown else "Items"
    note = "Shared: items that share text with training data; ?: not measured."
    fields: tuple[Field[GeneralDelta], ...] = (
        Field("Task", lambda row: wording.cell(row.task), numeric=False),
        Field("Arm", lambda row: wording.cell(row.arm), numeric=False),
        Field("Metric", lambda row: metric_name(row.metric), numeric=False, brief=False),
        Field("Base", lambda row: scale(row).score(row.base)),
        Field("After", lambda row: scale(row).score(row.after)),
        Field("Change", lambda row: scale(row).difference(row.change)),
        Field("Interval", lambda row: scale(row).difference_interval(row.interval), brief=False),
        Field("Kept", lambda row: _kept(row, (row.arm, row.task) in lost), numeric=False),
        Field("Right to wrong / wrong to right", _turned, brief=False),
        Field("Known items lost", _knowledge, brief=False),
        Field("Chance", lambda row: scale(row).score(row.chance, none), brief=False),
        Field(heading, items, brief=False),
    )
    rows = [task for row in measures for task in row.tasks]
    left_out = max((task.left_out for task in rows), default=0)
    return table(
        "Each general task against the untouched base",
        fields,
        rows,
        notes=(
            "\"Not shown\" means that a loss beyond the margin cannot be excluded, not that there "
            "is one; \"lost\" is corrected over the arm's tasks (Holm). Right to wrong and wrong "
            "to right count items, averaged over seeds. Known items lost: their difference, "
            "corrected for guessing, as an item that was known and is guessed stays right by "
            "chance.",
            *((note,) if shown else ()),
            *((_search_note(left_out),) if left_out else ()),
        ),
        folded=True,
    )  # fmt: skip


def out_of_domain_section(material: Material) -> Section:
    """The same task on data from elsewhere."""
    heading = "The same task on other data"
    rows = material.findings.arms
    names = list(dict.fromkeys(name for row in rows for name in row.out_of_domain))
    if not names:
        missing = Unmeasured(
            "The same task on other data",
            "`out_of_domain: {NAME: FILE}` under `data:` names such data.",
        )
        return Section("out-of-domain", heading, (missing,))
    base = material.baseline_elsewhere()
    shown = [
        (
            wording.cell(row.arm),
            material.scale.score(row.test),
            *(material.scale.score(row.out_of_domain.get(name)) for name in names),
        )
        for row in rows
    ]
    if base and BASE not in {row.arm for row in rows}:
        own = material.scale.score(material.baseline_scores().get(material.metric))
        shown.append((BASE, own, *(material.scale.score(base.get(name)) for name in names)))
    scores = Table(
        f"Out-of-domain scores ({material.metric_name})",
        (
            Column("Arm"),
            Column("In domain (test)", numeric=True),
            *(Column(wording.cell(name, 40), numeric=True) for name in names),
        ),
        tuple(shown),
    )
    text = "Text of another kind, which no arm was tuned or trained for: does the skill carry over?"
    return Section("out-of-domain", heading, (Prose(text), scores))
