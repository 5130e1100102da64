"""The quickstart asks nobody: it ends well, and tries nothing, where there is no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file, save_file

from harness.packaged.fetch import cache_folder

HARNESS = Path(sys.executable).with_name("harness")
QUICKSTART = Path(__file__).resolve().parents[2] / "experiments" / "quickstart.yaml"
# Imported by every Python process at its start, children of children too. Sockets within this
# machine stay: processes talk to each other through them.
WATCH = """
import os
import sys

ASKS = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.gethostbyaddr": 0,
        "socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1}


def local(address):
    if isinstance(address, tuple):
        address = address[0]
    return not address or str(address) in ("localhost", "::1") or str(address).startswith("127.")


def watch(event, arguments):
    place = ASKS.get(event)
    if place is None or event != "socket.getaddrinfo" and unix(arguments[0]):
        return
    if not local(arguments[place]):
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{event} {arguments[place]} of {sys.argv}\\n")
        raise OSError("there is no network")


def unix(one):
    return getattr(getattr(one, "family", None), "name", "") == "AF_UNIX"


sys.addaudithook(watch)
"""


@pytest.fixture
def watched(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that may not ask; what it tries is in the file ASKED."""
    place = tmp_path / "watch"
    place.mkdir()
    (place / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    path = os.pathsep.join([str(place), *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, "ASKED": str(tmp_path / "asked.txt")}


def without_network() -> list[str]:
    """What starts a program in a network of its own, which has nobody in it, where that may be."""
    command = ["unshare", "--map-root-user", "--net"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return command


def shrunk(folder: Path) -> Path:
    """The quickstart with few items and one setting an arm."""
    values: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text(encoding="utf-8"))
    values["data"]["limits"] = {"train": 8, "validation": 2, "test": 2}
    values["task"]["max_new_tokens"] = 8
    values["budget"] = {"trials": 1}
    values["general"] |= {"limit": 1, "search_limit": 1}
    values |= {"memorisation_items": 1, "train_gap_items": 1}
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def shallow(cache: Path, folder: Path) -> Path:
    """A cache like that one, but that the converted model in it has one layer.

    What is asked of others does not depend on how deep a model is, and its time does.
    """
    (place,) = (cache / "models").iterdir()
    cut = folder / "cache" / "models" / place.name
    shutil.copytree(place, cut, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((place / "config.json").read_text(encoding="utf-8"))
    config["num_hidden_layers"] = 1
    (cut / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = load_file(place / "model.safetensors")
    kept = {name: one for name, one in weights.items() if "layers" not in name or ".0." in name}
    save_file(kept, cut / "model.safetensors", {"format": "pt"})
    (cut.parents[1] / "packaged").symlink_to(cache / "packaged")
    return cut.parents[1]


def test_the_watch_sees_and_stops(watched: dict[str, str], tmp_path: Path) -> None:
    """Else the other test would show nothing."""
    for ask in (
        "socket.create_connection(('192.0.2.1', 80))",
        "socket.getaddrinfo('huggingface.co', 443)",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"import socket\n{ask}"], check=False, capture_output=True,
            text=True, env=watched,
        )  # fmt: skip
        assert "there is no network" in done.stderr
    assert len((tmp_path / "asked.txt").read_text().splitlines()) == 3


@pytest.mark.weights
def test_the_quickstart_asks_nobody(watched: dict[str, str], tmp_path: Path) -> None:
    if not any((cache_folder() / "models").glob("*/model.safetensors")):
        pytest.skip(
            "the embedded model is not in the cache; `harness doctor --fetch` puts it there"
        )
    watched["HARNESS_CACHE"] = str(shallow(cache_folder(), tmp_path))
    command = [*without_network(), str(HARNESS), "run", str(shrunk(tmp_path)), "--quiet"]
    done = subprocess.run(
        [*command, "--results", str(tmp_path / "results")], check=False, capture_output=True,
        text=True, timeout=600, env=watched,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "0 failed." in done.stderr
    assert "Warning" not in done.stderr
    assert list((tmp_path / "results").rglob("report.html"))
    asked = tmp_path / "asked.txt"
    assert not asked.exists(), asked.read_text()
