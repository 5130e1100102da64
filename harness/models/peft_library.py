"""peft, imported without the compiler that bitsandbytes would load with it.

bitsandbytes hands functions that are not used here to ``torch.compile`` as it is imported, which
takes a second of every process.
"""

from __future__ import annotations

import os
from unittest import mock

with mock.patch.dict(os.environ, TORCHDYNAMO_DISABLE="1"):
    import peft

__all__ = ["peft"]
