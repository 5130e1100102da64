"""What is not known of weights that were trained elsewhere, in full sentences."""

from __future__ import annotations

from harness.findings import Verdict
from harness.records import AuditRecord, items_of
from harness.spec import BroughtArm, Experiment
from harness.spec.starts import rows_elsewhere
from harness.wording import agreeing, listed, plural


def brought_caveats(experiment: Experiment, audit: AuditRecord) -> list[str]:
    """Sentences on training data that are not known, or that hold items of the test set."""
    sentences = []
    for name, rows in rows_elsewhere(experiment.arms).items():
        if rows is None:
            before = "" if isinstance(experiment.arms[name], BroughtArm) else " before"
            sentences.append(
                f"It is not known what {name} was trained on{before}, so that leaks of test items "
                "into it cannot be excluded, nor was looked for what it memorised; trained_on "
                "names its rows."
            )
            continue
        unread = audit.brought_unread.get(name, 0)
        if unread:
            sentences.append(
                f"{plural(unread, 'row')} that {name} was trained on could not be read, so that "
                "leaks of test items into it cannot be excluded."
            )
        for split, so in (
            ("test", "so that its score may be too good"),
            ("validation", "so that it may have been picked for what it had seen"),
        ):
            flagged = items_of(audit.brought.get(name, {}).get(split, {}))
            if flagged:
                sentences.append(
                    f"{plural(len(flagged), 'item')} of the {split} set "
                    f"{agreeing(len(flagged), 'shares', 'share')} text with the rows that {name} "
                    f"was trained on, {so}."
                )
    return sentences


def untried_caveats(experiment: Experiment, verdict: Verdict) -> list[str]:
    """That a verdict for prompting rests on trainings of which nothing is known."""
    trained = experiment.trained_arms()
    all_brought = all(isinstance(arm, BroughtArm) for arm in trained.values())
    if not trained or not all_brought or verdict.winner not in experiment.prompt_arms():
        return []
    return [
        f"How hard the training of {listed(trained)} was tried is not known, as it took place "
        "elsewhere: the verdict is about these weights, and not about what fine-tuning can do; an "
        "arm of kind full, lora or qlora would be tuned here."
    ]


__all__ = ["brought_caveats", "untried_caveats"]
