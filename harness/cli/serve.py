"""harness serve"""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from harness.cli.options import final_run_options, meant, results_option
from harness.cli.printing import say


@click.command()
@click.argument("name", metavar="[STUDY]", required=False)
@results_option()
@final_run_options("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Its port."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Folder for the weights that are served; in the study's own folder if not given.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Number format of merged weights; that of the run if not given.",
)
@click.option("--check", is_flag=True, help="Verify it once it answers, then stop.")
@click.option(
    "--show", is_flag=True, help="Write the weights and print the command; start nothing."
)
@click.pass_context
def command(
    context: click.Context,
    name: str | None,
    results: Path,
    arm: str | None,
    seed: int | None,
    host: str,
    port: int,
    folder: Path | None,
    dtype: str | None,
    check: bool,
    show: bool,
) -> None:
    """Serve a finalist with an OpenAI-compatible server, by `transformers serve`.

    Clients send the arm's own messages, as `harness export prompt` writes them. STUDY: name or
    start of id; else the newest.

    \b
    Example:
      harness serve support --arm lora --port 8000
      harness serve support --arm lora --check
    """
    from harness.deployment.serve import check_free, in_url, serve_plan, serving
    from harness.deployment.server import check_chat
    from harness.export.asking import Asking
    from harness.export.final_run import find_final_run

    study = meant(results, name)
    run = find_final_run(results, study, arm, seed)
    say(run.why)
    if run.spec.endpoint is None and not show:
        check_free(f"http://{in_url(host)}:{port}")
        if check:
            check_chat(Asking.of(run))
    plan = serve_plan(run, folder=folder, host=host, port=port, dtype=dtype)
    say(f"Started as: {shlex.join(plan.command)}")
    say(f"Address: {plan.url}, model: {plan.model}")
    where = [
        "harness", "verify", study[:12], "--results", str(results), "--arm", run.trial.arm,
        "--seed", str(run.trial.seed), "--endpoint", plan.url, "--model", str(plan.model),
    ]  # fmt: skip
    say(f"Verify it: {shlex.join(where)}")
    prompt = ["harness", "export", "prompt", study[:12], "--results", str(results),
              "--arm", run.trial.arm, "--out", "prompt.json"]  # fmt: skip
    say(f"What to send: {shlex.join(prompt)}")
    if show:
        return
    with serving(plan) as process:
        if check:
            from harness.cli.verify import printed
            from harness.deployment.verify_endpoint import verify_endpoint

            found = verify_endpoint(run, plan.url, str(plan.model))
            printed(found)
            context.exit(0 if found.passed else 1)
        say("It answers. Stop it with Ctrl-C.")
        try:
            context.exit(process.wait())
        except KeyboardInterrupt:
            say("Stopped.", err=True)
