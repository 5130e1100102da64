"""Overfitting: scores by split, and loss while training."""

from __future__ import annotations

from collections.abc import Sequence

from harness import wording
from harness.findings import Overfitting
from harness.records import Checkpoint, TrialSummary
from harness.report.chart_records import LossChart, LossLine, SplitChart, SplitScores
from harness.report.document import Block, Figure, Prose, Section
from harness.report.naming import turned
from harness.report.sections.material import DOMAIN, Material
from harness.report.sections.memorisation import memorisation_blocks
from harness.report.tables import ARM, Field, table
from harness.wording import PLAIN, Scale


def overfitting_section(material: Material) -> Section:
    """Train, validation and test side by side."""
    heading = "Overfitting"
    arms = material.findings.overfitting
    if not arms:
        return Section("overfitting", heading, tuple(_memorised(material)))
    scale = material.scale
    intervals = {row.arm: row.test_interval for row in material.findings.arms}
    groups = []
    for row in arms:
        interval = intervals.get(row.arm)
        groups.append(
            SplitScores(
                arm=row.arm,
                train=scale.scaled(row.train),
                validation=scale.scaled(row.validation),
                test=scale.scaled(row.test),
                test_low=scale.scaled(interval.low) if interval else None,
                test_high=scale.scaled(interval.high) if interval else None,
            )
        )
    figure = Figure(
        key="splits",
        title="Score on training, validation and test data",
        see=_splits_sentence(arms, scale),
        chart=SplitChart(
            axis=scale.axis(wording.capitalised(material.metric_name)), groups=tuple(groups)
        ),
    )
    fields: tuple[Field[Overfitting], ...] = (
        ARM,
        Field("Train", lambda row: scale.score(row.train)),
        Field("Validation", lambda row: scale.score(row.validation)),
        Field("Test", lambda row: scale.score(row.test)),
        *Field[Overfitting].change(
            "Train minus test",
            scale,
            lambda row: row.generalisation_gap,
            lambda row: row.gap_interval,
        ),
        *Field[Overfitting].change(
            "Search minus test",
            scale,
            lambda row: row.selection_gap,
            lambda row: row.selection_interval,
        ),
    )
    scores = table(
        "Train, validation and test score of the same candidate",
        fields,
        arms,
        notes=("Train minus test: what was learned by heart, on samples of equal size. Search "
               "minus test: how much choosing on validation flattered the chosen setting; only "
               "test scores are the result.",
               *filter(None, [_another_training(arms, scale),
                              turned(material.metric, material.experiment.task)])),
    )  # fmt: skip
    return Section("overfitting", heading, (figure, scores, *_memorised(material)))


def _another_training(arms: Sequence[Overfitting], scale: Scale) -> str:
    """Scores of chosen trials that are another training than the final runs; empty for none."""
    others = [
        f"{wording.cell(row.arm)} {chosen}"
        for row in arms
        if (chosen := scale.score(row.selected)) != scale.score(row.validation)
    ]
    told = "On validation the trial that was chosen, another training, had"
    return f"{told}: {', '.join(others)}." if others else ""


def _splits_sentence(arms: tuple[Overfitting, ...], scale: Scale) -> str:
    gaps = [
        (row.generalisation_gap, row) for row in arms if wording.is_number(row.generalisation_gap)
    ]
    if not gaps:
        return "No arm was scored on its training data, so memorising cannot be seen here."
    gap, row = max(gaps, key=lambda pair: pair[0])
    arm = wording.cell(row.arm)
    if row.gap_interval is not None and row.gap_interval.low > 0:
        return (
            f"The largest gap is that of {arm}: {scale.gap(gap)} better on its training data "
            "than on test, more than chance explains."
        )
    return (
        f"The largest gap between training data and test, of {arm} ({scale.difference(gap)}), may "
        "be chance."
    )


def _memorised(material: Material) -> list[Block]:
    return [] if material.prompts_only else memorisation_blocks(material)


def loss_section(material: Material) -> Section:
    """Loss curves of the final training runs."""
    heading = "Loss while training"
    runs = [
        trial for trial in material.study.trials if trial.phase == "finalist" and trial.steps
    ] or [trial for trial in material.study.trials if trial.steps and trial.status == "complete"]
    lines = [_line(trial) for trial in runs]
    pairs = [pair for pair in zip(runs, lines, strict=True) if pair[1].train]
    if not pairs:
        return Section("loss", heading, ())
    figure = Figure(
        key="loss",
        title="Training and validation loss by step",
        see=_loss_sentence([line for _, line in pairs]),
        chart=LossChart(tuple(line for _, line in pairs)),
    )
    note = "Loss is the mean cross-entropy per answer token, in nats; lower is better."
    fields = _loss_fields()
    if any(step.validation_score is not None for run in runs for step in run.steps):
        fields += _score_fields(material)
        note += f" At each check {material.metric_name} of replies to its rows was measured too."
    losses = table("Loss of each final training run", fields, pairs, notes=(note,), folded=True)
    return Section("loss", heading, (figure, losses, *_kept_weights(material, runs)))


_Kept = tuple[TrialSummary, Checkpoint]


def _kept_weights(material: Material, runs: Sequence[TrialSummary]) -> list[Block]:
    """Which of the weights of each final run were kept, and what the last ones are worth."""
    kept = [(run, run.checkpoint) for run in runs if run.checkpoint and run.phase == "finalist"]
    if not kept:
        return []
    if all(checkpoint.is_last for _, checkpoint in kept):
        return [Prose("Every final run kept the weights of its last step.")]
    scale = material.scale

    def score(run: TrialSummary) -> float | None:
        for found in run.aggregates:
            if (found.suite, found.split, found.metric) == (DOMAIN, "validation", material.metric):
                return found.value
        return None

    def of_last(pair: _Kept) -> float | None:
        run, checkpoint = pair
        return score(run) if checkpoint.is_last else checkpoint.last_score

    fields: tuple[Field[_Kept], ...] = (
        Field("Arm", lambda pair: wording.cell(pair[0].arm), numeric=False),
        Field("Seed", lambda pair: str(pair[0].seed)),
        Field("Kept step", lambda pair: f"{pair[1].step:,} of {pair[1].steps:,}"),
        Field("Epoch", lambda pair: wording.number(pair[1].epoch)),
        Field("Its validation loss", lambda pair: PLAIN.score(pair[1].validation_loss)),
        Field("Last validation loss", lambda pair: PLAIN.score(pair[1].last_validation_loss)),
        Field("Its validation score", lambda pair: scale.score(score(pair[0]))),
        Field("Last validation score", lambda pair: scale.score(of_last(pair))),
    )
    rule = "The step with the lowest validation loss is kept."
    if any(checkpoint.validation_score is not None for _, checkpoint in kept):
        fields += (
            Field("Score of its check", lambda pair: scale.score(pair[1].validation_score)),
            Field(
                "Score of the last check", lambda pair: scale.score(pair[1].last_validation_score)
            ),
        )
        rule = (
            "The step with the lowest validation loss is kept or, where checks score replies to "
            f"the rows of that loss, the one with the best {material.metric_name} there."
        )
    note = (
        f"{rule} Beside the score of its weights on validation stands that of the last ones; test "
        "items have no part in the choice."
    )
    return [table("Weights that each final run kept", fields, kept, notes=(note,), folded=True)]


_Run = tuple[TrialSummary, LossLine]


def _loss_fields() -> tuple[Field[_Run], ...]:
    def lowest(run: _Run) -> tuple[int, float] | None:
        return min(run[1].validation, key=lambda point: point[1], default=None)

    def step(point: tuple[int, float] | None) -> str:
        return wording.count(point[0]) if point else wording.NOT_APPLICABLE

    def loss(point: tuple[int, float] | None) -> str:
        return PLAIN.score(point[1] if point else None)

    return (
        Field("Arm", lambda run: wording.cell(run[0].arm), numeric=False),
        Field("Seed", lambda run: str(run[0].seed)),
        Field("Steps", lambda run: wording.count(run[0].steps[-1].step)),
        Field("First loss", lambda run: loss(run[1].train[0])),
        Field("Last loss", lambda run: loss(run[1].train[-1])),
        Field("Lowest validation loss", lambda run: loss(lowest(run))),
        Field("at step", lambda run: step(lowest(run))),
        Field(
            "Last validation loss",
            lambda run: loss(run[1].validation[-1] if run[1].validation else None),
        ),
    )


def _score_fields(material: Material) -> tuple[Field[_Run], ...]:
    """What the checks of a run scored, where they did."""

    def scored(run: _Run) -> list[tuple[int, float]]:
        steps = run[0].steps
        return [(s.step, s.validation_score) for s in steps if s.validation_score is not None]

    def best(run: _Run) -> tuple[int, float] | None:
        sign = 1 if material.experiment.task.higher_is_better else -1
        return max(scored(run), key=lambda point: sign * point[1], default=None)

    def score(point: tuple[int, float] | None) -> str:
        return material.scale.score(point[1] if point else None)

    return (
        Field("Best score of a check", lambda run: score(best(run))),
        Field(
            "at its step",
            lambda run: wording.count(b[0]) if (b := best(run)) else wording.NOT_APPLICABLE,
        ),
        Field("Score of the last check", lambda run: score(next(reversed(scored(run)), None))),
    )


def _line(trial: TrialSummary) -> LossLine:
    return LossLine(
        arm=trial.arm,
        train=tuple((s.step, s.loss) for s in trial.steps if wording.is_number(s.loss)),
        validation=tuple(
            (s.step, s.validation_loss)
            for s in trial.steps
            if s.validation_loss is not None and wording.is_number(s.validation_loss)
        ),
    )


def _loss_sentence(lines: list[LossLine]) -> str:
    rising = []
    for line in lines:
        if len(line.validation) > 1:
            lowest = min(value for _, value in line.validation)
            if line.validation[-1][1] > lowest * 1.02:
                rising.append(wording.cell(line.arm))
    if rising:
        names = wording.listed(list(dict.fromkeys(rising)))
        return f"Validation loss turns up again before the end for {names}: a sign of overfitting."
    if any(line.validation for line in lines):
        return "Validation loss does not turn up again before the end of any run."
    deepest = min(lines, key=lambda line: line.train[-1][1])
    return (
        f"Training loss ends lowest for {wording.cell(deepest.arm)} "
        f"({PLAIN.score(deepest.train[-1][1])}); validation loss was not measured."
    )
