"""Should we fine-tune, how, and what do we gain and lose against good prompting?"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from harness.versions import __version__

if TYPE_CHECKING:
    from harness.api import StudyResult, load, open_result, run
    from harness.measures.declaration import metric
    from harness.spec import Experiment

# Read by libraries when they are first imported, here and in child processes: no usage reports,
# no progress bars of their own, no warning about tokenizer threads after a fork. Threads that wait
# soon give up their core: when other programs want it, long spinning slows every step manyfold.
for _name, _value in (
    ("HF_HUB_DISABLE_TELEMETRY", "1"),
    ("DO_NOT_TRACK", "1"),
    ("HF_UPDATE_DOWNLOAD_COUNTS", "0"),
    ("TQDM_DISABLE", "1"),
    ("TOKENIZERS_PARALLELISM", "false"),
    ("GOMP_SPINCOUNT", "5000"),
):
    os.environ.setdefault(_name, _value)

# Notices that say nothing to the user of a study: of an optional package that is not needed, of
# options of another command line. Here, as any part of the program may be the first to load them.
for _name in ("bitsandbytes", "lm_eval", "peft"):
    logging.getLogger(_name).setLevel(logging.ERROR)

__all__ = ["Experiment", "StudyResult", "__version__", "load", "metric", "open_result", "run"]


def __getattr__(name: str) -> Any:
    # The public names are loaded at first use: `import harness` alone costs nothing.
    if name == "metric":
        from harness.measures.declaration import metric

        return metric
    if name in ("StudyResult", "load", "open_result", "run"):
        from harness import api

        return getattr(api, name)
    if name == "Experiment":
        from harness.spec import Experiment

        return Experiment
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
