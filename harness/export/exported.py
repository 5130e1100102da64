"""What an export has written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.export.final_run import FinalRun
from harness.export.parity import Parity
from harness.records import ResolvedModel

Form = Literal["adapter", "full", "merged", "gguf"]


@dataclass(frozen=True, slots=True)
class Exported:
    """A model in a folder."""

    run: FinalRun
    """The final run that is exported."""
    base: ResolvedModel
    """The base model of the run, as it lies on this machine."""
    folder: Path
    """The folder that holds the export."""
    form: Form
    """What the folder holds."""
    dtype: str
    """Type of the weights; of an adapter, that of the base under it."""
    parity: Parity | None
    """Comparison of the export's answers with the trial's; None where it was not asked for."""
