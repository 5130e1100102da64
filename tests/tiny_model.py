"""A Llama of a few thousand weights with its tokenizer, built in a temporary folder in a second.

A folder of tests imports the fixture ``tiny_models`` in its ``conftest.py``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness.models.load import LoadedModel, load_base
from harness.records import Example, ResolvedModel, Runtime
from harness.spec import TaskSpec

HIDDEN, INTERMEDIATE, LAYERS, HEADS, KEY_HEADS, VOCABULARY = 32, 64, 2, 4, 2, 400
MAX_LENGTH = 512

# Parameters by hand: the embedding is tied to the head; keys and values have half the heads.
EMBEDDING = VOCABULARY * HIDDEN
ATTENTION = 2 * HIDDEN * HIDDEN + 2 * HIDDEN * (HIDDEN * KEY_HEADS // HEADS)
LAYER = ATTENTION + 3 * HIDDEN * INTERMEDIATE + 2 * HIDDEN
PARAMETERS = EMBEDDING + LAYERS * LAYER + HIDDEN

SENTENCES = (
    "The parcel came two days late and the box was torn.",
    "Great camera, sharp pictures, the battery lasts all day.",
    "The sentiment of the message is positive or negative.",
    "You classify what customers write. Answer with one word.",
    "system user assistant Input: Answer: positive negative neutral",
)

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
REFUSES_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
)

TASK = TaskSpec.model_validate(
    {
        "instruction": "Is the message positive or negative?",
        "template": "Message: {text}",
        "answer": {"kind": "label", "column": "label", "labels": ["positive", "negative"]},
    }
)

SUITE = """\
name: tiny
include: tasks
tasks:
  - {task: sky, metric: acc, chance: 0.5, text: The sky.}
  - {task: prose, metric: bits_per_byte, accuracy: false, higher_is_better: false, text: Prose.}
"""
SKY = """\
task: sky
dataset_path: json
dataset_kwargs: {data_files: {test: sky.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: gold
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""
PROSE = """\
task: prose
dataset_path: json
dataset_kwargs: {data_files: {test: prose.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
"""


@dataclass(frozen=True, slots=True)
class TinyModels:
    """Folders of the same weights, with different manners.

    chat: ChatML. refuses_system: ChatML without a system role. plain: no chat template.
    with_bos: the tokenizer puts a beginning-of-text token first, the chat template does not.
    with_prefix_space: no chat template, and a tokenizer that puts a space before every text.
    """

    chat: Path
    refuses_system: Path
    plain: Path
    with_bos: Path
    with_prefix_space: Path


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """The tiny models, as folders of safetensors."""
    folder = tmp_path_factory.mktemp("tiny_models")
    return TinyModels(
        chat=write_model(folder / "chat", CHATML),
        refuses_system=write_model(folder / "refuses_system", REFUSES_SYSTEM),
        plain=write_model(folder / "plain", None),
        with_bos=write_model(folder / "with_bos", CHATML, bos="<|text|>"),
        with_prefix_space=write_model(folder / "with_prefix_space", None, prefix_space=True),
    )


def write_model(
    folder: Path, chat_template: str | None, *, bos: str | None = None, prefix_space: bool = False
) -> Path:
    """Save the tiny model and a tokenizer of these manners in ``folder``."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(bos, prefix_space),
        bos_token=bos,
        eos_token="<|im_end|>",  # noqa: S106 - not a password
        pad_token="<|pad|>",  # noqa: S106
    )
    tokenizer.chat_template = chat_template
    model = _model(tokenizer.eos_token_id, tokenizer.pad_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(bos: str | None, prefix_space: bool) -> Any:
    """Byte-level BPE: any text survives the round trip."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>", "<|text|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    if bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    return tokenizer


@cache
def _model(eos: int, pad: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        # Larger than usual: untrained logits then differ clearly, and attention matters.
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=eos,
        pad_token_id=pad,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaForCausalLM(config)


def resolved(folder: Path) -> ResolvedModel:
    """The folder as a resolved reference."""
    return ResolvedModel(reference=str(folder), path=str(folder), fingerprint=folder.name)


def runtime(dtype: str = "float32", score_batch_size: int = 4) -> Runtime:
    """One thread of the CPU."""
    return Runtime("cpu", dtype, score_batch_size, threads=1)


def load_tiny(folder: Path, dtype: str = "float32", *, nf4: bool = False) -> LoadedModel:
    """A fresh copy of the model in memory."""
    return load_base(resolved(folder), runtime(dtype), "nf4" if nf4 else "none")


def message(identity: str, text: str, answer: str, group: str | None = None) -> Example:
    """An example of :data:`TASK`; its own group where none is named."""
    return Example(identity, {"text": text}, answer, identity if group is None else group)


def messages(count: int, start: int = 0) -> tuple[Example, ...]:
    """Distinct messages whose label follows from one of their words."""
    words = (("great", "positive"), ("late", "negative"))
    return tuple(
        message(f"m{i}", f"The parcel {i} was {words[i % 2][0]}", words[i % 2][1])
        for i in range(start, start + count)
    )


def write_suite(folder: Path) -> Path:
    """A general suite of two tasks: ``sky``, of six choices, and ``prose``, of three texts."""
    tasks = folder / "tasks"
    tasks.mkdir()
    sky = [
        {"id": f"s{n}", "question": f"Sky {n} is", "choices": ["blue", "red"], "gold": n % 2}
        for n in range(6)
    ]
    prose = [{"id": f"p{n}", "cluster": "c", "text": f"Café number {n}."} for n in range(3)]
    for name, task, rows in (("sky", SKY, sky), ("prose", PROSE, prose)):
        (tasks / f"{name}.yaml").write_text(task)
        (tasks / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = folder / "tiny.yaml"
    path.write_text(SUITE)
    return path
