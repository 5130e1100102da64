"""What every section is written from: the study, its findings, and lookups in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.findings import ArmSummary, Findings, Samples, SearchPicture
from harness.records import Study, TrialSummary
from harness.report import wording
from harness.report.scales import PLAIN, Scale, scale_of

BASE = "base"
DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Material:
    """One study and what the analysis found in it. Tolerates a study that is not finished."""

    study: Study
    findings: Findings
    pictures: tuple[SearchPicture, ...] = ()
    samples: Samples | None = None

    def declared(self, *path: str) -> Any:
        """The value at ``path`` of the experiment file; None where it has none."""
        value: Any = self.study.experiment.spec
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm, in the order of the experiment file, then of the findings and trials."""
        declared = self.declared("arms")
        names = [str(name) for name in declared] if isinstance(declared, Mapping) else []
        names += [row.arm for row in self.findings.arms]
        names += [trial.arm for trial in self.study.trials]
        return tuple(name for name in dict.fromkeys(names) if name != BASE)

    @property
    def metric(self) -> str:
        """The primary metric; empty if the study does not say."""
        if self.findings.primary is not None:
            return self.findings.primary.metric
        metrics = self.declared("task", "metrics")
        return str(metrics[0]) if isinstance(metrics, list | tuple) and metrics else ""

    @property
    def metric_name(self) -> str:
        """The primary metric in words."""
        return wording.metric(self.metric) if self.metric else "score"

    @property
    def scale(self) -> Scale:
        """How scores of the primary metric are written."""
        return scale_of(self.metric) if self.metric else PLAIN

    @property
    def currency(self) -> str:
        """What money is counted in."""
        return wording.cell(str(self.declared("cost", "currency") or ""), limit=12)

    def kind_of(self, arm: str) -> str:
        """The kind of an arm; empty if unknown."""
        for row in self.findings.arms:
            if row.arm == arm:
                return row.kind
        return str(self.declared("arms", arm, "kind") or "")

    def best(self, prompt: bool) -> ArmSummary | None:
        """The arm of the primary contrast on one side; else the best on test."""
        rows = [row for row in self.findings.arms if (row.kind == "prompt") is prompt]
        contrast = self.findings.primary
        for row in rows:
            if contrast is not None and row.arm in (contrast.a, contrast.b):
                return row
        scored = [row for row in rows if row.test is not None]
        return max(scored, key=lambda row: row.test or 0.0, default=None)

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
            found.metric: found.value
            for found in (trial.aggregates if trial else ())
            if found.suite == "domain" and found.split == "test"
        }

    def baseline_elsewhere(self) -> dict[str, float]:
        """Out-of-domain task -> the untouched base's score in the primary metric."""
        trial = self.baseline()
        return {
            found.task: found.value
            for found in (trial.aggregates if trial else ())
            if found.suite == "out_of_domain" and found.metric == self.metric
        }

    @property
    def audit(self) -> Mapping[str, Any] | None:
        """What the leakage audit found; None where there was none."""
        found = self.study.experiment.data.get("audit")
        return found if isinstance(found, Mapping) else None
