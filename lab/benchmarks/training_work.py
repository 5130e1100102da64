"""What a training benchmark trains, and on what: the same values for every side."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harness.data import prepare
from harness.models.load import load_tokenizer
from harness.models.resolve import resolve_model
from harness.prompting import PromptRenderer, ShotSelector, TokenisedExample
from harness.prompting.render import fill
from harness.records import Example, ResolvedModel, Runtime, Splits
from harness.spec import Experiment, ModelSpec, load_experiment
from harness.spec.settings import TrainedSettings
from harness.training.batches import epoch_batches

Data = Literal["feedback", "long", "plain"]
FEEDBACK = Path("experiments/product-feedback.yaml")
SEED = 1
LONG_SHOTS = 6
# Sizes of Llamas of 1,073 and 31 million weights, and of one that trains in a second.
RANDOM_MODELS: dict[str, dict[str, Any]] = {
    "random-1b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "random-30m": {
        "hidden_size": 384,
        "intermediate_size": 1024,
        "num_hidden_layers": 8,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
    },
    "random-tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}


@dataclass(frozen=True, slots=True)
class Work:
    """One arm on one set of examples.

    settings: every hyperparameter, as the arm of the experiment has it by default.
    ordered: the examples, one after the other, as the product's own batches hold them; every
        batch but the last is full, so that whoever reads them in this order makes those batches.
    """

    model: ResolvedModel
    """The base model."""
    runtime: Runtime
    """Where and how it computes."""
    kind: str
    """Kind of the arm."""
    settings: TrainedSettings
    seed: int
    """Seed of data order and initialisation."""
    examples: tuple[TokenisedExample, ...]
    """Training examples."""
    held_out: tuple[TokenisedExample, ...]
    """Examples that are not trained on."""
    tokenizer: Any
    """Tokenizer of the model."""

    @property
    def tokens(self) -> int:
        """Real tokens that training passes over, padding not counted."""
        return sum(example.length for example in self.examples) * self.settings.epochs

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return -(-len(self.examples) // self.batch_size) * self.settings.epochs

    @property
    def batch_size(self) -> int:
        """Examples a step."""
        return self.settings.batch_size

    @property
    def ordered(self) -> list[TokenisedExample]:
        """The examples of all epochs, in the order in which the product trains on them."""
        rng = np.random.default_rng([self.seed, 2])
        lengths = [example.length for example in self.examples]
        found: list[TokenisedExample] = []
        for _ in range(self.settings.epochs):
            for batch in epoch_batches(lengths, self.batch_size, rng):
                found.extend(self.examples[index] for index in batch)
        return found

    def computing_in(self, dtype: str) -> Work:
        """The same work in another number format."""
        return replace(self, runtime=replace(self.runtime, dtype=dtype))


def make_work(
    kinds: Sequence[str], model: ResolvedModel, runtime: Runtime, data: Data, count: int, held: int
) -> list[Work]:
    """The work of each arm: the first ``count`` training and ``held`` validation examples.

    Raises:
        ValueError: ``count`` makes no whole batches, so that other sides would make other ones.
    """
    experiment = load_experiment(FEEDBACK)
    splits = prepare(experiment).splits
    tokenizer = load_tokenizer(model)
    examples = _encoded(experiment, splits, splits.train[:count], tokenizer, data)
    held_out = _encoded(experiment, splits, splits.validation[:held], tokenizer, data)
    works = []
    for kind in kinds:
        arm = experiment.arms[kind]
        settings = arm.resolve(arm.defaults())
        if not isinstance(settings, TrainedSettings):
            raise ValueError(f"{kind}: it trains nothing")
        if count % settings.batch_size or settings.micro_batch_size != settings.batch_size:
            raise ValueError(f"examples: {count} is no multiple of {settings.batch_size}")
        works.append(Work(model, runtime, kind, settings, SEED, examples, held_out, tokenizer))
    return works


def _encoded(
    experiment: Experiment,
    splits: Splits,
    items: Sequence[Example],
    tokenizer: Any,
    data: Data,
) -> tuple[TokenisedExample, ...]:
    task = experiment.task
    if data == "plain":
        # The text comes first and the question after it: no two prompts begin alike.
        return tuple(
            TokenisedExample(
                item.id,
                tuple(tokenizer(f"{fill(task.template, item)}\n\n{task.instruction}\n").input_ids),
                (*tokenizer(item.answer).input_ids, tokenizer.eos_token_id),
            )
            for item in items
        )
    shots = ShotSelector(
        splits.train[-32:],
        LONG_SHOTS if data == "long" else 0,
        "balanced",
        lambda item: fill(task.template, item),
        np.random.default_rng([SEED, 1]),
    )
    renderer = PromptRenderer(tokenizer, task, shots.select)
    return tuple(renderer.encode(item) for item in items)


def find_model(name: str, cleanup: Path) -> ResolvedModel:
    """A model by reference, or one of :data:`RANDOM_MODELS`, drawn anew into ``cleanup``."""
    if name not in RANDOM_MODELS:
        return resolve_model(ModelSpec(reference=name))
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    packaged = resolve_model(ModelSpec(reference="smollm2-135m-instruct"))
    tokenizer = load_tokenizer(packaged)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **RANDOM_MODELS[name],
    )
    torch.manual_seed(SEED)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=cleanup))
    made = LlamaForCausalLM(config).bfloat16()
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ResolvedModel(name, str(folder), name)
