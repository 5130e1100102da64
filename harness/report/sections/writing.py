"""How instructions were written: what it cost, what was proposed, and whether it is kept."""

from __future__ import annotations

from collections.abc import Iterator

from harness import wording
from harness.records import KEPT_LEVEL, Proposal, TrialSummary, Writing
from harness.report.chart_records import SpendingChart, SpendingLine
from harness.report.document import Block, Bullets, Code, Column, Figure, Prose, Section, Table
from harness.report.sections.material import Material
from harness.report.tables import Field, table

KEY, HEADING = "writing", "How the instruction was written"
LONGEST_FEEDBACK = 6000


def writing_section(material: Material) -> Section:
    """The course of the writing, search by search; empty where every instruction is given."""
    trials = [trial for trial in material.study.trials if trial.phase == "writing"]
    if not trials:
        return Section(KEY, HEADING, ())
    done = [(trial, trial.writing) for trial in trials if trial.writing is not None]
    blocks: list[Block] = [
        Prose(
            "A model read training rows, replies to them and what was wrong with these, and "
            "proposed instructions. It was shown no validation and no test row. What came of it "
            "was held against the task's own instruction on validation rows, and is kept where it "
            "does better there by more than chance. Where defaults are tested, the task's own is "
            "tested beside it."
        ),
        Bullets("What came of it", tuple(_outcome(material, trial) for trial in trials)),
    ]
    lines = tuple(line for trial, writing in done if (line := _line(material, trial, writing)))
    if lines:
        blocks.append(
            Figure(
                "writing",
                "Best so far against tokens spent",
                "Each line is one writing; a step up is a proposal that did better on the training "
                "rows that proposals are compared on.",
                SpendingChart(material.scale.axis(material.metric_name), lines),
            )
        )
    for trial, writing in done:
        blocks += _wordings(material, trial, writing)
    return Section(KEY, HEADING, tuple(blocks))


def _named(material: Material, trial: TrialSummary) -> str:
    repeats = material.experiment.repeats_of(trial.arm)
    of = f", writing {trial.search_repeat + 1} of {repeats}" if repeats > 1 else ""
    return f"{wording.cell(trial.arm)}{of}"


def _outcome(material: Material, trial: TrialSummary) -> str:
    name, writing, scale = _named(material, trial), trial.writing, material.scale
    if writing is None:
        return f"{name}: nothing was written: {wording.cell(trial.failure_message, 400)}."
    spent = (
        f"{wording.count(writing.tokens)} tokens, {wording.count(writing.writing_tokens)} of them "
        f"the writer's ({wording.cell(writing.writer)})"
    )
    head = writing.headroom
    moved = "moved" if head.moves else "did not move"
    seen = (
        f"the wording {moved} the score on {wording.plural(head.rows, 'training row')} (best of "
        f"{len(head.wordings)} wordings {scale.score(_best(material, writing))}, your own "
        f"{scale.score(writing.own_score)}, p {wording.p_value(head.p_value)})"
        if head.wordings
        else "it could not be told whether the wording moves the score"
    )
    ended = wording.cell(writing.ended, 300)
    if writing.text is None:
        return f"{name}: nothing better was written. It took {spent}; {seen}; it ended as {ended}."
    return f"{name}: {_kept(material, trial)} It took {spent}; {seen}; it ended as {ended}."


def _best(material: Material, writing: Writing) -> float:
    scores = [one.score for one in writing.headroom.wordings]
    return max(scores) if material.experiment.task.higher_is_better else min(scores)


def _kept(material: Material, trial: TrialSummary) -> str:
    """Whether what was written was kept and selected, and by which scores on validation."""
    searches = {(row.arm, row.repeat): row for row in material.findings.searches}
    row = searches.get((trial.arm, trial.search_repeat))
    if row is None:
        return "the search that it was written for is no longer asked for."
    found = row.confirmation
    if found is None:
        return (
            "what was written could not be held against your own, which has no score at the "
            "default setting."
            if row.ended
            else "whether what was written is kept is not known yet."
        )
    scale = material.scale
    on = wording.plural(found.items, "validation row")
    if found.p_value is None:
        why = f"it was not seen through, and stopped after {on}"
        if found.written is not None:
            why += f" with {scale.score(found.written)} against {scale.score(found.own)}"
        return f"what was written is not kept: {why}."
    shown = (
        f"{scale.score(found.written)} on {on} that nothing was written from, against "
        f"{scale.score(found.own)} of your own (p {wording.p_value(found.p_value)}, one-sided; "
        f"{KEPT_LEVEL:g} or less, and the better score, keeps it)"
    )
    if not found.kept:
        return f"what was written is not kept: {shown}."
    selected = row.choice and row.choice.params.get("instruction") == found.instruction
    rest = "" if selected else "; yet validation selected your own, with other settings"
    return f"what was written is kept: {shown}{rest}."


def _line(material: Material, trial: TrialSummary, writing: Writing) -> SpendingLine | None:
    scale = material.scale
    scored = [(one.tokens, one.score) for one in writing.proposals if one.score is not None]
    if writing.own_score is None or not scored:
        return None
    better = max if material.experiment.task.higher_is_better else min
    reached, points = writing.own_score, [(0, writing.own_score)]
    for tokens, score in scored:
        reached = better(reached, score)
        points.append((tokens, reached))
    points.append((writing.tokens, reached))
    drawn = tuple((tokens, float(scale.scaled(value) or 0.0)) for tokens, value in points)
    return SpendingLine(trial.arm, drawn)


def _wordings(material: Material, trial: TrialSummary, writing: Writing) -> Iterator[Block]:
    name = _named(material, trial)
    if writing.text is not None:
        yield Table(
            f"First and last wording, {name}",
            (Column("Yours"), Column("Written")),
            ((_whole(writing.own), _whole(writing.text)),),
        )
    if writing.quoted:
        runs = tuple(wording.cell(run, 300) for run in writing.quoted)
        yield Bullets(
            f"What was written for {name} quotes training rows, word for word; it may answer by "
            "heart what new data will not repeat",
            runs,
        )
    if writing.proposals:
        yield _proposals(material, name, writing.proposals)
        last = writing.proposals[-1]
        shown = wording.clean(last.feedback, LONGEST_FEEDBACK)
        yield Code(f"What the writer was told before its last proposal, {name}", shown)


def _whole(text: str) -> str:
    return wording.cell(text, len(text))


def _proposals(material: Material, name: str, proposals: tuple[Proposal, ...]) -> Table:
    scale = material.scale
    fields: tuple[Field[Proposal], ...] = (
        Field("Proposal", lambda row: wording.count(row.number)),
        Field("Written from", _parent, numeric=False),
        Field("On its first rows, before", lambda row: scale.score(row.before)),
        Field("After", lambda row: scale.score(row.after)),
        Field("On the rows compared", lambda row: scale.score(row.score)),
        Field("Tokens spent by then", lambda row: wording.count(row.tokens)),
        Field("What became of it", _became, numeric=False),
        Field("Wording", lambda row: wording.cell(row.text, 600), numeric=False, brief=False),
    )  # fmt: skip
    return table(f"Proposals, {name}", fields, proposals, folded=True)


def _parent(row: Proposal) -> str:
    if row.parent < 0:
        return "a wording tried first"
    return wording.count(row.parent) if row.parent else "your own"


def _became(row: Proposal) -> str:
    return f"{row.status}: {wording.cell(row.why, 300)}" if row.why else row.status


__all__ = ["writing_section"]
