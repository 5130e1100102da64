"""Should we fine-tune, how, and what do we gain and lose against good prompting?"""

import logging
import os

__version__ = "0.1.0"

# Read by libraries when they are first imported, here and in child processes: no usage reports,
# no progress bars of their own, no warning about tokenizer threads after a fork.
for _name, _value in (
    ("HF_HUB_DISABLE_TELEMETRY", "1"),
    ("DO_NOT_TRACK", "1"),
    ("TQDM_DISABLE", "1"),
    ("TOKENIZERS_PARALLELISM", "false"),
):
    os.environ.setdefault(_name, _value)

# It warns at import about an optional package that is not needed.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
