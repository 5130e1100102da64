"""Libraries that could report how they are used are told not to, here and in child processes."""

from __future__ import annotations

import os
import subprocess
import sys

OFF = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
}


def test_usage_reports_are_off_once_the_package_is_imported() -> None:
    look = f"import os; print(*(os.environ[name] for name in {list(OFF)}))"
    program = (
        "import harness, subprocess, sys\n"
        "from huggingface_hub import constants\n"
        "assert constants.HF_HUB_DISABLE_TELEMETRY\n"
        f"subprocess.run([sys.executable, '-c', {look!r}], check=True)\n"
    )
    plain = {name: value for name, value in os.environ.items() if name not in OFF}
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=plain
    )
    assert done.stdout.split() == list(OFF.values())


def test_no_library_that_reports_by_itself_is_loaded_by_a_trial() -> None:
    program = "import harness.trial, lm_eval.evaluator, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    reporting = {"wandb", "mlflow", "comet_ml", "neptune", "clearml", "posthog", "sentry_sdk",
                 "segment", "analytics", "gradio", "ray"}  # fmt: skip
    assert reporting & set(done.stdout.split()) == set()
