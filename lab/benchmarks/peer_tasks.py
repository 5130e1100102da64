"""A study's trials as the files that :mod:`peer_script` reads: tasks, examples, settings."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lm_eval.tasks import TaskManager

from harness.data import read_examples_file
from harness.evaluation.suites.find import build_general_task, item_identity, load_suite
from harness.models.load import load_tokenizer
from harness.prompting import PromptRenderer
from harness.prompting.render import render_template
from harness.records import Example, ScoreRequest, TrialSpec, content_hash
from harness.spec import TaskSpec
from harness.training.batches import epoch_batches
from harness.trial.candidate import answer_room, make_renderer

# What a script without the product would score, too; the rest is the product's extra work.
SCORED = ("domain", "out_of_domain", "general")
IGNORED = -100
READING = '''"""Whether a reply is the answer."""


def process_results(doc, results):
    """lm-eval hook."""
    return {"acc": float(str(results[0]).strip() == doc["answer"])}
'''


@dataclass(frozen=True, slots=True)
class PeerTrial:
    """A trial of the peer."""

    spec: TrialSpec
    """The trial of the product that it repeats."""
    path: Path
    """File that describes it to the peer."""
    out: Path
    """File that the peer writes."""
    tasks: dict[str, ScoreRequest]
    """Name of the lm-eval task -> what the product asked."""
    end: str
    """Text that ends an answer."""


@dataclass(slots=True)
class PeerFiles:
    """Writes trials below ``folder``; tasks that several trials share stand there once."""

    folder: Path
    """Folder of the files."""
    batch_size: int
    """Requests in a forward pass of the peer."""
    _tokenizers: dict[str, Any] = field(default_factory=dict)
    """Path of a model -> its tokenizer."""

    def __post_init__(self) -> None:
        self.tasks.mkdir(parents=True)
        (self.tasks / "reading.py").write_text(READING)

    @property
    def tasks(self) -> Path:
        """Folder of the lm-eval tasks."""
        return self.folder / "tasks"

    def add(self, spec: TrialSpec) -> PeerTrial | None:
        """Write one trial; None where it neither trains nor scores anything new."""
        if spec.model.path not in self._tokenizers:
            self._tokenizers[spec.model.path] = load_tokenizer(spec.model)
        task = TaskSpec.model_validate(spec.task)
        split = read_examples_file(spec.train_path)
        pool = split[: spec.train_items]
        renderer = make_renderer(spec, task, pool, self._tokenizers[spec.model.path])
        asked: dict[str, ScoreRequest] = {}
        chat: list[str] = []
        for request in spec.scores:
            if request.suite not in SCORED or request.key in spec.known_scores:
                continue
            if request.suite == "general":
                name, with_template = self._general(request)
            else:
                name, with_template = self._domain(spec, request, task, split, renderer), False
            asked[name] = request
            if with_template:
                chat.append(name)
        if not asked and spec.kind == "prompt":
            return None
        place = self.folder / spec.trial_id
        out = place.with_suffix(".out.json")
        plan = {
            "model": spec.model.path,
            "kind": spec.kind,
            "params": spec.params,
            "seed": spec.seed,
            "dtype": spec.runtime.dtype,
            "threads": max(1, spec.runtime.threads),
            "batch_size": self.batch_size,
            "folder": str(place),
            "include": str(self.tasks),
            "tasks": [name for name in asked if name not in chat],
            "chat_tasks": chat,
            "out": str(out),
            **(_training(spec, pool, renderer) if spec.kind != "prompt" else {}),
        }
        path = place.with_suffix(".json")
        path.write_text(json.dumps(plan))
        return PeerTrial(spec, path, out, asked, renderer.end)

    def _domain(
        self,
        spec: TrialSpec,
        request: ScoreRequest,
        task: TaskSpec,
        split: tuple[Example, ...],
        renderer: PromptRenderer,
    ) -> str:
        answers = task.answer.valid_answers(split) or ()
        choosing = spec.params["answering"] == "choice"
        choices = [renderer.lead + answer + renderer.end for answer in answers]
        docs = [
            {
                "bench_id": item.id,
                "text": render_template(task, item),
                "prompt": renderer.prompt(item),
                "answer": item.answer,
                **({"choices": choices, "gold": 0} if choosing else {}),
            }
            for item in read_examples_file(request.items_path)
        ]
        config: dict[str, Any] = {
            "test_split": "test",
            "doc_to_text": "{{prompt}}",
            "target_delimiter": "",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        }
        if choosing:
            config |= {
                "output_type": "multiple_choice",
                "doc_to_choice": "choices",
                "doc_to_target": "gold",
            }
        else:
            config |= {
                "output_type": "generate_until",
                "doc_to_target": "answer",
                "process_results": _Function("reading.process_results"),
                "generation_kwargs": {
                    "until": list(renderer.stops),
                    "max_gen_toks": task.max_new_tokens or answer_room(renderer, split),
                    "do_sample": False,
                },
            }
        return self._write(f"{request.task}_{request.split}", config, docs)

    def _general(self, request: ScoreRequest) -> tuple[str, bool]:
        suite = load_suite(Path(request.suite_path))
        built = build_general_task(
            suite, request.task, request.limit, skip=request.skip, half=request.half
        )
        docs = [{**doc, "bench_id": item_identity(doc)[0]} for doc in built.eval_docs]
        entry = TaskManager(include_path=str(suite.folders[0]), include_defaults=False).task_index[
            request.task
        ]
        source = Path(entry.yaml_path)
        config = yaml.load(source.read_text(), Loader=_TaskLoader)  # noqa: S506 - a SafeLoader
        for name in ("custom_dataset", "dataset_path", "dataset_kwargs", "task"):
            config.pop(name, None)
        for module in source.parent.glob("checks.py"):
            shutil.copy(module, self.tasks)
        return self._write(request.task, config, docs), suite.task(request.task).chat

    def _write(self, name: str, config: dict[str, Any], docs: list[dict[str, Any]]) -> str:
        name = f"{name}_{content_hash([config, docs], 8)}"
        data = self.tasks / f"{name}.jsonl"
        data.write_text("\n".join(json.dumps(doc) for doc in docs) + "\n")
        whole = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}},
            **config,
            "metadata": {"version": 1},
        }
        text = yaml.dump(whole, Dumper=_TaskDumper, sort_keys=False, allow_unicode=True)
        (self.tasks / f"{name}.yaml").write_text(text)
        return name


def _training(
    spec: TrialSpec, pool: tuple[Example, ...], renderer: PromptRenderer
) -> dict[str, Any]:
    encoded = [renderer.encode(item) for item in pool]
    examples = [one for one in encoded if one.length <= spec.params["max_length"]]
    rng = np.random.default_rng([spec.seed, 2])
    lengths = [one.length for one in examples]
    epochs, size = spec.params["epochs"], spec.params["batch_size"]
    return {
        "train": [
            {
                "input_ids": [*one.prompt, *one.answer],
                "labels": [IGNORED] * len(one.prompt) + list(one.answer),
            }
            for one in examples
        ],
        "batches": [batch for _ in range(epochs) for batch in epoch_batches(lengths, size, rng)],
    }


class _Function(str):
    """The name of a function, which YAML marks with a tag."""


class _TaskLoader(yaml.SafeLoader):
    """Reads a task file without importing the functions it names."""


class _TaskDumper(yaml.SafeDumper):
    """Writes a task file."""


_TaskLoader.add_constructor("!function", lambda loader, node: _Function(node.value))
_TaskDumper.add_representer(
    _Function, lambda dumper, name: dumper.represent_scalar("!function", str(name))
)
