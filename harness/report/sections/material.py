"""What every section is written from: the study, its findings, and lookups in them."""

from __future__ import annotations

from dataclasses import dataclass

from harness import wording
from harness.findings import ArmSummary, Findings, Samples, SearchPicture
from harness.records import AuditRecord, Study, TrialSummary
from harness.report.naming import metric_name
from harness.report.scales import scale_of
from harness.spec import Experiment
from harness.spec.kinds import KindInfo, kind_info
from harness.wording import Scale

BASE = "base"
DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Material:
    """One study and what the analysis found in it. Tolerates a study that is not finished."""

    study: Study
    """The study as read from the store; it need not be finished."""
    experiment: Experiment
    """The experiment as declared."""
    findings: Findings
    """What the analysis found in it."""
    pictures: tuple[SearchPicture, ...] = ()
    """Drawings of its searches; empty where there are none."""
    samples: Samples | None = None
    """Every test item with its replies; None where they are not shown."""
    rules: tuple[tuple[str, str], ...] = ()
    """(outcome, condition) of the verdict's rules; empty where they are not shown."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm, in the order of the experiment file, then of the findings and trials."""
        names = [*self.experiment.arms]
        names += [row.arm for row in self.findings.arms]
        names += [trial.arm for trial in self.study.trials]
        return tuple(name for name in dict.fromkeys(names) if name != BASE)

    @property
    def metric(self) -> str:
        """The primary metric."""
        return self.experiment.task.primary_metric

    @property
    def metric_name(self) -> str:
        """The primary metric in words."""
        return self.named(self.metric)

    def named(self, metric: str) -> str:
        """Any metric in words."""
        return metric_name(metric, self.experiment.task)

    @property
    def scale(self) -> Scale:
        """How scores of the primary metric are written."""
        return scale_of(self.metric)

    @property
    def currency(self) -> str:
        """What money is counted in."""
        return wording.cell(self.experiment.cost.currency, limit=12)

    def kind_of(self, arm: str) -> KindInfo | None:
        """The kind of an arm; None if unknown."""
        names = (row.kind for row in self.findings.arms if row.arm == arm)
        declared = self.experiment.arms.get(arm)
        name = next(names, declared.kind if declared else None)
        return kind_info(name) if name else None

    def summary(self, arm: str) -> ArmSummary | None:
        """The arm's row of the table of arms; None if it has none."""
        return next((row for row in self.findings.arms if row.arm == arm), None)

    def trains(self, arm: str) -> bool:
        """Whether the arm is known to be fine-tuned."""
        kind = self.kind_of(arm)
        return kind is not None and kind.fine_tuned

    def best(self, prompt: bool) -> ArmSummary | None:
        """The arm of the primary contrast on one side; else the best on test."""
        rows = [
            row
            for row in self.findings.arms
            if (kind := kind_info(row.kind)).language_model and kind.fine_tuned is not prompt
        ]
        contrast = self.findings.primary
        for row in rows:
            if contrast is not None and row.arm in (contrast.a, contrast.b):
                return row
        scored = [row for row in rows if row.test is not None]
        sign = 1 if self.experiment.task.higher_is_better else -1
        return max(scored, key=lambda row: sign * (row.test or 0.0), default=None)

    @property
    def prompts_only(self) -> bool:
        """No arm is fine-tuned: nothing is said of fine-tuning."""
        return bool(self.arms) and all(
            (kind := self.kind_of(arm)) is not None and not kind.fine_tuned for arm in self.arms
        )

    def compared(self) -> tuple[ArmSummary | None, ArmSummary | None]:
        """The best arm of each kind; of prompts only, the two of the primary contrast."""
        contrast = self.findings.primary
        if not self.prompts_only or contrast is None:
            return self.best(prompt=False), self.best(prompt=True)
        rows = {row.arm: row for row in self.findings.arms}
        return rows.get(contrast.a), rows.get(contrast.b)

    def baseline(self) -> TrialSummary | None:
        """The trial that scored the untouched base."""
        for trial in self.study.trials:
            if trial.phase == "baseline" and trial.status == "complete":
                return trial
        return None

    def baseline_scores(self) -> dict[str, float]:
        """Metric -> score of the untouched base on the test set; empty if not measured."""
        trial = self.baseline()
        return {
            aggregate.metric: aggregate.value
            for aggregate in (trial.aggregates if trial else ())
            if aggregate.suite == "domain" and aggregate.split == "test"
        }

    def baseline_elsewhere(self) -> dict[str, float]:
        """Out-of-domain task -> the untouched base's score in the primary metric."""
        trial = self.baseline()
        return {
            aggregate.task: aggregate.value
            for aggregate in (trial.aggregates if trial else ())
            if aggregate.suite == "out_of_domain" and aggregate.metric == self.metric
        }

    @property
    def audit(self) -> AuditRecord:
        """What the leakage audit found."""
        return self.study.experiment.data.audit
