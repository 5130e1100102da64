"""A written instruction is kept where it does better on fresh rows, and dropped elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.records import KEPT_LEVEL, Worth
from harness.search import ArmSearch, PastTrial, confirming
from harness.search.confirming import confirmation, seeded_confirmation
from harness.spec import SearchSpec
from harness.spec.arms import PromptArm

TEXT = "Say it in one word."
ARM = PromptArm.model_validate(
    {"kind": "prompt", "shots": {"choices": [0, 2]}, "instruction": {"optimise": {"by": "gepa"}}}
).with_written((TEXT,))
OWN = [n % 2 for n in range(40)]


def held(written: list[float], own: list[float]) -> tuple[bool, float | None]:
    worths = (Worth(True, float(np.mean(written))), Worth(True, float(np.mean(own))))
    found = confirmation(
        TEXT, dict(enumerate(written)), dict(enumerate(own)), worths, np.random.default_rng(0)
    )
    return found.kept, found.p_value


def search(past: list[PastTrial], **more: object) -> ArmSearch:
    return ArmSearch("written", ARM, 7, SearchSpec.model_validate(more), past=past, written=TEXT)


def trial(number: int, text: str | None, right: list[int], shots: int = 0) -> PastTrial:
    values = tuple((n, float(value)) for n, value in enumerate(right))
    params = {"shots": shots, "instruction": text}
    return PastTrial(number, params, "complete", float(np.mean(right)), values=values)


def with_flips(gained: int, lost: int) -> list[int]:
    """The answers under the task's own, some made right and some made wrong."""
    wrong, right = (([n for n in range(40) if OWN[n] == value]) for value in (0, 1))
    changed = {**dict.fromkeys(wrong[:gained], 1), **dict.fromkeys(right[:lost], 0)}
    return [changed.get(n, value) for n, value in enumerate(OWN)]


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    # Binomial tails at a half: of 4 rows all, of 3 all, of 12 at least 9, of 12 at least 8.
    [(4, 0, 1 / 16), (3, 0, 1 / 8), (9, 3, 299 / 4096), (8, 4, 794 / 4096), (0, 0, 1.0)],
)
def test_of_right_and_wrong_it_is_mcnemars_exact_test(gained: int, lost: int, p: float) -> None:
    kept, found = held([float(v) for v in with_flips(gained, lost)], [float(v) for v in OWN])
    assert found == pytest.approx(p)
    assert kept == (p <= KEPT_LEVEL)


def test_what_does_no_better_is_kept_in_a_tenth_of_studies_at_most() -> None:
    rng = np.random.default_rng(1)
    alike, better = (
        [held(*(rng.normal(shift, 1, 20).tolist() for shift in (gain, 0)))[0] for _ in range(60)]
        for gain in (0.0, 1.0)
    )
    assert np.mean(alike) < 0.2
    assert np.mean(better) > 0.8


def test_it_is_tried_right_after_the_default_and_then_with_other_settings() -> None:
    asked = search([trial(0, None, OWN)])
    owed = asked.owes
    proposal = asked.ask()
    assert proposal is not None
    assert proposal.params == {"shots": 0, "instruction": TEXT}
    assert (owed, asked.owes) == (True, False)
    asked.tell(trial(1, TEXT, with_flips(6, 0)))
    found = asked.confirmation()
    assert found is not None
    assert (found.kept, found.items, found.own) == (True, 40, 0.5)
    best = asked.best()
    assert best is not None
    assert best.params["instruction"] == TEXT
    rest = []
    while (proposal := asked.ask()) is not None:
        rest.append(proposal.params)
        asked.tell(trial(proposal.number, proposal.params["instruction"], OWN, shots=2))
    assert sorted(rest, key=str) == [
        {"shots": 2, "instruction": TEXT},
        {"shots": 2, "instruction": None},
    ]


@pytest.mark.parametrize("flips", [(0, 1), (2, 0), (6, 3)], ids=["worse", "few", "by chance"])
def test_what_is_not_shown_better_is_neither_selected_nor_tried_again(
    flips: tuple[int, int],
) -> None:
    asked = search([trial(0, None, OWN), trial(1, TEXT, with_flips(*flips))], sampler="random")
    assert asked.best() == trial(0, None, OWN)
    proposal = asked.ask()
    assert proposal is not None
    assert proposal.params == {"shots": 2, "instruction": None}
    asked.tell(trial(2, None, OWN, shots=2))
    assert asked.ask() is None


def test_what_was_stopped_early_is_dropped() -> None:
    values = tuple((n, 0.0) for n in range(24))
    stopped = PastTrial(1, {"shots": 0, "instruction": TEXT}, "pruned", values=values)
    found = search([trial(0, None, OWN), stopped]).confirmation()
    assert found is not None
    assert (found.kept, found.items, found.written, found.own, found.p_value) == (
        False, 24, 0.0, 0.5, None,
    )  # fmt: skip


def test_without_a_score_of_the_tasks_own_nothing_is_dropped() -> None:
    failed = PastTrial(0, {"shots": 0, "instruction": None}, "failed")
    asked = search([failed, trial(1, TEXT, OWN)])
    assert asked.confirmation() is None
    assert asked.best() == trial(1, TEXT, OWN)


def test_what_is_written_late_is_tried_next() -> None:
    """The writing failed at first, and was done over after two trials without it."""
    asked = search([trial(0, None, OWN), trial(1, None, OWN, shots=2)])
    proposal = asked.ask()
    assert proposal is not None
    assert (proposal.number, proposal.params) == (2, {"shots": 0, "instruction": TEXT})


def test_scores_that_are_missing_rank_it_behind() -> None:
    worths = (Worth(False, 0.9), Worth(True, 0.5))
    rows = dict.fromkeys(range(20), 1.0)
    rng = np.random.default_rng(0)
    found = confirmation(TEXT, rows, dict.fromkeys(range(20), 0.0), worths, rng)
    assert found.p_value is not None
    assert found.p_value < 0.01
    assert not found.kept


def test_what_two_trials_say_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded_confirmation.cache_clear()
    plain, counted = confirming._chance, list[int]()

    def chance(differences: NDArray[np.float64], rng: np.random.Generator) -> float:
        counted.append(len(differences))
        return plain(differences, rng)

    monkeypatch.setattr(confirming, "_chance", chance)
    ended = [trial(0, None, OWN), trial(1, TEXT, with_flips(9, 3))]
    one, other = search(ended), search(ended)
    for number in (2, 3):
        proposal = one.ask()
        assert proposal is not None
        assert proposal.number == number
        values = tuple((n, float(value)) for n, value in enumerate(OWN))
        one.tell(PastTrial(number, proposal.params, "complete", 0.5, values=values))
    assert one.confirmation() == other.confirmation() == one.confirmation()
    assert counted == [40]
    mine, theirs = (dict(past.values) for past in ended)
    worths = (ended[1].worth, ended[0].worth)
    again = confirmation(TEXT, theirs, mine, worths, np.random.default_rng([7, 0]))
    assert one.confirmation() == again
    # Other trials are another matter.
    kept = search([ended[0], trial(1, TEXT, with_flips(4, 0))]).confirmation()
    assert kept is not None
    assert kept != again
