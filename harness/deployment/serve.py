"""A finalist behind an OpenAI-compatible server, started in one command."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, InputError
from harness.export import export_model
from harness.export.base_model import base_here, runtime_here
from harness.export.destination import RECEIPT
from harness.export.final_run import FinalRun, brought_folder, is_adapter_run
from harness.models.brought import TOKENIZER
from harness.spec.kinds import kind_info

# Seconds in which a server must answer: large weights take their time from a slow disk.
STARTS_WITHIN = 600.0
STOPS_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class ServePlan:
    """What is to be started."""

    run: FinalRun
    """The final run."""
    model: Path
    """Folder that is served, which is also the model's name at the server."""
    command: tuple[str, ...]
    """The command that serves it."""
    url: str
    """Base address, to be given to clients."""


def serve_plan(
    run: FinalRun, *, folder: Path | None, host: str, port: int, dtype: str | None = None
) -> ServePlan:
    """Write what is to be served, where it is not there yet, and say how.

    The trained weights of an adapter are merged into its base; a prompt is served as the base that
    it was scored on, and its words are the client's to send.

    Args:
        folder: where weights are written; in the study's own folder if None.
        dtype: number format of merged weights; that of the run if None.

    Raises:
        InputError: the run's model is a server's already, its weights are gone, or what serves is
            not installed.
    """
    if run.spec.endpoint is not None:
        raise InputError(
            f"{run.title}: its model is served already, as {run.spec.endpoint.model} at "
            f"{run.spec.endpoint.url}"
        )
    program = serving_program()
    model = _folder(run, folder, dtype)
    # Where adapters are not merged, weights are served in the format that they were scored in.
    kind = dtype or run.spec.runtime.dtype
    command = [
        str(program), "serve", str(model), "--host", host, "--port", str(port),
        "--device", runtime_here(run.spec.runtime).device, "--dtype", kind,
    ]  # fmt: skip
    if run.spec.template_args:
        told = json.dumps(run.spec.template_args, ensure_ascii=False)
        command += ["--chat-template-kwargs", told]
    return ServePlan(run, model, tuple(command), f"http://{in_url(host)}:{port}/v1")


def serving_program() -> Path:
    """The program of transformers that serves.

    Raises:
        InputError: it, or what it needs, is not installed.
    """
    program = Path(sys.executable).with_name("transformers")
    missing = [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing or not program.is_file():
        raise InputError(
            f"`transformers serve` needs {' and '.join(missing) or program}: pip install "
            "'transformers[serving]'. Or write the weights (harness export model --form merged) "
            "and serve them with another program, such as vLLM"
        )
    return program


def _folder(run: FinalRun, folder: Path | None, dtype: str | None) -> Path:
    if kind_info(run.spec.kind).brought and not is_adapter_run(run):
        place = brought_folder(run)
        if (place / TOKENIZER).is_file():
            return _as_it_lies(run, place, folder)
    if not kind_info(run.spec.kind).fine_tuned:
        if folder is not None or dtype is not None:
            raise InputError(
                f"{run.title} is a prompt: its base is served as it lies here, so that --folder "
                "and --dtype have nothing to write"
            )
        return Path(base_here(run.spec.model).path)
    results = run.analysed.results
    adapts = is_adapter_run(run)
    # Whole weights are written as they were trained; in which format they are served is the
    # server's to be told.
    kind = dtype if dtype and adapts else run.spec.runtime.dtype
    name = f"{run.trial.arm}-{run.trial.trial_id[:8]}-{kind}"
    place = folder or results.resolve() / run.analysed.study.experiment.folder / "served" / name
    if _holds(place, run, kind):
        return place
    export_model(
        results,
        run.analysed.study.experiment.experiment_id,
        place,
        arm=run.trial.arm,
        seed=run.trial.seed,
        form="merged" if adapts else "trained",
        dtype=dtype if adapts else None,
        # What is served is verified as it is served.
        items=0,
    )
    return place


def _as_it_lies(run: FinalRun, place: Path, folder: Path | None) -> Path:
    """The folder of a whole checkpoint that was trained elsewhere, which is served as it lies."""
    if folder is not None:
        raise InputError(
            f"{run.title} was trained elsewhere: {place} is served as it lies here, so that "
            "--folder has nothing to write"
        )
    return place


def _holds(place: Path, run: FinalRun, dtype: str) -> bool:
    """Whether a folder holds this run's weights already, whole."""
    try:
        receipt = json.loads((place / RECEIPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    known = {"trial_id": run.trial.trial_id, "dtype": dtype}
    # An adapter by itself, and a GGUF file, have no configuration of a model beside them.
    return (place / "config.json").is_file() and known.items() <= receipt.items()


@contextmanager
def serving(plan: ServePlan, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The server's process, once it answers; it is ended when this is left.

    Args:
        log: file for what the server prints; the terminal if None.

    Raises:
        HarnessError: it ends before it answers, or never answers.
    """
    from huggingface_hub import constants

    check_free(plan.url)
    # Where there is none, the server's list of models fails with a traceback on the terminal.
    with suppress(OSError):
        Path(constants.HF_HUB_CACHE).mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    output = log.open("wb") if log else None
    process = subprocess.Popen(plan.command, stdout=output, stderr=output, env=environment)
    try:
        _wait(plan, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if output:
            output.close()


def in_url(host: str) -> str:
    """The host as an address has it: one of IPv6 stands in brackets."""
    return f"[{host}]" if ":" in host else host


def check_free(url: str) -> None:
    """See that nothing answers at an address yet, which would be taken for the server started.

    Raises:
        InputError: something does.
    """
    place = urllib.parse.urlsplit(url)
    try:
        with socket.create_connection((place.hostname, place.port), timeout=5):
            pass
    except OSError:
        return
    raise InputError(
        f"port {place.port} of {place.hostname} is in use: another server listens there; stop it, "
        "or name another port with --port"
    )


def _wait(plan: ServePlan, process: subprocess.Popen[bytes]) -> None:
    # Without a proxy: the server is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + STARTS_WITHIN
    address = f"{plan.url.removesuffix('/v1')}/health"
    answers = False
    while time.monotonic() < until:
        # It must live after an answer, too: else another server gave that.
        if process.poll() is not None:
            raise HarnessError(
                f"the server ended with {process.returncode} before it answered; its own words "
                f"stand above. It was started as: {' '.join(plan.command)}"
            )
        if answers:
            return
        try:
            with opener.open(address, timeout=5):
                answers = True
        except (urllib.error.URLError, TimeoutError, OSError):
            time.sleep(0.2)
    raise HarnessError(f"{plan.url} gave no answer within {STARTS_WITHIN:g} s")


__all__ = ["ServePlan", "check_free", "serve_plan", "serving", "serving_program"]
