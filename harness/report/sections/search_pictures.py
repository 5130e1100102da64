"""What mattered in a search: importances, and how it went, drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from harness import wording
from harness.findings import SearchPicture, SearchSummary
from harness.records import TrialSummary
from harness.report.chart_records import HistoryChart, SettingsAxis, SettingsChart
from harness.report.document import Block, Figure, Prose
from harness.report.sections.material import Material
from harness.report.tables import Field, table
from harness.spec.kinds import kind_info
from harness.wording import PER_CENT

# Complete trials below which nothing is drawn, and importances are an indication only.
FEWEST_TRIALS = 6
FEW_TRIALS = 30


def picture_blocks(material: Material) -> list[Block]:
    """Importances and drawings of the arms with enough trials; a sentence for the others."""
    pictures = material.pictures
    trained = {row.arm for row in material.findings.arms if kind_info(row.kind).fine_tuned}
    blocks: list[Block] = [_importances(material, trained)] if pictures else []
    for number, picture in enumerate(pictures):
        blocks += _figures(material, picture, number)
    drawn = {(picture.arm, picture.repeat) for picture in pictures}
    tuned = {row.arm for row in material.findings.arms if row.tuned}
    few = [
        f"{wording.cell(row.title)} has {row.complete:,}"
        for row in material.findings.searches
        if row.arm in tuned and (row.arm, row.repeat) not in drawn and row.complete < FEWEST_TRIALS
    ]
    if few:
        blocks.append(
            Prose(
                "Which settings mattered is told, and the search drawn, from "
                f"{FEWEST_TRIALS} complete trials on: {wording.listed(few)}.",
                folded=True,
            )
        )
    return blocks


def _importances(material: Material, trained: set[str]) -> Block:
    pictures = material.pictures
    rows = [(picture, name) for picture in pictures for name in picture.importances]
    if not rows:
        text = "Which settings mattered cannot be told: all trials scored alike."
        return Prose(text, folded=True)
    forgetting = any(picture.forgetting for picture in pictures)
    fields: list[Field[tuple[SearchPicture, str]]] = [
        Field("Arm", lambda row: _title(material, row[0]), numeric=False),
        Field("Setting", lambda row: wording.cell(row[1], 60), numeric=False),
        Field("Share in the score", lambda row: PER_CENT.score(row[0].importances[row[1]])),
    ]
    if forgetting:
        fields.append(
            Field(
                "Share in the general change",
                # A prompt leaves the model as it is.
                lambda row: PER_CENT.score(
                    row[0].forgetting.get(row[1]),
                    wording.NOT_MEASURED if row[0].arm in trained else wording.NOT_APPLICABLE,
                ),
            )
        )
    fields.append(Field("Rests on", lambda row: _rests_on(row[0]), numeric=False))
    evaluators = list(dict.fromkeys(wording.cell(picture.evaluator) for picture in pictures))
    note = (
        f"By {wording.listed(evaluators)}: how much of the differences between trials goes with "
        "each setting alone, by a forest of regression trees with a fixed seed; the shares of an "
        "arm add up to 100 %. A search looks longer where scores are good, so this is no "
        "experiment."
    )
    return table("Which settings mattered", fields, rows, notes=(note,), folded=True)


def _rests_on(picture: SearchPicture) -> str:
    trials = len(picture.trials)
    few = ": an indication only" if trials < FEW_TRIALS else ""
    return f"{wording.plural(trials, 'trial')}{few}"


def _figures(material: Material, picture: SearchPicture, number: int) -> Iterator[Figure]:
    arm = _title(material, picture)
    yield Figure(
        key=f"search-history-{number}",
        title=f"{arm}: validation score trial by trial",
        see=_history_sentence(material, picture),
        chart=_history(material, picture),
        folded=True,
    )
    if picture.settings:
        yield Figure(
            key=f"search-settings-{number}",
            title=f"{arm}: settings and score of each trial",
            see=_settings_sentence(material, picture),
            chart=_settings(material, picture),
            folded=True,
        )


def _axis(material: Material) -> str:
    return material.scale.axis(wording.capitalised(material.metric_name))


def _history(material: Material, picture: SearchPicture) -> HistoryChart:
    factor, sign = material.scale.factor, 1 if picture.higher_is_better else -1
    points = [(trial.place, trial.score * factor) for trial in picture.trials]
    lost = {trial.place for trial in picture.trials if trial.lost}
    best: list[tuple[int, float]] = []
    for place, score in points:
        if place not in lost and (not best or sign * score > sign * best[-1][1]):
            best.append((place, score))
    return HistoryChart(
        axis=_axis(material),
        arm=picture.arm,
        kept=tuple(point for point in points if point[0] not in lost),
        lost=tuple(point for point in points if point[0] in lost),
        best=(*best, *([(points[-1][0], best[-1][1])] if best else [])),
        selected=next((point for point in points if point[0] == picture.selected), points[0]),
    )


def _settings(material: Material, picture: SearchPicture) -> SettingsChart:
    sign = 1 if picture.higher_is_better else -1
    worths = [sign * trial.score for trial in picture.trials]
    least, most = min(worths), max(worths)
    places = [trial.place for trial in picture.trials]
    return SettingsChart(
        axis=_axis(material),
        arm=picture.arm,
        scores=tuple(trial.score * material.scale.factor for trial in picture.trials),
        strength=tuple((w - least) / (most - least) if most > least else 1.0 for w in worths),
        lost=tuple(trial.lost for trial in picture.trials),
        selected=places.index(picture.selected) if picture.selected in places else -1,
        settings=tuple(
            SettingsAxis(
                wording.cell(setting.name, 60),
                setting.values,
                tuple(wording.short(choice, 18) for choice in setting.choices),
                setting.log,
                setting.whole,
            )
            for setting in picture.settings
        ),
    )


def _search(material: Material, picture: SearchPicture) -> SearchSummary | None:
    place = (picture.arm, picture.repeat)
    rows = material.findings.searches
    return next((row for row in rows if (row.arm, row.repeat) == place), None)


def _title(material: Material, picture: SearchPicture) -> str:
    search = _search(material, picture)
    return wording.cell(search.title if search else picture.arm)


def _history_sentence(material: Material, picture: SearchPicture) -> str:
    search = _search(material, picture)
    choice = search.choice if search else None
    if search is None or choice is None:
        return "Each point is a trial."
    selected = f"trial {choice.number} ({material.scale.score(choice.score)})"
    if choice.number != choice.best_number:
        best = material.scale.score(choice.best_score)
        lost = ", with more forgetting than is accepted" if choice.margin is not None else ""
        return (
            f"{wording.capitalised(selected)} was selected; trial {choice.best_number} scored "
            f"{best}{lost}."
        )
    after = sum(trial.number > choice.number for trial in _complete(material, picture))
    later = (
        f"the {wording.plural(after, 'complete trial')} after it brought nothing better"
        if after
        else "it was the last to complete"
    )
    return f"The best score came with {selected}; {later}."


def _settings_sentence(material: Material, picture: SearchPicture) -> str:
    search = _search(material, picture)
    margin = search.choice.margin if search and search.choice else None
    dotted = "" if margin is None else f", a dotted one lost more than {PER_CENT.margin(margin)}"
    key = "Each line is a trial, the stronger the better its score; the thick one was selected"
    return f"{key}{dotted}. {_best_third(material, picture)}".strip()


def _best_third(material: Material, picture: SearchPicture) -> str:
    """Where the best trials lie in the setting that mattered most, if it is a number."""
    name = next(iter(picture.importances), "")
    ranked = sorted(_complete(material, picture), key=lambda trial: -_worth(material, trial))
    best = ranked[: max(2, len(ranked) // 3)]
    tried = [value for trial in ranked if _is_number(value := trial.params.get(name))]
    if not best or len(tried) < len(ranked):
        return ""
    low, high = wording.number(min(tried[: len(best)])), wording.number(max(tried[: len(best)]))
    return (
        f"The best {len(best)} of {len(ranked)} have {wording.cell(name, 60)} from {low} to "
        f"{high}; {wording.number(min(tried))} to {wording.number(max(tried))} were tried."
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _complete(material: Material, picture: SearchPicture) -> list[TrialSummary]:
    """Complete search trials with a score, by number."""
    trials = [
        trial
        for trial in material.study.trials
        if (trial.arm, trial.phase, trial.status) == (picture.arm, "search", "complete")
        and trial.search_repeat == picture.repeat
        and _worth(material, trial) > float("-inf")
    ]
    return sorted(trials, key=lambda trial: trial.number)


def _worth(material: Material, trial: TrialSummary) -> float:
    for aggregate in trial.aggregates:
        place = (aggregate.suite, aggregate.split, aggregate.metric)
        if place == ("domain", "validation", material.metric) and wording.is_number(
            aggregate.value
        ):
            return aggregate.value if aggregate.higher_is_better else -aggregate.value
    return float("-inf")


__all__ = ["FEWEST_TRIALS", "picture_blocks"]
