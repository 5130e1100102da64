"""Ask and tell: the default first, the same after a restart, nothing twice."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import pytest
from pydantic import TypeAdapter

from harness.search import ArmSearch, PastTrial, Proposal
from harness.spec import Arm

SAMPLERS = ("tpe", "random")


def arm(**values: Any) -> Arm:
    parsed: Arm = TypeAdapter(Arm).validate_python({"kind": "prompt", **values})
    return parsed


LORA = arm(
    kind="lora",
    rank={"low": 4, "high": 64, "log": True},
    dropout={"low": 0, "high": 0.2},
    schedule={"choices": ["cosine", "linear"]},
)
FINITE = arm(shots={"choices": [0, 2, 4]}, selection={"choices": ["random", "nearest"]})


def score(params: dict[str, Any]) -> float:
    """Best at a learning rate of 1e-3 and a high rank."""
    rate = float(params.get("learning_rate", 1e-3))
    return 1 - abs(math.log10(rate) + 3) + float(params.get("rank", 0)) / 1000


def played(search: ArmSearch, trials: int, failing: tuple[int, ...] = ()) -> list[PastTrial]:
    """Ask and tell; what happened."""
    past = []
    for proposal in islice(iter(search.ask, None), trials):
        value = None if proposal.number in failing else score(proposal.params)
        search.tell(proposal.number, value)
        past.append(PastTrial(proposal.number, proposal.params, value))
    return past


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_trial_0_is_the_default(sampler: str) -> None:
    proposal = ArmSearch("lora", LORA, 0, sampler).ask()
    assert proposal == Proposal(0, LORA.defaults())
    assert LORA.defaults()["learning_rate"] == 5e-4
    assert LORA.defaults()["rank"] == 16


def test_an_arm_with_nothing_to_search_has_one_trial() -> None:
    search = ArmSearch("zero", arm(), 0)
    assert search.ask() == Proposal(0, {})
    search.tell(0, 0.5)
    assert search.ask() is None


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_gives_the_same_search(sampler: str) -> None:
    a, b, other = (played(ArmSearch("lora", LORA, seed, sampler), 12) for seed in (3, 3, 4))
    assert a == b
    assert [trial.params for trial in a] != [trial.params for trial in other]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("failing", [(), (0, 3, 7)])
def test_a_rebuilt_search_goes_on_as_an_uninterrupted_one(
    sampler: str, failing: tuple[int, ...]
) -> None:
    whole = played(ArmSearch("lora", LORA, 0, sampler), 14, failing)
    for ended in (1, 6, 13):
        # The store gives trials back in any order.
        rebuilt = ArmSearch("lora", LORA, 0, sampler, whole[:ended][::-1])
        assert played(rebuilt, 14 - ended, failing) == whole[ended:]


def test_a_rebuilt_finite_search_goes_on_as_an_uninterrupted_one() -> None:
    whole = played(ArmSearch("few", FINITE, 0), 6, (1,))
    for ended in range(1, 6):
        assert played(ArmSearch("few", FINITE, 0, "tpe", whole[:ended]), 9, (1,)) == whole[ended:]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_finite_space_is_walked_once(sampler: str) -> None:
    search = ArmSearch("few", FINITE, 0, sampler)
    past = played(search, 20, failing=(2,))
    assert len(past) == 6
    assert len({tuple(sorted(trial.params.items())) for trial in past}) == 6
    assert search.ask() is None


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("log", [False, True])
def test_a_short_range_of_whole_numbers_is_finite_too(sampler: str, log: bool) -> None:
    short = arm(shots={"low": 1, "high": 5, "log": log})
    past = played(ArmSearch("few", short, 0, sampler), 20)
    assert sorted(trial.params["shots"] for trial in past) == [1, 2, 3, 4, 5]


def test_a_vast_finite_space_is_not_enumerated() -> None:
    vast = arm(
        shots={"low": 0, "high": 10**6}, instruction={"choices": [str(n) for n in range(1000)]}
    )
    assert len(played(ArmSearch("vast", vast, 0), 5)) == 5


def test_open_trials_are_not_proposed_again() -> None:
    search = ArmSearch("few", FINITE, 0)
    asked = [search.ask() for _ in range(7)]
    assert asked[6] is None
    settings = {tuple(sorted(one.params.items())) for one in asked if one is not None}
    assert len(settings) == 6
    assert [one.number for one in asked if one is not None] == list(range(6))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_values_lie_within_bounds(sampler: str) -> None:
    past = played(ArmSearch("lora", LORA, 1, sampler), 40)
    rates = [trial.params["learning_rate"] for trial in past]
    assert all(1e-4 <= rate <= 3e-3 for rate in rates)
    assert all(4 <= trial.params["rank"] <= 64 for trial in past)
    assert all(isinstance(trial.params["rank"], int) for trial in past)
    assert all(0 <= trial.params["dropout"] <= 0.2 for trial in past)
    assert {trial.params["schedule"] for trial in past} == {"cosine", "linear"}


def test_a_logarithmic_range_is_drawn_by_its_logarithm() -> None:
    wide = arm(kind="full", learning_rate={"low": 1e-6, "high": 1e-2, "log": True})
    rates = [t.params["learning_rate"] for t in played(ArmSearch("f", wide, 0, "random"), 60)]
    # Uniform draws would leave one in a hundred below 1e-4; logarithmic ones half.
    assert 15 <= sum(rate < 1e-4 for rate in rates) <= 45


def test_failed_trials_do_not_break_the_search() -> None:
    search = ArmSearch("lora", LORA, 0)
    played(search, 8, failing=tuple(range(8)))
    assert search.best() is None
    proposal = search.ask()
    assert proposal is not None
    search.tell(proposal.number, 0.4)
    best = search.best()
    assert best is not None
    assert (best.number, best.score) == (8, 0.4)


def test_the_earliest_of_equals_is_best() -> None:
    search = ArmSearch("few", FINITE, 0)
    for value in (0.2, 0.7, 0.7, None, 0.1):
        proposal = search.ask()
        assert proposal is not None
        search.tell(proposal.number, value)
    best = search.best()
    assert best is not None
    assert best.number == 1
    past = [PastTrial(2, {"shots": 4, "selection": "random"}, 0.0),
            PastTrial(0, {"shots": 0, "selection": "random"}, 0.0)]  # fmt: skip
    rebuilt = ArmSearch("few", FINITE, 0, "tpe", past).best()
    assert rebuilt is not None
    assert rebuilt.number == 0


def test_negative_scores_are_compared_as_numbers() -> None:
    past = [
        PastTrial(n, {"shots": n * 2, "selection": "random"}, v) for n, v in enumerate((-2.0, -1.0))
    ]
    best = ArmSearch("few", FINITE, 0, "tpe", past).best()
    assert best is not None
    assert best.number == 1


def test_arms_never_share_a_stream() -> None:
    a = played(ArmSearch("lora", LORA, 0, "random"), 10)
    b = played(ArmSearch("lora-2", LORA, 0, "random"), 10)
    assert a[0].params == b[0].params
    pairs = zip(a[1:], b[1:], strict=True)
    assert all(x.params["learning_rate"] != y.params["learning_rate"] for x, y in pairs)


def test_only_an_asked_number_can_be_told_and_only_once() -> None:
    search = ArmSearch("few", FINITE, 0)
    with pytest.raises(KeyError):
        search.tell(0, 1.0)
    search.ask()
    search.tell(0, 1.0)
    with pytest.raises(KeyError):
        search.tell(0, 1.0)


def test_choices_come_back_with_their_type() -> None:
    mixed = arm(instruction={"choices": ["1", "True", "none"]}, shots={"choices": [1, 2]})
    past = played(ArmSearch("mixed", mixed, 0), 6)
    assert {trial.params["instruction"] for trial in past} == {"1", "True", "none"}
    assert {type(trial.params["shots"]) for trial in past} == {int}


def test_tpe_finds_better_settings_than_the_default() -> None:
    past = played(ArmSearch("lora", LORA, 0), 30)
    later = [trial.score for trial in past[15:] if trial.score is not None]
    assert past[0].score is not None
    assert max(later) > past[0].score
    assert sum(later) / len(later) > past[0].score - 0.3
