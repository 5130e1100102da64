"""The search: what each arm was given and took, what was stopped early, what was selected."""

from __future__ import annotations

from harness.findings import ArmSummary, EarlyStop, SearchChoice, SearchSummary
from harness.report import wording
from harness.report.document import Block, Bullets, Prose, Section, Table
from harness.report.material import Material
from harness.report.scales import PER_CENT
from harness.report.search_pictures import picture_blocks
from harness.report.tables import ARM, Field, table

PRUNERS = {
    "median": "the median pruner: below the median of the others at the same step",
    "halving": "successive halving",
    "wilcoxon": "the Wilcoxon pruner: worse than the best trial on the items asked so far",
}

LIMITS = {
    "trials": "its trials were run",
    "tokens": "its tokens were spent",
    "minutes": "its minutes were spent",
}


def search_section(material: Material) -> Section:
    """How settings were searched, arm by arm."""
    heading = "How settings were searched"
    searches = material.findings.searches
    if not searches:
        return Section("search", heading, (Prose("The course of the searches: not measured."),))
    blocks: list[Block] = [_budgets(material), *_stopped(searches), *_choices(material)]
    return Section("search", heading, (*blocks, *picture_blocks(material)))


def _budgets(material: Material) -> Table:
    rows = material.findings.searches
    by_arm = {row.arm: row for row in material.findings.arms}
    noted = any(row.tokens is not None for row in rows)
    fields: tuple[Field[SearchSummary], ...] = (
        ARM,
        Field("Trials asked", lambda row: _of(row.asked, row.budget_trials)),
        Field("Completed", lambda row: wording.count(row.complete)),
        Field("Stopped early", lambda row: wording.count(row.pruned)),
        Field("Failed", lambda row: wording.count(row.failed)),
        *((Field("Tokens processed", _tokens, brief=False),) if noted else ()),
        Field("Tokens trained on", lambda row: _trained(by_arm.get(row.arm)), brief=False),
        Field("Minutes", _minutes),
        Field("Why it ended", _end, numeric=False),
    )
    short = [wording.cell(name) for name, row in by_arm.items() if row.short_of_budget]
    notes = ["Tokens are those trained on or scored; minutes are those of the trials added up."]
    if short:
        notes.append(
            f"{wording.listed(short)} got less than the declared budget while another tuned arm "
            "got all of its own: they were not tried equally hard."
        )
    return table("The search budget side by side", fields, rows, notes=tuple(notes))


def _of(spent: float, limit: float | None) -> str:
    return wording.count(spent) + (f" of {wording.count(limit)}" if limit is not None else "")


def _tokens(row: SearchSummary) -> str:
    return wording.NOT_MEASURED if row.tokens is None else _of(row.tokens, row.budget_tokens)


def _trained(row: ArmSummary | None) -> str:
    if row is None or row.kind == "prompt":
        return wording.NOT_APPLICABLE
    return wording.count(row.search_tokens)


def _minutes(row: SearchSummary) -> str:
    if not wording.is_number(row.minutes):
        return wording.NOT_MEASURED
    limit = f" of {wording.number(row.budget_minutes)}" if row.budget_minutes is not None else ""
    return f"{row.minutes:,.1f}{limit}"


def _end(row: SearchSummary) -> str:
    if row.ended == "settings_exhausted":
        return "every setting was tried"
    return LIMITS.get(row.limit, "budget spent") if row.ended else "not noted"


def _stopped(searches: tuple[SearchSummary, ...]) -> list[Block]:
    """What early stopping saved; a sentence where nothing could be stopped."""
    watched = [row for row in searches if row.pruner != "none" and row.asked > 1]
    if not watched:
        return [Prose("No trial could be stopped early: every one ran to its end.")]
    told = [_saved(row, stop) for row in watched for stop in row.stopped]
    idle = [wording.cell(row.arm) for row in watched if not row.stopped]
    if idle:
        told.append(f"No trial of {wording.listed(idle)} was stopped early.")
    return [Bullets("What stopping weak trials early saved", tuple(told))]


def _saved(row: SearchSummary, stop: EarlyStop) -> str:
    saved = stop.total - stop.done
    return (
        f"{wording.cell(row.arm)}: {stop.trials:,} of {wording.plural(row.asked, 'trial')} stopped "
        f"early by {PRUNERS.get(row.pruner, wording.cell(row.pruner))}; {saved:,} of "
        f"{'their' if stop.trials > 1 else 'its'} {stop.total:,} {stop.unit} saved."
    )


def _choices(material: Material) -> list[Block]:
    tuned = {row.arm for row in material.findings.arms if row.tuned}
    told = [
        f"{wording.cell(row.arm)}: {_choice(material, row.choice)}"
        for row in material.findings.searches
        if row.choice is not None and row.arm in tuned
    ]
    return [Bullets("Which setting was selected", tuple(told))] if told else []


def _choice(material: Material, found: SearchChoice) -> str:
    score = material.scale.score
    mine, best = score(found.score), score(found.best_score)
    change = PER_CENT.difference(found.general_change)
    accepted = PER_CENT.gap(found.margin)
    same = found.number == found.best_number
    if not found.kept:
        passed = "" if same else f" The best score, {best} by trial {found.best_number}, lost more."
        return (
            f"none of {wording.plural(found.candidates, 'setting')} kept general abilities within "
            f"the accepted loss of {accepted}; trial {found.number}, which lost least ({change}), "
            f"was selected with {mine} on validation.{passed}"
        )
    if same:
        kept = (
            f", and kept general abilities within {accepted} ({change})"
            if found.general_change is not None and found.margin is not None
            else ""
        )
        return f"trial {found.number} had the best validation score, {mine}{kept}."
    if _broke(found):
        return (
            f"the best validation score, {best} by trial {found.best_number}, was passed over "
            f"because it lost {PER_CENT.gap(_loss(found))} of general ability, more than the "
            f"accepted {accepted}; trial {found.number} with {mine} ({change}) was selected."
        )
    return (
        f"trial {found.number} ({mine}) is the setting that was tested; trial "
        f"{found.best_number} has a better validation score now ({best}) and is not tested yet."
    )


def _broke(found: SearchChoice) -> bool:
    """Whether the best score lost more than the margin."""
    if found.margin is None or found.best_change is None:
        return False
    return round(-found.best_change - found.margin, 12) > 0


def _loss(found: SearchChoice) -> float | None:
    return None if found.best_change is None else -found.best_change


__all__ = ["search_section"]
