"""A training program as a user may have one: plain torch and peft, told all by a file.

    python trainer.py parameters.json

Its parameters: ``learning_rate``, ``steps``, and ``manner``, what it does wrong on purpose.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    told = json.loads(Path(sys.argv[1]).read_text())
    manner = told["parameters"].get("manner", "well")
    if manner == "fails":
        print("reading rows", file=sys.stderr)
        sys.exit("no such column: wisdom")
    if manner == "hangs":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(told["checkpoint"], "pids.json").write_text(json.dumps([os.getpid(), child.pid]))
        time.sleep(600)
    if manner == "leaves nothing":
        return
    train(told, manner)


def train(told: dict, manner: str) -> None:  # type: ignore[type-arg]
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(told["seed"])
    rows = [json.loads(line) for line in Path(told["train"]).read_text().splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(told["model"])
    base = AutoModelForCausalLM.from_pretrained(told["model"])
    model = get_peft_model(base, LoraConfig(r=2, target_modules="all-linear"))
    parameters, steps = told["parameters"], told["parameters"]["steps"]
    optimiser = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=parameters["learning_rate"]
    )
    tokens = 0
    for step in range(1, steps + 1):
        row = rows[step % len(rows)]
        ids = tokenizer(row["prompt"] + row["completion"], return_tensors="pt").input_ids
        if manner != "learns nothing":
            loss = model(input_ids=ids, labels=ids).loss
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
        tokens += ids.numel()
        report = (
            {"step": step, "steps": steps, "loss": float(loss)}
            if manner != "learns nothing"
            else {}
        )
        if manner != "silent":
            print(json.dumps(report | {"tokens": tokens}))
            print(
                json.dumps(
                    {"step": step, "validation_loss": parameters.get("validation_loss", 1 / step)}
                )
            )
    model.save_pretrained(told["result"])
    if manner == "another base":
        config = Path(told["result"], "adapter_config.json")
        plain = json.loads(config.read_text())
        config.write_text(json.dumps(plain | {"base_model_name_or_path": "somebody/else"}))


if __name__ == "__main__":
    main()
