from __future__ import annotations

import pytest

from harness.forecast.rates import Rates
from harness.forecast.samples import Measure, Sample
from harness.forecast.trial_work import Form

BASE, LORA, OTHER = Form("m", "prompt"), Form("m", "lora"), Form("another", "prompt")


def sample(
    units: tuple[float, ...],
    seconds: float,
    *,
    form: Form = BASE,
    manner: str = "a",
    group: str = "domain",
    measure: Measure = "generate",
) -> Sample:
    return Sample(form, manner, measure, group, units, seconds)


def test_prices_that_made_the_samples_are_found() -> None:
    sizes = [(1.0, 100.0, 10.0), (2.0, 500.0, 10.0), (1.0, 300.0, 40.0), (4.0, 90.0, 7.0)]
    rates = Rates([sample(u, 0.5 * u[0] + 0.01 * u[1] + 0.2 * u[2]) for u in sizes])
    found = rates.seconds(BASE, "generate", (8.0, 1000.0, 80.0), manner="a", group="domain")
    assert found.expected == pytest.approx(4 + 10 + 16)
    assert found.low == pytest.approx(found.high)


def test_what_is_most_alike_corrects_the_formula() -> None:
    rates = Rates(
        [
            sample((10.0,), 1.0),
            sample((10.0,), 2.0, manner="b"),
            sample((10.0,), 4.0, group="general"),
        ]
    )
    double = (20.0,)
    one = rates.seconds(BASE, "generate", double, manner="a", group="domain")
    assert one.expected == pytest.approx(2.0)
    assert rates.seconds(
        BASE, "generate", double, manner="b", group="domain"
    ).expected == pytest.approx(4.0)
    # A manner that was not measured lies among those of its group.
    unseen = rates.seconds(BASE, "generate", double, manner="c", group="domain")
    assert (unseen.low, unseen.expected, unseen.high) == pytest.approx((2.0, 3.0, 4.0))


def test_another_form_of_the_model_stands_in_but_no_other_model() -> None:
    rates = Rates([sample((10.0,), 1.0)])
    assert rates.seconds(LORA, "generate", (30.0,)).expected == pytest.approx(3.0)
    assert rates.knows(LORA, "generate")
    assert not rates.knows(OTHER, "generate")
    with pytest.raises(KeyError, match="no sample of likelihood"):
        rates.seconds(BASE, "likelihood", (1.0,))
