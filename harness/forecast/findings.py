"""Records of a forecast: what is still to be spent on a study, in all and by arm."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from harness.forecast.estimate import NOTHING, Estimate, summed


@dataclass(frozen=True, slots=True)
class ServerUse:
    """What an arm sends to a server."""

    requests: Estimate
    """Number of requests, over all trials of the arm."""
    prompt_tokens: Estimate
    """Tokens of all prompts, by the local tokenizer."""
    completion_tokens: Estimate
    """Tokens of all replies, by the local tokenizer."""
    money: Estimate
    """Cost of the tokens at the server's prices, in the study's currency."""
    cap: float | None
    """Money that the arm may spend at the server; None sets no limit."""


@dataclass(frozen=True, slots=True)
class JudgeForecast:
    """What a judge is asked by all trials, which is no arm's cost."""

    judge: str
    """Name of the judge."""
    by: str
    """Its model."""
    marks: Estimate
    """Number of replies that it marks, pairs in each order; equal ones are marked once."""
    tokens: Estimate
    """Tokens that it reads and, on a server, writes."""
    seconds: Estimate | None = None
    """Seconds until all marks are there; of a local judge by its number of weights, at the speed at
    which small trials read. None where none was measured."""
    money: Estimate = NOTHING
    """Cost of the tokens at its server's prices, in the study's currency; nothing of a local judge.
    """
    cap: float | None = None
    """Money that it may take; None sets no limit."""
    least_mib: float = 0.0
    """Memory of its weights (MiB), beside that of the trial's own model in training that asks it;
    0 of one on a server."""


@dataclass(frozen=True, slots=True)
class ArmForecast:
    """What is still to be spent on one arm, or on the untouched base."""

    arm: str
    """Name of the arm, or of the untouched base."""
    kind: str
    """Name of the arm's kind; the untouched base counts as a prompt."""
    trials: dict[str, Estimate]
    """Phase -> number of trials."""
    train_tokens: Estimate | None
    """Tokens of training examples over all epochs, without padding; None where a training command
    of the user's is run."""
    scored_tokens: Estimate
    """Tokens of prompts and replies that are scored, without padding."""
    seconds: Estimate | None
    """Seconds of all trials, one at a time; None where nothing like them could be measured:
    ``unknown`` then says why."""
    money: Estimate | None
    """Price of the machine for ``seconds``, in the study's currency; None where they are not
    known."""
    load: float = 0.0
    """Expected seconds of loading models; 0 where times are not known."""
    train: float = 0.0
    """Expected seconds of training; 0 where times are not known."""
    score: float = 0.0
    """Expected seconds of scoring; 0 where times are not known."""
    process: float = 0.0
    """Expected seconds of starting processes and writing records; 0 where times are not known."""
    artifact_mib: Estimate = NOTHING
    """Disk space (MiB) of the trained weights that are kept."""
    peak_mib: Estimate | None = None
    """Peak memory (MiB) of one trial, of the GPU where one is used; None where it was not measured,
    or where a server is asked."""
    server: ServerUse | None = None
    """What is sent to a server; None where the model runs on this machine."""
    unknown: str = ""
    """Why the arm's times are not known; empty where they are."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is still to be spent on a study."""

    name: str
    """Name of the experiment."""
    experiment_id: str
    """Id of the experiment in the store."""
    device: str
    """Torch device string."""
    dtype: str
    """Compute type of the weights, e.g. ``bfloat16``."""
    currency: str
    """Currency of all money."""
    arms: tuple[ArmForecast, ...]
    """What is to be spent on each arm: the untouched base first, where any of it is left."""
    known: dict[str, int]
    """Arm -> number of trials that are known, of this study or another, and are not run."""
    start_seconds: float
    """Seconds that the first process takes longer than the others, for its imports, and the first
    trial of each base, for loading it."""
    measuring_seconds: float
    """Seconds spent on small trials."""
    available_mib: float
    """Memory (MiB) that is free: of the GPU where one is used, else of the machine."""
    free_mib: float
    """Free space (MiB) on the disk of the results."""
    store_mib: float
    """Disk space (MiB) that the scored items will take in the store."""
    busy_share: float
    """Share of the processors that other programs used before measuring, 0 to 1."""
    judges: tuple[JudgeForecast, ...] = ()
    """What is to be asked of each judge."""
    warnings: tuple[str, ...] = ()
    """What will fail or stop early, a sentence each."""
    notes: tuple[str, ...] = ()
    """What the numbers rest on and leave out, a sentence each."""

    @property
    def seconds(self) -> Estimate:
        """Seconds of all arms and judges for which they are known, one trial at a time."""
        each = [*(arm.seconds for arm in self.arms), *(judge.seconds for judge in self.judges)]
        known = [seconds for seconds in each if seconds is not None]
        return summed(known) + Estimate.exactly(self.start_seconds if known else 0.0)

    @property
    def money(self) -> Estimate:
        """Cost of the machine and of servers, those of judges too, in ``currency``."""
        machine = [arm.money for arm in self.arms if arm.money is not None]
        servers = [arm.server.money for arm in self.arms if arm.server]
        return summed([*machine, *servers, *(judge.money for judge in self.judges)])

    @property
    def trials(self) -> Estimate:
        """Number of trials of all arms and phases."""
        return summed(number for arm in self.arms for number in arm.trials.values())

    @property
    def disk_mib(self) -> Estimate:
        """Disk space (MiB) of the trained weights that are kept, and of the store."""
        kept = summed(arm.artifact_mib for arm in self.arms)
        return kept + Estimate.exactly(self.store_mib)

    def plain(self) -> dict[str, Any]:
        """The forecast as nested dictionaries and lists, for JSON."""
        values = asdict(self)
        for name in ("seconds", "money", "trials", "disk_mib"):
            values[name] = asdict(getattr(self, name))
        return values
