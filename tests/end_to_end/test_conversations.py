"""A study on conversations with real weights: prompts and LoRA, every answer or the last."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.data import read_examples_file
from harness.engine.in_process import InProcessEngine
from harness.export import export_prompt
from harness.export.final_run import find_final_run
from harness.models.load import load_tokenizer
from harness.records import Example, Phase, TrialSummary
from harness.review.studies import find_study
from harness.spec import Experiment, TaskSpec
from harness.store import StoreReader
from harness.study.executing import execute_trial
from harness.study.run import StudyRun, run_study
from harness.trial.candidate import make_renderer
from tests.tiny_model import TinyModels, tiny_models
from tests.untimed import untimed_module

__all__ = ["tiny_models", "untimed_module"]
pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("untimed_module")]

TALKS = 24


def rows() -> list[dict[str, Any]]:
    """Conversations of two answers, those of odd numbers of three, under one system message."""
    talks = []
    for n in range(TALKS):
        said = [f"Is parcel {n} late?", "yes" if n % 2 else "no", f"And parcel {n * n + 50}?", "no"]
        said += [f"Great {n}?", "yes"] if n % 2 else []
        talk = [{"role": ("user", "assistant")[k % 2], "content": c} for k, c in enumerate(said)]
        talks.append({"messages": [{"role": "system", "content": "Be brief."}, *talk]})
    return talks


def experiment(folder: Path, model: Path, turns: str) -> Experiment:
    """The study, whose data are written to ``folder``."""
    data = folder / "talks.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    lora = {"kind": "lora", "rank": 2, "epochs": 12, "learning_rate": 2e-2, "batch_size": 4}
    return Experiment.model_validate(
        {
            "name": f"talks-{turns}",
            "model": {"reference": str(model), "dtype": "float32", "device": "cpu"},
            "data": {
                "source": str(data),
                "leaks": "report",
                "conversations": {"turns": turns},
                "splits": {"train": 0.5, "validation": 0.25, "test": 0.25},
            },
            "task": {
                "instruction": "",
                "answer": {"kind": "text", "column": "messages_response"},
                "metrics": ["exact_match"],
                "max_new_tokens": 3,
            },
            "arms": {
                "zero": {"kind": "prompt", "instruction": {"choices": ["", "Answer yes or no."]}},
                "few": {"kind": "prompt", "shots": 1},
                "lora": lora,
            },
            "budget": {"trials": 2, "test_default": False},
            "seeds": [1],
            "general": None,
            "memorisation_items": 4,
            "score_batch_size": 4,
        }
    )


@dataclass
class Ran:
    """A study that was run."""

    done: StudyRun
    turns: str

    def items(self, name: str) -> tuple[Example, ...]:
        """A set of items as the trials were handed it."""
        (path,) = self.done.store.parent.glob(f"talks-*/splits/{name}-*.parquet")
        return read_examples_file(path)

    def trial(self, arm: str, phase: Phase) -> TrialSummary:
        """One of its trials."""
        trials = StoreReader(self.done.store).trials(self.done.experiment_id)
        return next(trial for trial in trials if (trial.arm, trial.phase) == (arm, phase))


@pytest.fixture(scope="module", params=["every", "last"])
def ran(
    request: pytest.FixtureRequest,
    tiny_models: TinyModels,
    tmp_path_factory: pytest.TempPathFactory,
) -> Ran:
    """The study with every answer, and with the last ones."""
    folder = tmp_path_factory.mktemp(f"talks-{request.param}")
    spec = experiment(folder, tiny_models.chat, request.param)
    engine = InProcessEngine(execute_trial)
    return Ran(run_study(spec, folder / "results", open_with=lambda: engine), request.param)


def test_all_turns_of_a_conversation_are_one_cluster_of_one_split(ran: Ran) -> None:
    assert ran.done.trials_failed == 0
    test = ran.items("test")
    sizes = Counter(item.group for item in test)
    assert set(sizes.values()) == ({2, 3} if ran.turns == "every" else {1})
    assert not set(sizes) & {item.group for item in ran.items("train")}
    scored = StoreReader(ran.done.store).query(
        "SELECT DISTINCT item_id, cluster FROM item_output JOIN score USING (score_key) "
        "WHERE split = 'test' AND suite = 'domain'"
    )
    assert {(row["item_id"], row["cluster"]) for row in scored.named} == {
        (item.id, item.group) for item in test
    }


def test_every_answer_of_training_is_learnt_in_one_sequence_a_conversation(ran: Ran) -> None:
    lora = ran.trial("lora", "finalist")
    train = ran.items("train")
    talks = {item.conversation for item in train}
    assert lora.train_examples == len(train)
    # The line of a conversation says how many answers it has.
    answers = sum(2 + (int(name) - 1) % 2 for name in talks)
    assert (len(train), len(talks)) == ((answers if ran.turns == "every" else 12), 12)
    # Twelve conversations in batches of four, twelve times over.
    assert [step.steps for step in lora.steps[:1]] == [36]
    first, last = lora.steps[0].loss, lora.steps[-1].loss
    assert first is not None
    assert last is not None
    assert last < first / 2
    assert lora.canaries is not None
    assert lora.canaries.prompt_tokens_equal


def test_the_study_has_a_verdict_and_a_report(ran: Ran) -> None:
    study = find_study(ran.done.store.parent, None)
    findings = study.findings
    assert {arm.arm for arm in findings.arms} == {"zero", "few", "lora"}
    assert findings.verdict.sentence
    assert study.experiment.data.conversations is not None


@pytest.mark.parametrize("arm", ["zero", "few", "lora"])
def test_a_saved_prompt_asks_a_conversation_as_the_study_asked(
    ran: Ran, tmp_path: Path, arm: str
) -> None:
    path = tmp_path / "prompt.json"
    results = ran.done.store.parent
    saved = export_prompt(results, None, path, arm=arm)
    spec = find_final_run(results, None, arm).spec
    train = read_examples_file(spec.train_path)
    task = TaskSpec.model_validate(spec.task)
    renderer = make_renderer(spec, task, train, load_tokenizer(spec.model))
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["fields"] == []
    first = next(n for n, line in enumerate(saved.usage) if line.startswith("body ="))
    fill = saved.usage[first : first + 5]
    for item in ran.items("test"):
        names: dict[str, Any] = {
            "saved": json.loads(json.dumps(content)),
            "item": list(item.messages),
        }
        exec("\n".join(fill), names)  # noqa: S102 - the very lines that a user is told to run
        assert names["body"]["messages"] == renderer.messages(item)
