"""The search: what each arm was given and took, what was stopped early, what was selected."""

from __future__ import annotations

from harness import wording
from harness.findings import ArmSummary, EarlyStop, SearchChoice, SearchSummary
from harness.report.document import Block, Bullets, Prose, Section, Table
from harness.report.sections.material import Material
from harness.report.sections.search_pictures import picture_blocks
from harness.report.tables import Field, table
from harness.spec.kinds import kind_info
from harness.wording import PER_CENT

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
        return Section("search", heading, ())
    blocks: list[Block] = [_budgets(material), *_reasoned(material)]
    blocks += [*_stopped(searches), *_choices(material)]
    blocks += [*_ways(material), *_again(material), *_further(searches, material)]
    blocks += _untried(material)
    return Section("search", heading, (*blocks, *picture_blocks(material)))


def _budgets(material: Material) -> Table:
    rows = material.findings.searches
    by_arm = {row.arm: row for row in material.findings.arms}
    noted = any(row.tokens is not None for row in rows)
    written = any(row.written for row in rows)
    fields: tuple[Field[SearchSummary], ...] = (
        Field("Arm", lambda row: wording.cell(row.title), numeric=False),
        Field("Trials asked", lambda row: _of(row.asked, row.budget_trials)),
        *((Field("Spent on writing, in trials", _written),) if written else ()),
        *((Field("Completed", _completed),) if any(r.complete != r.asked for r in rows) else ()),
        *((Field("Stopped early", _stopped_early),) if any(row.pruned for row in rows) else ()),
        *((Field("Failed", _failed),) if any(row.failed for row in rows) else ()),
        *((Field("Tokens processed", _tokens, brief=False),) if noted else ()),
        Field("Tokens trained on", lambda row: _trained(row, by_arm.get(row.arm)), brief=False),
        Field("Minutes", _minutes),
        Field("Why it ended", _end, numeric=False),
    )
    short = [wording.cell(name) for name, row in by_arm.items() if row.short_of_budget]
    notes = ["Tokens: trained on or scored. Minutes: of the trials added up."]
    if written:
        notes.append(
            "What an instruction took to write, rejected proposals and the writer's own tokens "
            "too, and the reasoning of worked examples, is counted in trials of equal tokens, and "
            "is within tokens and minutes."
        )
    if short:
        notes.append(
            f"{wording.listed(short)} got less than the declared budget while another tuned arm "
            "got all of its own: they were not tried equally hard."
        )
    return table("The search budget side by side", fields, rows, notes=tuple(notes))


def _reasoned(material: Material) -> list[Block]:
    """How many worked examples got a reasoning that the model wrote and got right."""
    told = [
        f"{wording.cell(str(event.detail['arm']))}, reasoning {event.detail['reasoning']}: the "
        f"model got {event.detail['right']} of {event.detail['rows']} training rows right"
        for event in material.study.events
        if event.kind == "bootstrapped"
    ]
    if not told:
        return []
    caption = (
        "Worked examples with the model's own reasoning: rows that it was asked about before the "
        "search, within its budget; only those that it got right are shown"
    )
    return [Bullets(caption, tuple(dict.fromkeys(told)))]


def _of(spent: float, limit: float | None) -> str:
    return wording.count(spent) + (f" of {wording.count(limit)}" if limit is not None else "")


def _completed(row: SearchSummary) -> str:
    return wording.count(row.complete)


def _stopped_early(row: SearchSummary) -> str:
    return wording.count(row.pruned)


def _failed(row: SearchSummary) -> str:
    return wording.count(row.failed)


def _written(row: SearchSummary) -> str:
    return wording.count(row.written) if row.written else wording.NOT_APPLICABLE


def _tokens(row: SearchSummary) -> str:
    return wording.NOT_MEASURED if row.tokens is None else _of(row.tokens, row.budget_tokens)


def _trained(search: SearchSummary, row: ArmSummary | None) -> str:
    """Tokens trained on by all searches of an arm together, in the row of the first."""
    if row is None or search.repeat or not kind_info(row.kind).trains:
        return wording.NOT_APPLICABLE
    return "not known" if row.search_tokens is None else wording.count(row.search_tokens)


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
        return [Prose("No trial could be stopped early: every one ran to its end.", folded=True)]
    sentences = [_saved(row, stop) for row in watched for stop in row.stopped]
    idle = [wording.cell(row.title) for row in watched if not row.stopped]
    if idle:
        sentences.append(f"No trial of {wording.listed(idle)} was stopped early.")
    return [Bullets("What stopping weak trials early saved", tuple(sentences), folded=True)]


def _saved(row: SearchSummary, stop: EarlyStop) -> str:
    saved = stop.total - stop.done
    return (
        f"{wording.cell(row.title)}: {stop.trials:,} of {wording.plural(row.asked, 'trial')} "
        f"stopped early by {PRUNERS.get(row.pruner, wording.cell(row.pruner))}; {saved:,} of "
        f"{'their' if stop.trials > 1 else 'its'} {stop.total:,} {stop.unit} saved."
    )


def _choices(material: Material) -> list[Block]:
    tuned = {row.arm for row in material.findings.arms if row.tuned}
    sentences = [
        f"{wording.cell(row.title)}: {_choice(material, row.choice)}"
        for row in material.findings.searches
        if row.choice is not None and row.arm in tuned
    ]
    heading = "Which setting was selected"
    return [Bullets(heading, tuple(sentences), folded=True)] if sentences else []


def _again(material: Material) -> list[Block]:
    """How much tuning anew moved the score, where searches were repeated."""
    gap = material.scale.gap
    sentences = [
        f"{wording.cell(row.arm)}: the test scores of its {row.searches} searches have a standard "
        f"deviation of {gap(row.spread)}"
        + (
            f"; without what the seeds of their {row.runs} final runs explain it is "
            f"{gap(row.beyond_seeds)}."
            if row.beyond_seeds is not None
            else ", seeds included: each search has one final run."
        )
        for row in material.findings.retuning
    ]
    if not sentences:
        return []
    sentences.append(
        "Each search selected its own setting, and the intervals are taken over searches: they "
        "cover tuning again."
    )
    return [Bullets("What tuning again changes", tuple(sentences))]


def _further(searches: tuple[SearchSummary, ...], material: Material) -> list[Block]:
    """Signs that a search should go on, where no caveat says so."""
    caveats = material.findings.verdict.caveats

    def told(opening: str) -> bool:
        return any(caveat.startswith(opening) for caveat in caveats)

    sentences = [
        f"{wording.cell(row.title)}: the selected {wording.cell(edge.name)}, "
        f"{wording.number(edge.value)}, lies at the edge of what was searched "
        f"({wording.number(edge.low)} to {wording.number(edge.high)}); try values "
        f"{'up' if edge.upper else 'down'} to {wording.number(edge.beyond)}."
        for row in searches
        for edge in row.edges
        if not told(f"{row.title}: the selected {edge.name},")
    ]
    sentences += [
        f"{wording.cell(row.title)}: the last {wording.plural(row.rising.late, 'trial')} still "
        f"brought {material.scale.gap(row.rising.gain)} on validation; try "
        f"{wording.plural(row.rising.more, 'more trial')}."
        for row in searches
        if row.rising and not told(f"{row.title}: the search was still rising")
    ]
    return [Bullets("Where the search should go on", tuple(sentences))] if sentences else []


def _untried(material: Material) -> list[Block]:
    """What to run next of arms that were hardly tried, where no next step has it."""
    found = material.findings
    told = {line for step in found.next_steps for line in step.lines}
    sentences = []
    for effort in found.effort:
        lines = dict.fromkeys(reason.next_step for reason in effort.reasons)
        if not told.issuperset(lines):
            shown = "; ".join(f"`{wording.cell(line, 300)}`" for line in lines)
            sentences.append(f"{wording.cell(effort.arm)}: {shown}")
    heading = "Arms that were hardly tried: what to run next"
    return [Bullets(heading, tuple(sentences), folded=True)] if sentences else []


def _ways(material: Material) -> list[Block]:
    """What each way of answering scored with the same trained weights."""
    score = material.scale.score
    sentences = []
    for row in material.findings.searches:
        choice = row.choice
        if choice is not None and choice.ways:
            ways = [f"{wording.cell(way)} {score(value)}" for way, value in choice.ways.items()]
            where = f"{wording.cell(row.arm)}, trial {choice.number}"
            sentences.append(f"{where}: {wording.listed(ways)} on validation.")
    heading = "Ways of answering, scored with the same trained weights: the best is kept"
    return [Bullets(heading, tuple(sentences), folded=True)] if sentences else []


def _choice(material: Material, choice: SearchChoice) -> str:
    score = material.scale.score
    mine, best = score(choice.score), score(choice.best_score)
    change = PER_CENT.difference(choice.general_change)
    accepted = PER_CENT.margin(choice.margin)
    same = choice.number == choice.best_number
    if not choice.kept:
        passed = (
            "" if same else f" The best score, {best} by trial {choice.best_number}, lost more."
        )
        return (
            f"none of {wording.plural(choice.candidates, 'setting')} kept general abilities within "
            f"the accepted loss of {accepted}; trial {choice.number}, which lost least ({change}), "
            f"was selected with {mine} on validation.{passed}"
        )
    if same:
        kept = (
            f", and kept general abilities within {accepted} ({change})"
            if choice.general_change is not None and choice.margin is not None
            else ""
        )
        return f"trial {choice.number} had the best validation score, {mine}{kept}."
    if choice.best_forgot:
        return (
            f"the best validation score, {best} by trial {choice.best_number}, was passed over "
            f"because it lost {PER_CENT.margin(_loss(choice))} of general ability, more than the "
            f"accepted {accepted}; trial {choice.number} with {mine} ({change}) was selected."
        )
    return (
        f"trial {choice.number} ({mine}) is the setting that was tested; trial "
        f"{choice.best_number} has a better validation score now ({best}) and is not tested yet."
    )


def _loss(choice: SearchChoice) -> float | None:
    return None if choice.best_change is None else -choice.best_change


__all__ = ["search_section"]
