"""Examples that were not trained on, and prompts that were not read whole, are told."""

from __future__ import annotations

from dataclasses import replace

from harness.analysis.whole_study import analyse
from harness.findings import Findings
from harness.records import Study, TrialSummary

from .study_builder import StudyBuilder, experiment, right


def study() -> Study:
    built = StudyBuilder(experiment({"few-shot": "prompt", "lora": "lora"}))
    built.search("few-shot", [0.5]).search("lora", [0.7])
    for seed in (1, 2, 3):
        built.finalist("few-shot", seed, {"test": right(0.5)})
        built.finalist("lora", seed, {"test": right(0.8)})
    return built.build()


def found(trained_on: int | None = None, cut: tuple[str, ...] = ()) -> Findings:
    """Findings where lora's final runs trained on so many examples of what training had."""

    def told(trial: TrialSummary) -> TrialSummary:
        trained = trained_on if trial.arm == "lora" else None
        return replace(trial, train_examples=trained, cut=cut)

    whole = study()
    return analyse(replace(whole, trials=tuple(map(told, whole.trials))), resamples=200)


def test_fewer_examples_than_there_are_is_a_caveat_and_a_figure() -> None:
    count = study().experiment.splits["train"]
    findings = found(trained_on=count - 3)
    assert any(
        f"lora was trained on {count - 3} of the {count} training examples" in caveat
        for caveat in findings.verdict.caveats
    )
    by_arm = {arm.arm: arm.cost.train_examples for arm in findings.arms}
    assert (by_arm["lora"], by_arm["few-shot"]) == (count - 3, None)
    assert not any("training examples:" in one for one in found(count).verdict.caveats)
    assert not any("training examples:" in one for one in found().verdict.caveats)


def test_what_was_cut_is_told_once() -> None:
    sentence = "4 prompts of sums are longer than the 512 tokens that the model reads"
    caveats = found(cut=(sentence,)).verdict.caveats
    assert [caveat for caveat in caveats if "prompts of sums" in caveat] == [f"{sentence}."]
