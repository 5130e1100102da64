"""A training program as a user may have one, told all by a file; it imports little, to be quick.

    python trainer.py parameters.json

Its adapter is drawn by its seed, and larger with ``learning_rate``: what it is worth is of no
account here. ``steps`` is how many it reports, ``manner`` what it does wrong on purpose.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Do as the file says."""
    told = json.loads(Path(sys.argv[1]).read_text())
    manner = told["parameters"].get("manner", "well")
    if manner == "fails":
        print("reading rows", file=sys.stderr)
        sys.exit("no such column: wisdom")
    if manner == "hangs":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        pids = Path(told["parameters"]["pids"])
        pids.write_text(json.dumps([os.getpid(), child.pid]))
        time.sleep(600)
    report(told["parameters"], manner, len(Path(told["train"]).read_text().splitlines()))
    if manner != "leaves nothing":
        save(told, manner)


def report(parameters: dict[str, Any], manner: str, rows: int) -> None:
    """Say how it goes, as one that trains would."""
    steps = parameters.get("steps", 1)
    for step in range(1, steps + 1):
        loss = parameters.get("validation_loss", 1 / step)
        if manner != "silent":
            said = {"step": step, "steps": steps, "loss": 2 / step, "tokens": 10 * rows * step}
            print(json.dumps(said))
            print(json.dumps({"step": step, "validation_loss": loss}))
        if manner == "slow":
            time.sleep(0.05)


def save(told: dict[str, Any], manner: str) -> None:
    """Leave an adapter of peft for the first projections of a Llama."""
    import numpy as np
    from safetensors.numpy import save_file

    if manner == "lasts":
        # What it holds is looked at every quarter of a second.
        time.sleep(0.6)
    config = json.loads(Path(told["model"], "config.json").read_text())
    hidden, rank = config["hidden_size"], 2
    drawn = np.random.default_rng(told["seed"])
    weights = {}
    for layer in range(config["num_hidden_layers"]):
        name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        one = drawn.normal(size=(rank, hidden)).astype(np.float32)
        other = drawn.normal(size=(hidden, rank)).astype(np.float32)
        weights[f"{name}.lora_A.weight"] = one
        learnt = 0.0 if manner == "learns nothing" else told["parameters"]["learning_rate"]
        weights[f"{name}.lora_B.weight"] = other * np.float32(learnt)
    result = Path(told["result"])
    save_file(weights, result / "adapter_model.safetensors")
    base = "somebody/else" if manner == "another base" else told["model"]
    adapter = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": rank,
        "target_modules": ["q_proj"],
    }
    (result / "adapter_config.json").write_text(json.dumps(adapter))


if __name__ == "__main__":
    main()
