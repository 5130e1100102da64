"""Metrics and forms of a model by the names that a reader knows."""

from __future__ import annotations

from harness.answers.metrics import METRICS
from harness.spec import TaskSpec
from harness.wording import clean

FORMS = {
    "base": "base model",
    "base-nf4": "base model, quantised to 4 bits (NF4)",
    "base-fp4": "base model, quantised to 4 bits (FP4)",
    "full": "fully fine-tuned weights",
    "commanded": "what the training command left",
    "merged": "adapter merged into the base",
    "endpoint": "model on a server",
}

FOUR_BITS = {"nf4": "4 bits (NF4)", "fp4": "4 bits (FP4)"}


def metric_name(name: str, task: TaskSpec | None = None) -> str:
    """A metric's name in words; ``task`` knows those of its own."""
    info = METRICS.get(name) or (task and task.metric_info(name))
    return clean(info.label if info else name, limit=60)


def turned(name: str, task: TaskSpec) -> str:
    """A sentence on how differences of a metric are to be read; empty where higher is better."""
    info = METRICS.get(name) or task.metric_info(name)
    if info is None or info.higher_is_better:
        return ""
    return (
        f"Of {metric_name(name, task)} lower is better; its differences are turned, so that a "
        "positive one is better."
    )


def form_name(name: str) -> str:
    """What was scored, in words."""
    if name.startswith("adapter-on-"):
        base = name.removeprefix("adapter-on-")
        return f"adapter on the base in {FOUR_BITS.get(base) or clean(base)}"
    return FORMS.get(name, clean(name))


__all__ = ["FOUR_BITS", "form_name", "metric_name", "turned"]
