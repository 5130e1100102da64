"""Several studies compared: settings beside scores, item by item wherever the items allow it.

The first study is the reference; each other one is compared with it. Nothing of this was declared
before the studies ran, so all differences are secondary: their p-values are Holm-corrected over
the whole comparison.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.analysis.comparison.comparability import (
    Side,
    general_refusal,
    scores_refusal,
    unfinished,
)
from harness.analysis.comparison.setting_differences import setting_differences
from harness.analysis.statistics.bootstrap import named_generator
from harness.analysis.statistics.paired import Comparison, compare, conclude_family, holm
from harness.analysis.statistics.scores import BASE
from harness.analysis.statistics.unpaired import Unpaired, compare_unpaired
from harness.errors import InputError, StoreError
from harness.findings import (
    Findings,
    PairedAcross,
    Refusal,
    StudyComparison,
    UnpairedAcross,
)
from harness.records import ExperimentRecord, ScoreVector, Study


def compare_studies(
    studies: Sequence[tuple[Study, Findings]], *, resamples: int = 10_000, seed: int = 0
) -> StudyComparison:
    """What differs between studies, the first of them being the reference.

    Args:
        studies: each with what :func:`harness.analysis.whole_study.analyse` found in it.
        resamples: draws of every bootstrap.
        seed: seed of the bootstrap.

    Raises:
        InputError: fewer than two studies, or one of them twice.
    """
    sides = _sides(studies)
    work = _Work(sides, resamples, seed)
    reference, *others = sides
    refusals = [refusal for side in sides if (refusal := unfinished(side))]
    general = [reference.label]
    for side in others:
        if side.tested and reference.tested:
            work.compare(side, refusals)
        refused = general_refusal(side, reference)
        if refused is None:
            general.append(side.label)
        else:
            refusals.append(refused)
    return StudyComparison(
        studies=tuple(side.summary for side in sides),
        settings=setting_differences([side.study.experiment for side in sides]),
        paired=work.paired(),
        unpaired=work.unpaired(),
        refusals=tuple(refusals),
        general=tuple(general),
        margin=reference.experiment.contrast.margin,
        level=reference.experiment.contrast.level,
    )


def distinct(records: Sequence[ExperimentRecord]) -> Sequence[ExperimentRecord]:
    """The records, at least two of them and no two of one experiment.

    Raises:
        InputError: otherwise.
    """
    if len(records) < 2:
        raise InputError("give at least two experiments to compare")
    times = Counter(record.experiment_id for record in records)
    for record in records:
        if times[record.experiment_id] > 1:
            raise InputError(
                f"the experiment {record.name} ({record.experiment_id[:12]}) is named "
                f"{times[record.experiment_id]} times; give each once, and tell experiments of one "
                "name apart by the start of their ids, which harness status lists"
            )
    return records


def _sides(studies: Sequence[tuple[Study, Findings]]) -> list[Side]:
    records = distinct([study.experiment for study, _ in studies])
    names = Counter(record.name for record in records)
    return [
        Side(record.name if names[record.name] == 1 else record.folder, study, findings)
        for record, (study, findings) in zip(records, studies, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two arms that are compared."""

    side: Side
    """The study that is compared with the reference."""
    arm: str
    """Its arm."""
    reference_arm: str
    """The arm of the reference."""
    leading: bool
    """Both are what their study picked as the best of a kind."""
    common: int
    """Number of test items that both studies have."""


class _Work:
    """The comparisons, collected before the family that they are corrected over is known."""

    def __init__(self, sides: Sequence[Side], resamples: int, seed: int) -> None:
        self._reference = sides[0]
        self._resamples = resamples
        self._seed = seed
        self._paired: list[tuple[_Pair, Comparison]] = []
        self._unpaired: list[tuple[_Pair, Unpaired, float]] = []

    def compare(self, side: Side, refusals: list[Refusal]) -> None:
        """Compare a study with the reference as far as that goes; notes what is refused."""
        refused = scores_refusal(side, self._reference)
        if refused is not None:
            refusals.append(refused)
            if refused.what == "scores":
                return
        for pair in self._pairs(side):
            try:
                done = self._one(pair, paired=refused is None)
            except StoreError as error:
                reason = f"{error}."
            else:
                if done:
                    continue
                reason = "there are fewer than two independent items that both scored."
            refusals.append(
                Refusal(
                    (side.label, self._reference.label),
                    "scores",
                    "scores",
                    f"{pair.arm} of {side.label} and {pair.reference_arm} of "
                    f"{self._reference.label} could not be compared: {reason}",
                    "Look at the scored items with harness query, and run the trials again.",
                )
            )

    def paired(self) -> tuple[PairedAcross, ...]:
        """The paired differences, corrected together with the unpaired ones."""
        contrasts = conclude_family(
            [comparison for _, comparison in self._paired],
            [p_value for *_, p_value in self._unpaired],
        )
        return tuple(
            PairedAcross(
                study=pair.side.label,
                reference=self._reference.label,
                arm=pair.arm,
                reference_arm=pair.reference_arm,
                leading=pair.leading,
                contrast=contrast,
            )
            for (pair, _), contrast in zip(self._paired, contrasts, strict=True)
        )

    def unpaired(self) -> tuple[UnpairedAcross, ...]:
        """The unpaired differences, corrected together with the paired ones."""
        p_values = [comparison.p_value for _, comparison in self._paired]
        family = holm([*p_values, *(p_value for *_, p_value in self._unpaired)])
        adjusted = family[len(p_values) :]
        return tuple(
            UnpairedAcross(
                study=pair.side.label,
                reference=self._reference.label,
                arm=pair.arm,
                reference_arm=pair.reference_arm,
                leading=pair.leading,
                metric=self._reference.metric,
                label=self._reference.experiment.task.primary.label,
                items=unpaired.items_a,
                reference_items=unpaired.items_b,
                common_items=pair.common,
                mean=unpaired.mean_a,
                reference_mean=unpaired.mean_b,
                difference=unpaired.sampling.estimate,
                interval=unpaired.sampling.interval(self._reference.experiment.contrast.level),
                p_value=p_value,
                p_adjusted=p_adjusted,
            )
            for (pair, unpaired, p_value), p_adjusted in zip(self._unpaired, adjusted, strict=True)
        )

    def _one(self, pair: _Pair, *, paired: bool) -> bool:
        contrast = self._reference.experiment.contrast
        a = self._named(pair.side, pair.arm)
        b = self._named(self._reference, pair.reference_arm)
        generator = named_generator(self._seed, *sorted((a[0].arm, b[0].arm)))
        if not paired:
            unpaired = compare_unpaired(a, b, self._resamples, generator)
            if unpaired is not None:
                self._unpaired.append((pair, unpaired, unpaired.sampling.p_value()))
            return unpaired is not None
        comparison = compare(
            a,
            b,
            margin=contrast.margin,
            level=contrast.level,
            resamples=self._resamples,
            generator=generator,
        )
        if comparison is not None:
            self._paired.append((pair, comparison))
        return comparison is not None

    def _named(self, side: Side, arm: str) -> list[ScoreVector]:
        """The arm's vectors under a name that says the study too, as arms may share theirs."""
        return [replace(v, arm=f"{arm} ({side.label})") for v in side.test_vectors(arm)]

    def _pairs(self, side: Side) -> Iterator[_Pair]:
        """The best arms of a kind, every arm that both have, and the base where it is another."""
        mine, others = side.summary, self._reference.summary
        best = [(mine.fine_tuned, others.fine_tuned), (mine.prompt, others.prompt)]
        best = [pair for pair in best if all(pair)]
        same = [(arm, arm) for arm in side.tested if arm in self._reference.tested]
        models = {
            compared.study.experiment.model.fingerprint for compared in (side, self._reference)
        }
        if len(models) > 1 and side.test_vectors(BASE) and self._reference.test_vectors(BASE):
            same.append((BASE, BASE))
        common = len(side.items & self._reference.items)
        for arm, other in dict.fromkeys([*best, *same]):
            yield _Pair(side, arm, other, (arm, other) in best, common)


__all__ = ["compare_studies", "distinct"]
