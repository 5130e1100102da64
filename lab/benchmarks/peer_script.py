"""The script that someone without the product would write: train, save, score with lm-eval.

    python -m lab.benchmarks.peer_script TRIAL.json [TRIAL.json ...]

A trial's file says: model, kind, params, seed, dtype, threads, batch_size, folder (where the
trained weights go), train and batches (tokenised examples, and which of them make each batch),
include (the folder of lm-eval task files), tasks and chat_tasks (names, without and with chat
template), out.
It imports nothing of the product.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainingArguments,
)


class BatchesGiven(Trainer):
    """Trains on the batches that it is given, in their order."""

    batches: list[list[int]]

    def get_train_dataloader(self) -> Any:
        """One pass over the batches."""
        return torch.utils.data.DataLoader(
            self.train_dataset,  # type: ignore[arg-type]
            batch_sampler=self.batches,
            collate_fn=self.data_collator,
        )


def run(trial: dict[str, Any]) -> None:
    """One trial, from weights to scores on disk."""
    torch.set_num_threads(trial["threads"])
    tokenizer = AutoTokenizer.from_pretrained(trial["model"])
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = load(trial)
    if trial["kind"] != "prompt":
        model = fine_tune(model, tokenizer, trial)
    score(model, tokenizer, trial)


def load(trial: dict[str, Any]) -> Any:
    """The base: float32 where all weights are trained, by autocast in a shorter format."""
    kind, short = trial["kind"], getattr(torch, trial["dtype"])
    more: dict[str, Any] = {}
    if kind == "qlora":
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=trial["params"]["quantisation"],
            bnb_4bit_use_double_quant=trial["params"]["double_quantisation"],
            bnb_4bit_compute_dtype=short,
        )
    return AutoModelForCausalLM.from_pretrained(
        trial["model"], dtype=torch.float32 if kind == "full" else short, **more
    )


def fine_tune(model: Any, tokenizer: Any, trial: dict[str, Any]) -> Any:
    """Train and save; adapters by peft."""
    params, kind = trial["params"], trial["kind"]
    if kind != "full":
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(trial["seed"])
        model = get_peft_model(
            model,
            LoraConfig(
                r=params["rank"],
                lora_alpha=params["alpha_over_rank"] * params["rank"],
                lora_dropout=params["dropout"],
                target_modules=params["targets"],
                task_type="CAUSAL_LM",
            ),
        )
    rows, batches = trial["train"], trial["batches"]
    peak, folder = params["learning_rate"], Path(trial["folder"])
    optimiser = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad],
        lr=peak,
        weight_decay=params["weight_decay"],
        fused=True,
    )
    trainer = BatchesGiven(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=1,  # the batches are of all epochs
            max_grad_norm=params["max_grad_norm"],
            bf16=kind == "full" and trial["dtype"] == "bfloat16",
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=False,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=trial["seed"],
        ),
        train_dataset=rows,
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100),
        processing_class=tokenizer,
        optimizers=(
            optimiser,
            torch.optim.lr_scheduler.LambdaLR(
                optimiser,
                lambda step: rate(step, len(batches), params["warmup"], params["schedule"]),
            ),
        ),
    )
    trainer.batches = batches
    trainer.train()
    if kind == "full":
        model.to(getattr(torch, trial["dtype"]))
    model.save_pretrained(folder)
    return model


def rate(step: int, steps: int, warmup: float, schedule: str) -> float:
    """Share of the peak learning rate: a linear rise, then cosine or line down to a tenth."""
    warm = round(warmup * steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    done = (step - warm) / max(1, steps - warm)
    falls = {"constant": 1.0, "linear": 1 - 0.9 * done,
             "cosine": 0.1 + 0.45 * (1 + math.cos(math.pi * done))}  # fmt: skip
    return falls[schedule]


def score(model: Any, tokenizer: Any, trial: dict[str, Any]) -> None:
    """Every task by lm-eval's own model class, and each item's replies to a file."""
    model.eval()
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=trial["batch_size"])
    manager = TaskManager(include_path=trial["include"], include_defaults=False)
    kept: dict[str, list[dict[str, Any]]] = {}
    for names, chat in ((trial["tasks"], False), (trial["chat_tasks"], True)):
        if not names:
            continue
        found = simple_evaluate(
            lm,
            tasks=names,
            task_manager=manager,
            apply_chat_template=chat,
            log_samples=True,
            bootstrap_iters=0,
        )
        assert found is not None
        for task, samples in found["samples"].items():
            kept[task] = [
                {
                    "id": sample["doc"]["bench_id"],
                    "asked": [list(arguments)[1:] for arguments in sample["arguments"]],
                    "replies": sample["filtered_resps"],
                    "metrics": {metric: sample[metric] for metric in sample["metrics"]},
                }
                for sample in samples
            ]
    Path(trial["out"]).write_text(json.dumps(kept))


if __name__ == "__main__":
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    for path in sys.argv[1:]:
        run(json.loads(Path(path).read_text()))
