"""What a forecast says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from harness.forecast.estimate import NOTHING, Estimate, independent, summed


@dataclass(frozen=True, slots=True)
class ServerUse:
    """What an arm sends to a server. cap: money that it may spend; None sets no limit."""

    requests: Estimate
    prompt_tokens: Estimate
    completion_tokens: Estimate
    money: Estimate
    cap: float | None


@dataclass(frozen=True, slots=True)
class ArmForecast:
    """What is still to be spent on one arm, or on the untouched base.

    trials: phase -> how many. seconds: None where nothing like it could be measured; ``unknown``
    then says why. load, train, score, process: expected seconds of its parts.
    train_tokens, scored_tokens: unpadded. artifact_mib: trained weights that are kept.
    peak_mib: memory of one trial, and of a GPU where that is used; None where not measured.
    """

    arm: str
    kind: str
    trials: dict[str, Estimate]
    train_tokens: Estimate
    scored_tokens: Estimate
    seconds: Estimate | None
    money: Estimate | None
    load: float = 0.0
    train: float = 0.0
    score: float = 0.0
    process: float = 0.0
    artifact_mib: Estimate = NOTHING
    peak_mib: Estimate | None = None
    server: ServerUse | None = None
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is still to be spent on a study.

    ended: trials in the store, which are not run again. start_seconds: imports of the first
    process. available_mib, free_mib: memory and disk of this machine.
    busy_share: of its processors, by other programs before measuring. measuring_seconds: spent on
    small trials. warnings: what will not work; notes: what the numbers rest on.
    """

    name: str
    experiment_id: str
    device: str
    dtype: str
    currency: str
    arms: tuple[ArmForecast, ...]
    ended: int
    start_seconds: float
    measuring_seconds: float
    available_mib: float
    free_mib: float
    store_mib: float
    busy_share: float
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> Estimate:
        """All arms for which it is known, one trial at a time."""
        known = [arm.seconds for arm in self.arms if arm.seconds is not None]
        return independent(known) + Estimate.exactly(self.start_seconds if known else 0.0)

    @property
    def money(self) -> Estimate:
        """Of the machine and of servers."""
        machine = [arm.money for arm in self.arms if arm.money is not None]
        return independent(machine + [arm.server.money for arm in self.arms if arm.server])

    @property
    def trials(self) -> Estimate:
        """Of all arms and phases."""
        return summed(number for arm in self.arms for number in arm.trials.values())

    @property
    def disk_mib(self) -> Estimate:
        """Trained weights that are kept, and the store."""
        kept = summed(arm.artifact_mib for arm in self.arms)
        return kept + Estimate.exactly(self.store_mib)

    def plain(self) -> dict[str, Any]:
        """For machines: nested dictionaries and lists."""
        values = asdict(self)
        for name in ("seconds", "money", "trials", "disk_mib"):
            values[name] = asdict(getattr(self, name))
        return values
