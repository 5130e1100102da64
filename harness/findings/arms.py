"""What an arm scored, costs and takes."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.findings.contrast import Interval


@dataclass(frozen=True, slots=True)
class TimedTurn:
    """Requests of one arm in one turn of all arms."""

    mean: float
    """Mean seconds a request; where turns asked different items, as all would have taken then."""
    other_cores: float
    """Processors that other programs kept busy meanwhile, on average."""
    began: str
    """When the turn began, ISO 8601."""
    ended: str
    """When the turn ended, ISO 8601."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long requests of one arm took, sent one at a time after all other trials."""

    requests: int
    """Number of requests over all turns."""
    mean: float
    """Mean seconds a request."""
    interval: Interval
    """95 % interval of ``mean``, seconds; it covers the choice of items and every turn's own mean.
    """
    median: float
    """Median seconds over all requests."""
    p95: float
    """The 95th percentile of the seconds over all requests."""
    cores: float
    """Processors of the machine."""
    turns: tuple[TimedTurn, ...]
    """The turns in which the requests were sent, in their order."""


@dataclass(frozen=True, slots=True)
class CostSummary:
    """What an arm costs. None where it was not measured or not priced.

    Money in the experiment's currency.
    """

    search_seconds: float
    """Wall time of all trials of the arm's search that reported a cost, failed ones too, with what
    was scored of them later."""
    train_seconds: float
    """Wall time of training in one final run, mean over the final runs; 0 for a prompt arm."""
    train_tokens: int | None
    """Unpadded tokens that one final run trained on, mean over the final runs; 0 for a prompt arm,
    None where a training command of the user's did not say."""
    peak_memory_mib: float | None
    """Peak memory of the process on the host, MiB, the most of any run; None for a server and
    without final runs."""
    peak_device_mib: float | None
    """Peak memory of the GPU that needed most, MiB, the most of any run; None on a CPU and for a
    server."""
    trainable_parameters: int
    """Parameters that training changes; 0 for a prompt arm."""
    total_parameters: int
    """Parameters of the whole model, adapters not counted; 0 for a server."""
    artifact_bytes: int
    """Size of the trained weights to deploy, bytes; 0 for a prompt arm."""
    prompt_tokens: float | None
    """Mean prompt tokens of a request on test."""
    completion_tokens: float | None
    """Mean tokens of a reply on test."""
    latency_p50: float | None
    """Median seconds of a single request on the machine that ran the study."""
    latency_p95: float | None
    """The 95th percentile of the seconds of a single request, on the same machine."""
    per_thousand_requests: float | None
    """Money that serving 1,000 requests costs, one at a time."""
    monthly: float | None
    """Money that serving costs in a month at the declared volume of requests."""
    upfront: float | None
    """Money for the search and one final training run."""
    by_token: bool = False
    """A server charges for tokens; the money does not depend on the price of the machine, and the
    memory is not known."""
    train_examples: int | None = None
    """Examples that the final runs were trained on, the fewest of any run; None where nothing was
    trained."""
    latency: Latency | None = None
    """How the seconds were measured; None where they were not, for the reason in
    ``latency_unmeasured``."""
    latency_unmeasured: str = ""
    """Why the first turn that failed did; empty where none failed."""
    per_thousand_range: Interval | None = None
    """The range of ``per_thousand_requests`` that follows from the latency's interval; None where
    the money is not known, or known without measuring."""
    monthly_range: Interval | None = None
    """The range of ``monthly`` that follows from the latency's interval; None where the money is
    not known, or known without measuring."""
    added_seconds: float = 0.0
    """Wall time of what was scored of the finalists after they had ended, for whichever study."""
    first_year: float | None = None
    """Money upfront and for serving the declared volume over twelve months; None where either is
    not known."""
    paid_elsewhere: float = 0.0
    """Money that its training took at another machine's price, as the experiment declares it; 0 for
    arms that the study trained."""


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One row of the table of arms."""

    arm: str
    """Name of the arm."""
    kind: str
    """Kind of the arm, as in the experiment file."""
    tuned: bool
    """The arm has a search space."""
    budget_trials: int
    """Trials declared for its search, over all searches where it is repeated."""
    complete: int
    """Search trials that ran to their end."""
    failed: int
    """Search trials that failed."""
    seeds: tuple[int, ...]
    """Seeds of the final runs that were scored on test."""
    params: dict[str, object]
    """The selected setting, the first search's where it was repeated; empty where nothing was
    selected."""
    validation: float | None
    """Primary metric on validation of the selected search trial; None without a complete trial."""
    default_validation: float | None
    """Primary metric on validation of the default setting (trial 0); None where that trial did not
    complete."""
    test: float | None
    """Primary metric on test, mean over seeds; None where nothing was tested."""
    test_interval: Interval | None
    """Cluster-bootstrap (or Wilson) interval of ``test``; None where there is none."""
    metrics: dict[str, float]
    """Metric -> its value on test, mean over seeds."""
    out_of_domain: dict[str, float]
    """Out-of-domain set -> primary metric, mean over seeds; empty where none was scored."""
    cost: CostSummary
    """What the arm costs to make and to serve."""
    search_tokens: int | None = 0
    """Tokens trained on over all trials of the search, failed ones too; 0 for a prompt arm."""
    short_of_budget: bool = False
    """The tuned arm saw fewer trials through than declared, while another tuned arm saw all of its
    own through: the two were not tried equally hard."""
    pruned: int = 0
    """Search trials that were stopped early."""
    searches: int = 1
    """Number of searches, each with the whole budget and a setting of its own; ``validation`` and
    ``default_validation`` are means over them, trials are added up."""
    settings: int | None = None
    """Number of distinct settings of its space; None where they are infinitely many."""
    settings_tried: int = 0
    """Number of distinct settings that were seen through, to the end or until stopped early."""
    metric_intervals: dict[str, Interval] = field(default_factory=dict)
    """Metric of all items together that the user brings -> its interval over items, the ends' mean
    over seeds."""


@dataclass(frozen=True, slots=True)
class BreakEven:
    """After how many requests the upfront money of ``arm`` is repaid by serving it more cheaply."""

    arm: str
    """The fine-tuned arm."""
    against: str
    """The prompt arm that it is held against."""
    requests: float | None
    """Requests after which the money is repaid; None when it never is, with the reason in
    ``sentence``."""
    sentence: str
    """The result in words."""
    requests_low: float | None = None
    """The fewest requests within the ranges of what serving costs; None where it never is repaid
    within them, or where a cost was not measured."""
    requests_high: float | None = None
    """The most requests within the same ranges; None where it may never be repaid."""


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Analytic estimate of the memory that weights, gradients and optimiser take in training.

    Activations are not in it.
    """

    kind: str
    """Kind of arm: ``full``, ``lora`` or ``qlora``."""
    parameters: int
    """Number of parameters of the whole model."""
    mib: float
    """Estimated memory, MiB."""


__all__ = [
    "ArmSummary",
    "BreakEven",
    "CostSummary",
    "Latency",
    "MemoryEstimate",
    "TimedTurn",
]
