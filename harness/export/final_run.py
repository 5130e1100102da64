"""Which final run of a study is exported, and whether what it left is still there."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from harness.analysis.statistics.scores import validation_worth
from harness.engine.ray.inputs import input_paths, with_paths
from harness.errors import InputError
from harness.models.brought import fingerprint_of, is_adapter
from harness.records import (
    ARTIFACT,
    TRIALS,
    ScoreRequest,
    TrialSpec,
    TrialSummary,
    file_sha256,
    from_json,
)
from harness.review.studies import AnalysedStudy, find_study
from harness.spec.kinds import kind_info
from harness.store import STORE_FILE, StoreReader


@dataclass(frozen=True, slots=True)
class FinalRun:
    """A final run and its study."""

    analysed: AnalysedStudy
    """The study with its findings."""
    trial: TrialSummary
    """The final run as the store has it."""
    spec: TrialSpec
    """Its specification, with the paths of this machine."""
    folder: Path
    """Where the trial left its files."""
    environment: dict[str, str]
    """Library -> version, of the process that ran it."""
    why: str
    """How it was chosen, a sentence."""

    @property
    def title(self) -> str:
        """Study, arm and seed, for messages."""
        return f"{self.analysed.study.experiment.name}, {self.trial.arm}, seed {self.trial.seed}"

    @property
    def template(self) -> str:
        """The template of its items."""
        own = self.spec.params.get("template")
        return str(self.spec.task["template"] if own is None else own)

    @property
    def metric(self) -> str:
        """The study's primary metric."""
        return self.analysed.experiment.task.primary_metric


def find_final_run(
    results: Path, name: str | None, arm: str | None = None, seed: int | None = None
) -> FinalRun:
    """The final run to export.

    Args:
        arm: arm of the run; the verdict's winner if None.
        seed: seed of the run; if None, that of the arm's complete final run with the best primary
            metric on validation: the test set is not asked which one to take.

    Raises:
        InputError: no such study, arm or run; or no arm is named and the verdict names none.
    """
    analysed = find_study(results, name)
    experiment, verdict = analysed.study.experiment, analysed.findings.verdict
    final = [trial for trial in analysed.study.trials if trial.phase == "finalist"]
    complete = [trial for trial in final if trial.status == "complete"]
    if arm is None and not verdict.winner:
        arms = ", ".join(dict.fromkeys(trial.arm for trial in complete)) or "none is finished yet"
        raise InputError(
            f"the verdict on {experiment.name} names no winner: say with --arm which one "
            f"({arms}). The verdict: {verdict.sentence}"
        )
    chosen = verdict.winner if arm is None else arm
    if chosen in analysed.experiment.reference_arms():
        raise InputError(
            f"{chosen} is a classifier: it has no prompt and no weights of a language model. It is "
            "fitted to the training rows anew wherever it is needed, which takes seconds; the "
            "report has its settings. Name an arm with a language model (--arm)"
        )
    runs = [trial for trial in complete if trial.arm == chosen]
    if not runs:
        raise InputError(_no_run(chosen, experiment.name, final))
    if seed is None:
        metric = analysed.experiment.task.primary
        trial = max(runs, key=lambda run: validation_worth(run, metric))
        how = f"seed {trial.seed}"
        if len(runs) > 1:
            how += f", the best of {len(runs)} final runs on validation"
    else:
        of_seed = [trial for trial in runs if trial.seed == seed]
        if not of_seed:
            seeds = ", ".join(str(trial.seed) for trial in runs)
            raise InputError(f"{chosen} has no complete final run of seed {seed}; it has {seeds}")
        (trial,) = of_seed
        how = f"seed {seed}, as asked for"
    who = "the verdict's winner" if arm is None else "the arm asked for"
    return _read(results, analysed, trial, f"{chosen}, {who}; {how}")


def _no_run(arm: str, study: str, final: list[TrialSummary]) -> str:
    mine = [trial for trial in final if trial.arm == arm]
    if mine:
        return (
            f"no final run of {arm} is complete: {mine[0].failure_kind}: {mine[0].failure_message}"
        )
    known = ", ".join(dict.fromkeys(trial.arm for trial in final)) or "none yet"
    return f"{study} has no final run of an arm called {arm!r}; it has final runs of: {known}"


def _read(results: Path, analysed: AnalysedStudy, trial: TrialSummary, why: str) -> FinalRun:
    reader = StoreReader(results / STORE_FILE)
    own = reader.query("SELECT spec, environment FROM trial WHERE trial_id = ?", [trial.trial_id])
    (row,) = own.named
    home = results.resolve() / analysed.study.experiment.folder
    spec = from_json(TrialSpec, row["spec"])
    # It may have been run for another study, with other metrics, or first for the search.
    task = analysed.experiment.task.model_dump(mode="json", by_alias=True)
    asked = _tested(reader, analysed.study.experiment.experiment_id, trial, home)
    return FinalRun(
        analysed=analysed,
        trial=trial,
        spec=_here(replace(spec, scores=asked, task=task), home),
        folder=results.resolve() / TRIALS / trial.trial_id,
        environment=json.loads(row["environment"]),
        why=why,
    )


def _tested(
    reader: StoreReader, experiment_id: str, trial: TrialSummary, home: Path
) -> tuple[ScoreRequest, ...]:
    """What the study asked of its final run on its own test set."""
    rows = reader.query(
        "SELECT s.score_key, s.asked FROM named_score l JOIN score s USING (score_key) "
        "JOIN named_trial t USING (entry) WHERE l.experiment_id = ? AND l.trial_id = ? "
        "AND t.phase = 'finalist' AND l.suite = 'domain' AND l.split = 'test'",
        [experiment_id, trial.trial_id],
    ).named
    items = sorted((home / "splits").glob("test-*.parquet"))
    if not rows or not items:
        return ()
    return (
        ScoreRequest(
            key=rows[0]["score_key"],
            task="domain",
            suite="domain",
            split="test",
            items_path=str(items[0]),
            asked=rows[0]["asked"],
        ),
    )


def _here(spec: TrialSpec, home: Path) -> TrialSpec:
    """The specification with its item sets where they lie now, if the results were moved."""
    places = {}
    for path, kind in input_paths(spec).items():
        moved = home / "splits" / Path(path).name
        if kind == "file" and not Path(path).exists() and moved.exists():
            places[path] = str(moved)
    return with_paths(spec, places)


def brought_folder(run: FinalRun) -> Path:
    """The folder of weights that were trained elsewhere, as they were scored.

    Raises:
        InputError: it is gone, or holds something else by now.
    """
    folder = Path(run.spec.trained_path)
    if not folder.is_dir():
        raise InputError(f"{run.title}: {folder} is gone; put it back from a copy")
    if fingerprint_of(folder) != run.spec.identity.get("weights brought"):
        raise InputError(
            f"{run.title}: what {folder} holds is not what was scored; put that back, or run the "
            "study again"
        )
    return folder


def weights_folder(run: FinalRun) -> Path | None:
    """The folder of the fine-tuned weights, whole and as they were scored; None for a prompt.

    Raises:
        InputError: they are gone, or are others by now.
    """
    if kind_info(run.spec.kind).brought:
        return brought_folder(run)
    if not kind_info(run.spec.kind).trains:
        return None
    trained_files(run)
    return run.folder / ARTIFACT


def is_adapter_run(run: FinalRun) -> bool:
    """Whether what was scored is an adapter, whoever trained it."""
    kind = kind_info(run.spec.kind)
    if not kind.outside:
        return kind.adapts
    folder = Path(run.spec.trained_path) if kind.brought else run.folder / ARTIFACT
    return is_adapter(folder)


def trained_files(run: FinalRun) -> list[Path]:
    """The files with the trained weights, whole and as the trial left them.

    Raises:
        InputError: the arm trains nothing, or a file is gone or was altered; says what to do.
    """
    if kind_info(run.spec.kind).brought:
        raise InputError(
            f"{run.trial.arm} was trained elsewhere: its weights are yours, and lie where its "
            "`path` says"
        )
    if not kind_info(run.spec.kind).trains:
        raise InputError(
            f"{run.trial.arm} is a prompt: it trained no weights. `harness export prompt` writes "
            "its messages"
        )
    remedy = (
        f"put the folder {run.folder / ARTIFACT} back from a copy, or train it again: harness run "
        "with the same experiment file and another --results folder, then export from there"
    )
    if not run.trial.artifacts:
        raise InputError(f"{run.title}: no trained weights were kept; {remedy}")
    paths = []
    for artifact in run.trial.artifacts:
        path = run.folder / artifact.path
        if not path.is_file():
            raise InputError(f"{run.title}: {path} is gone; {remedy}")
        if file_sha256(path) != artifact.sha256:
            raise InputError(f"{run.title}: {path} is not what the trial left; {remedy}")
        paths.append(path)
    return paths


__all__ = [
    "FinalRun",
    "brought_folder",
    "find_final_run",
    "is_adapter_run",
    "trained_files",
    "weights_folder",
]
