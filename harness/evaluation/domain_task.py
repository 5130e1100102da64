"""The user's task as an lm-eval task, so that domain and general scores come from one code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.answers.metrics import CONFIDENCE, MetricInfo, macro_f1, mean
from harness.evaluation.brought_metrics import BroughtMetrics
from harness.prompting.render import shown_text
from harness.records import Example
from harness.spec import TaskSpec

Doc = dict[str, Any]


def build_domain_task(
    name: str,
    task: TaskSpec,
    examples: Sequence[Example],
    prompt: Callable[[Example], str],
    *,
    end: str,
    max_new_tokens: int,
    stops: Sequence[str] = (),
    labels: Sequence[str] = (),
    choices: Mapping[str, str] | None = None,
    brought: BroughtMetrics | None = None,
    as_kept: Callable[[str], str] = str,
) -> Any:
    """An lm-eval task over ``examples``.

    The document holds nothing that differs between arms (id, text, answer), so lm-eval's
    doc_hash pairs them; the prompt is rendered outside it.

    Args:
        prompt: the rendered prompt of an example.
        end: text that ends an answer, such as the end-of-turn token.
        stops: texts that end a generated reply; ``end`` alone if not given.
        choices: answers to choose among by likelihood -> each as it stands after a prompt, with
            what ends it; None generates.
        brought: the task's metrics that the user brings, for ``examples``; made anew if not given.
        as_kept: brings a reply into the notation in which it is read, as
            :meth:`harness.prompting.PromptRenderer.as_kept`.
    """
    import datasets
    from lm_eval.api.task import ConfigurableTask

    by_id = {example.id: example for example in examples}
    docs = [
        {
            "id": e.id,
            "cluster": e.group,
            "text": shown_text(task, e),
            "answer": e.answer,
        }
        for e in examples
    ]
    read = task.answer.reader(labels)
    # A judge marks replies once they are all there.
    marked = {name for judged in task.judged for name in judged.metric_names}
    metrics = [metric for metric in task.metric_infos if metric.name not in marked]
    own = {metric.name for metric in task.answer.metrics}
    asked = brought or BroughtMetrics(task, examples)

    def process_results(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
        if choices is None:
            reply = as_kept(str(results[0]))
        else:
            likelihoods = [float(result[0]) for result in results]
            reply = list(choices)[likelihoods.index(max(likelihoods))]
            sure = 1 / sum(math.exp(one - max(likelihoods)) for one in likelihoods)
        reading = read(task.answer.target_of(by_id[doc["id"]]), reply)
        values: dict[str, Any] = dict(asked.values(doc["id"], reply))
        for metric in metrics:
            if metric.name in own:
                values[metric.name] = (
                    reading.metrics[metric.name] if metric.per_item else reading.classes
                )
        shown = {metric.name: values[metric.name] for metric in metrics}
        return shown if choices is None else {**shown, CONFIDENCE.name: sure}

    def aggregation(metric: MetricInfo) -> Callable[[Any], float]:
        if metric.name in own | {CONFIDENCE.name}:
            return mean if metric.per_item else macro_f1
        return asked.aggregation(metric.name)

    config: dict[str, Any] = {
        "task": name,
        "custom_dataset": lambda **_: {"test": datasets.Dataset.from_list(docs)},
        "test_split": "test",
        "doc_to_text": lambda doc: prompt(by_id[doc["id"]]),
        "doc_to_target": lambda doc: doc["answer"],
        "target_delimiter": "",
        "process_results": process_results,
        "metric_list": [
            {
                "metric": metric.name,
                "aggregation": aggregation(metric),
                "higher_is_better": metric.higher_is_better,
            }
            for metric in (*metrics, *([] if choices is None else [CONFIDENCE]))
        ],
        "metadata": {"version": 1},
    }
    if choices is None:
        config["output_type"] = "generate_until"
        config["generation_kwargs"] = {
            "until": list(stops) or ([end] if end else []),
            "max_gen_toks": max_new_tokens,
            "do_sample": False,
        }
    else:
        config["output_type"] = "multiple_choice"
        config["doc_to_choice"] = lambda doc: list(choices.values())
        config["doc_to_target"] = lambda doc: 0
    return ConfigurableTask(config=config)
