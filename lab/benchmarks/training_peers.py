"""The training benchmark's sides: the product, transformers' ``Trainer``, TRL's ``SFTTrainer``.

Each trains the same work and is timed over its steps alone. The peers are written as someone would
who wants them fast: examples tokenised before, batches of like length, padding only to the longest
of a batch, no checkpoints, no logs, fused AdamW, and the number format in :func:`_peer_model`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
from datasets import Dataset
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    DataCollatorForSeq2Seq,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from harness.models.adapters import make_trainable
from harness.models.load import load_arms_base
from harness.models.tree_attention import takes_branches
from harness.models.tree_pass import takes_trees
from harness.spec.settings import FullSettings, QloraSettings
from harness.training.job import TrainingJob, run_job
from harness.training.schedule import learning_rate_at
from lab.benchmarks.training_work import Work

PeerName = Literal["trainer", "trl"]
IGNORED = -100
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Choices:
    """What a peer may choose."""

    attention: str = "sdpa"
    """Kind of attention, as transformers calls it."""
    packing: bool = False
    """Examples are packed, which TRL alone can."""
    autocast: bool = False
    """Adapters train in mixed precision; full fine-tuning always does in a short format."""


@dataclass(frozen=True, slots=True)
class Course:
    """One training run."""

    seconds: float
    """Seconds of the steps."""
    losses: tuple[float, ...]
    """Mean cross-entropy of the answer tokens, nats, step by step."""
    held_out: float
    """The same on examples that were not trained on, after training."""
    peak_gib: float | None
    """Largest allocation on the GPU while training, GiB; None on a CPU."""


def train_own(work: Work) -> Course:
    """The product's loop, called as a trial calls it."""
    loaded = load_arms_base(work.model, work.runtime, work.settings)
    loaded = make_trainable(loaded, work.settings, work.seed)
    job = TrainingJob(
        model=work.model,
        runtime=work.runtime,
        settings=work.settings,
        seed=work.seed,
        examples=work.examples,
        validation=(),
        texts=(),
        checks_per_epoch=1,
        pad=work.tokenizer.pad_token_id,
    )
    # A process asks a base once, and lends it to one trial after the other.
    trees = takes_trees(loaded.model)
    if trees:
        takes_branches(loaded.model)
    with _peak(work) as peak:
        began = time.perf_counter()
        # Everything else is counted, the making of the optimiser too.
        steps = run_job(job, loaded.model, trees=trees)
        losses = tuple(step.loss for step in steps if step.loss is not None)
        _wait_for_device()
        seconds = time.perf_counter() - began
    return Course(seconds, losses, held_out_loss(loaded.model, work), peak[0])


def train_peer(name: PeerName, work: Work, choices: Choices) -> Course:
    """A peer on the same work, its batches in the same order."""
    model = _peer_model(work, choices)
    watch = _Watch()
    ordered = work.ordered
    rows = Dataset.from_dict(
        {
            "input_ids": [[*one.prompt, *one.answer] for one in ordered],
            "labels": [[IGNORED] * len(one.prompt) + list(one.answer) for one in ordered],
        }
    )
    with TemporaryDirectory() as folder:
        trainer = _trainer(name, model, rows, work, choices, Path(folder), watch)
        with _peak(work) as peak:
            trainer.train()
    return Course(watch.seconds, watch.losses(), held_out_loss(model, work), peak[0])


def _peer_model(work: Work, choices: Choices) -> Any:
    """The model as the peers load it.

    Full fine-tuning holds float32 weights and computes in the shorter format by autocast, as
    bfloat16 weights would lose small updates. Adapters are float32 on a frozen base in the
    shorter format, as peft makes them.
    """
    short = getattr(torch, work.runtime.dtype)
    more: dict[str, Any] = {}
    if isinstance(work.settings, QloraSettings):
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=work.settings.quantisation,
            bnb_4bit_use_double_quant=work.settings.double_quantisation,
            bnb_4bit_compute_dtype=short,
        )
        more["device_map"] = {"": work.runtime.device}
    model: Any = AutoModelForCausalLM.from_pretrained(
        work.model.path,
        dtype=torch.float32 if work.kind == "full" else short,
        attn_implementation=choices.attention,
        **more,
    )
    if isinstance(work.settings, FullSettings):
        return model.to(work.runtime.device)
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=work.settings.rank,
        lora_alpha=work.settings.alpha_over_rank * work.settings.rank,
        lora_dropout=work.settings.dropout,
        target_modules=work.settings.targets,
        task_type="CAUSAL_LM",
    )
    if not isinstance(work.settings, QloraSettings):
        model.to(work.runtime.device)
    torch.manual_seed(work.seed)
    return get_peft_model(model, config)


def _trainer(
    name: PeerName,
    model: Any,
    rows: Dataset,
    work: Work,
    choices: Choices,
    folder: Path,
    watch: _Watch,
) -> Trainer:
    short = work.runtime.dtype != "float32"
    mixed = short and (work.kind == "full" or choices.autocast)
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": work.batch_size,
        "num_train_epochs": 1,  # the rows hold every epoch
        "train_sampling_strategy": "sequential",
        "max_grad_norm": work.settings.max_grad_norm,
        "bf16": mixed and work.runtime.dtype == "bfloat16",
        "fp16": mixed and work.runtime.dtype == "float16",
        "use_cpu": work.runtime.device == "cpu",
        "dataloader_pin_memory": work.runtime.device != "cpu",
        "gradient_checkpointing": False,
        "logging_strategy": "no",
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": work.seed,
    }
    common: dict[str, Any] = {
        "model": model,
        "train_dataset": rows,
        "processing_class": work.tokenizer,
        "callbacks": [watch],
        "optimizers": _optimiser(model, work),
    }
    if name == "trainer":
        made: Trainer = Trainer(
            args=TrainingArguments(**settings),
            data_collator=DataCollatorForSeq2Seq(work.tokenizer, label_pad_token_id=IGNORED),
            **common,
        )
    else:
        from trl import SFTConfig, SFTTrainer

        config = SFTConfig(
            **settings,
            packing=choices.packing,
            max_length=work.settings.max_length,
            completion_only_loss=True,
        )
        made = SFTTrainer(args=config, **common)
        # TRL rounds adapters on a quantised base to bfloat16, in which small updates are lost.
        for weight in model.parameters():
            if weight.requires_grad and weight.dtype != torch.float32:
                weight.data = weight.data.float()
    made.remove_callback(PrinterCallback)
    watch.record(made)
    return made


def _optimiser(model: Any, work: Work) -> tuple[Any, Any]:
    """AdamW and a schedule with the product's settings; weight decay spares vectors."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in trained if w.ndim > 1], "weight_decay": work.settings.weight_decay},
        {"params": [w for w in trained if w.ndim <= 1], "weight_decay": 0.0},
    ]
    peak = work.settings.learning_rate
    optimiser = torch.optim.AdamW([g for g in groups if g["params"]], lr=peak, fused=True)

    def share(step: int) -> float:
        warmup, schedule = work.settings.warmup, work.settings.schedule
        return learning_rate_at(step, work.steps, 1.0, warmup, schedule)

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, share)


class _Watch(TrainerCallback):
    """Times the steps and takes down the loss of each, without waiting for the device."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0
        self._losses: list[torch.Tensor] = []

    def record(self, trainer: Any) -> None:
        """Take down what ``trainer``'s step returns: the batch's mean loss."""
        step = trainer.training_step

        def recorded(*given: Any, **named: Any) -> torch.Tensor:
            loss: torch.Tensor = step(*given, **named)
            self._losses.append(loss.detach())
            return loss

        trainer.training_step = recorded

    def losses(self) -> tuple[float, ...]:
        """Loss of each step."""
        return tuple(float(loss) for loss in self._losses)

    def on_train_begin(self, *given: Any, **named: Any) -> None:
        """Start the clock: model, data and optimiser are ready."""
        self._began = time.perf_counter()

    def on_train_end(self, *given: Any, **named: Any) -> None:
        """Stop it once the device is done."""
        _wait_for_device()
        self.seconds = time.perf_counter() - self._began


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def held_out_loss(model: Any, work: Work) -> float:
    """Mean cross-entropy per answer token (nats) on the held-out examples.

    Written out here, plainly, so that it belongs to no side. Weights are rounded to the run's
    number format first, as they are deployed in it.
    """
    short = getattr(torch, work.runtime.dtype)
    if work.kind == "full":
        model.to(short)
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for example in work.held_out:
            ids = torch.tensor([[*example.prompt, *example.answer]], device=model.device)
            logits = model(input_ids=ids, use_cache=False).logits[0]
            predicted = logits[len(example.prompt) - 1 : -1].float()
            answer = ids[0, len(example.prompt) :]
            total += float(torch.nn.functional.cross_entropy(predicted, answer, reduction="sum"))
            count += len(example.answer)
    mean: float = total / count
    return mean


@contextlib.contextmanager
def _peak(work: Work) -> Iterator[list[float | None]]:
    """Peak GPU memory of what is done inside, with the model that is there already; GiB."""
    found: list[float | None] = [None]
    on_gpu = work.runtime.device.startswith("cuda")
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    yield found
    if on_gpu:
        torch.cuda.synchronize()
        found[0] = torch.cuda.max_memory_allocated() / GIB
