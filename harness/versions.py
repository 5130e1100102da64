"""Versions of all that can change a number: listed once, for score keys, records and clusters."""

from __future__ import annotations

import importlib.metadata
import platform
from functools import cache

__version__ = "0.1.0"

# Distributions by their names on a package index. Two machines on which one of them differs may
# give two answers to one question.
LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "bitsandbytes",
    "accelerate",
    "lm-eval",
    "datasets",
    "numpy",
    "scipy",
    "scikit-learn",
    "sacrebleu",
    "rouge-score",
    "nltk",
    "regex",
    "jinja2",
    "jsonschema",
    "bm25s",
    "llguidance",
)
ABSENT = "not installed"


@cache
def library_versions() -> dict[str, str]:
    """Library -> its installed version, or that it is not installed."""
    return {name: version_of(name) for name in LIBRARIES}


def program_versions() -> dict[str, str]:
    """Those of the program and of the libraries: the same on every machine of a cluster."""
    return {"harness": __version__, **library_versions()}


def environment_versions() -> dict[str, str]:
    """The same with Python, the kind of machine, and what chooses the settings to try."""
    return {
        **program_versions(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "optuna": version_of("optuna"),
    }


@cache
def version_of_import(name: str) -> str:
    """The installed version of what is imported under a name, or that it is not installed."""
    if (version := version_of(name)) != ABSENT:
        return version
    # Such as sklearn, whose distribution is called otherwise.
    owners = sorted(set(importlib.metadata.packages_distributions().get(name, ())))
    return ", ".join(f"{owner} {version_of(owner)}" for owner in owners) or ABSENT


def version_of(name: str) -> str:
    """The installed version of a distribution, or that it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ABSENT
