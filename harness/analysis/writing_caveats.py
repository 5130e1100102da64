"""What a reader must know of what a model wrote for prompts, in full sentences."""

from __future__ import annotations

from collections.abc import Iterator

from harness.records import Study
from harness.spec import Experiment
from harness.spec.served_arms import writer_servers
from harness.wording import plural


def writing_caveats(study: Study, experiment: Experiment) -> Iterator[str]:
    """Sentences on what was copied, on what could not be written, and on what was sent away."""
    selected = {
        (trial.arm, trial.params.get("instruction"))
        for trial in study.trials
        if trial.phase == "finalist"
    }
    for trial in study.trials:
        if trial.phase == "bootstrap" and trial.status != "complete":
            yield (
                f"No reasoning could be written for the worked examples of {trial.arm} "
                f"({trial.failure_message}): they showed answers alone where it was to stand."
            )
        if trial.phase != "writing":
            continue
        writing = trial.writing
        if writing is None:
            yield (
                f"No instruction could be written for {trial.arm} ({trial.failure_message}): it "
                "was searched with the task's own alone."
            )
        elif writing.quoted and (trial.arm, writing.text) in selected:
            yield (
                f"The instruction that was written for {trial.arm} quotes training rows, "
                f"{plural(len(writing.quoted), 'run')} of 8 words or more: read it before it is "
                "used."
            )
    away = [arm for arm, server in writer_servers(experiment).items() if not server.local]
    if away:
        yield (
            "Training rows and replies to them were sent to the servers that wrote the "
            f"instructions of {', '.join(away)}."
        )


__all__ = ["writing_caveats"]
