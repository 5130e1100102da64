"""A training command for an arm of ``kind: command``: TRL's SFTTrainer, told all by a file.

    theirs:
      kind: command
      command: ["{python}", trl_command.py, "{parameters}"]
      parameters:
        learning_rate: {low: 1.0e-4, high: 2.0e-3, log: true}
        epochs: {choices: [1, 2]}
        rank: 8

It imports nothing of this program. Needs ``trl``, and ``peft`` for adapters.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import SFTConfig, SFTTrainer


class Reports(TrainerCallback):
    """Says each loss as a line of JSON, by which a hopeless trial is stopped."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Pass the trainer's own numbers on, under the names that are read."""
        names = {"loss": "loss", "eval_loss": "validation_loss", "learning_rate": "learning_rate",
                 "grad_norm": "grad_norm", "epoch": "epoch"}  # fmt: skip
        told = logs or {}
        said = {theirs: float(told[ours]) for ours, theirs in names.items() if ours in told}
        if "num_tokens" in told:
            said["tokens"] = int(float(told["num_tokens"]))
        if state.global_step:
            step = {"step": state.global_step, "steps": state.max_steps}
            print(json.dumps({**step, **said}), flush=True)


def rows(path: str) -> Dataset:
    """The rows of a file, as TRL reads them: prompt and completion, as messages."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return Dataset.from_list([json.loads(line) for line in lines])


def main() -> None:
    """Train as the file says, and leave the adapter where it says."""
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    parameters = told["parameters"]
    validation = rows(told["validation"]) if told["validation_rows"] else None
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(
            told["model"], dtype=getattr(torch, told["dtype"])
        ),
        args=SFTConfig(
            output_dir=str(Path(told["checkpoint"], "trainer")),
            num_train_epochs=parameters["epochs"],
            learning_rate=parameters["learning_rate"],
            per_device_train_batch_size=parameters.get("batch_size", 4),
            per_device_eval_batch_size=8,
            lr_scheduler_type="cosine",
            # Below 1 it is a share of the steps.
            warmup_steps=0.1,
            seed=told["seed"],
            bf16=told["dtype"] == "bfloat16",
            use_cpu=told["device"] == "cpu",
            gradient_checkpointing=False,
            eval_strategy="epoch" if validation else "no",
            save_strategy="no",
            report_to="none",
            logging_steps=1,
        ),
        train_dataset=rows(told["train"]),
        eval_dataset=validation,
        processing_class=AutoTokenizer.from_pretrained(told["model"]),
        peft_config=LoraConfig(
            r=parameters["rank"],
            lora_alpha=2 * parameters["rank"],
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
        callbacks=[Reports()],
    )
    trainer.train()
    trainer.model.save_pretrained(told["result"], safe_serialization=True)


if __name__ == "__main__":
    main()
