"""Train an arm's adapter with TRL's SFTTrainer, on the same rows and settings as the study would.

Shows an arm of ``kind: trained`` beside one of ``kind: lora``: the rows, prompts and settings are
those of the experiment, and all that trains is another program's.

    python -m lab.train_with_trl experiment.yaml lora adapter/ --seed 1

Needs ``trl`` (the extra ``peers``).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.data import prepare
from harness.models.load import load_tokenizer
from harness.models.resolve import resolve_model
from harness.prompting import PromptRenderer
from harness.records import Example
from harness.spec import LoraArm, load_experiment
from harness.spec.settings import LoraSettings


def conversations(renderer: PromptRenderer, rows: list[Example]) -> list[dict[str, Any]]:
    """The rows as TRL reads them: what is asked, and what is to be learnt."""
    return [
        {
            "prompt": [dict(message) for message in renderer.messages(row)],
            "completion": [{"role": "assistant", "content": row.answer}],
        }
        for row in rows
    ]


def train(experiment: Path, arm: str, folder: Path, seed: int) -> None:
    """Train the arm's default setting and save its adapter to ``folder``."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    spec = load_experiment(experiment)
    declared = spec.arms[arm]
    if not isinstance(declared, LoraArm):
        raise SystemExit(f"arms.{arm} is of kind {declared.kind}; name one of kind lora")
    settings = declared.resolve(declared.defaults())
    if not isinstance(settings, LoraSettings):
        raise SystemExit(f"arms.{arm} is no plain LoRA")
    base = resolve_model(spec.model)
    tokenizer = load_tokenizer(base)
    rows = list(prepare(spec).splits.train)
    renderer = PromptRenderer(tokenizer, spec.task)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.bfloat16),
        args=SFTConfig(
            output_dir=str(folder / "trainer"),
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            lr_scheduler_type=settings.schedule,
            # Below 1 it is a share of the steps.
            warmup_steps=settings.warmup,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
            max_length=settings.max_length,
            seed=seed,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            logging_steps=1,
        ),
        train_dataset=Dataset.from_list(conversations(renderer, rows)),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha_over_rank * settings.rank,
            lora_dropout=settings.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    trainer.train()
    trainer.model.save_pretrained(folder, safe_serialization=True)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("arm")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    train(given.experiment, given.arm, given.folder, given.seed)


if __name__ == "__main__":
    main()
