"""The arm whose weights another program fine-tuned."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from harness.records.frozen_spec import FrozenSpec
from harness.spec.arm_base import ArmBase
from harness.spec.settings import AdapterBase, SameBase
from harness.spec.spaces import Weight


class TrainingCost(FrozenSpec):
    """What a training took that another program did."""

    hours: Weight = Field(description="Hours of the machine, the search for its settings too.")
    machine_per_hour: Weight | None = Field(
        None, description="Price of an hour of that machine; cost.machine_per_hour if not given."
    )


class BroughtArm(ArmBase):
    """Weights that another program fine-tuned before: an adapter of peft, or a whole checkpoint.

    They are judged as those that the study trains. Of several folders each stands for a seed.
    """

    kind: Literal["trained"]
    path: str | tuple[str, ...] = Field(
        description="Folder with an adapter (adapter_config.json) of the experiment's model, or "
        "with a whole checkpoint of it, in safetensors; or its name on a hub. Several are taken "
        "for repeats of one training, on as many seeds.",
    )
    base: AdapterBase = "plain"
    same_base: SameBase = False
    trained_on: str | None = Field(
        None,
        description="File with the rows that it was trained on, of the same columns, which are "
        "looked for in what judges and in what it memorised; without it leaks cannot be excluded.",
    )
    cost: TrainingCost | None = Field(
        None, description="What its training took; not known if not given."
    )

    @field_validator("path")
    @classmethod
    def _named(cls, path: str | tuple[str, ...]) -> str | tuple[str, ...]:
        paths = (path,) if isinstance(path, str) else path
        if not paths or not all(one.strip() for one in paths):
            raise ValueError("name a folder")
        if len(set(paths)) != len(paths):
            raise ValueError("a folder stands twice; each is one training")
        return path

    @field_validator("seeds")
    @classmethod
    def _no_seeds(cls, seeds: tuple[int, ...] | None) -> None:
        if seeds is not None:
            raise ValueError("its folders stand for its seeds; leave it out, or name more folders")

    @property
    def paths(self) -> tuple[str, ...]:
        """Its folders, in their order."""
        return (self.path,) if isinstance(self.path, str) else self.path

    def path_of(self, seed: int) -> str:
        """The folder that stands for a seed; the first for one that is none of its own."""
        return self.paths[seed - 1 if 0 < seed <= len(self.paths) else 0]
