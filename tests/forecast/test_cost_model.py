from __future__ import annotations

from dataclasses import astuple

import pytest

from harness.forecast.cost_model import (
    Activity,
    CostModel,
    Measure,
    Prices,
    Sample,
    nominal_prices,
)
from harness.records import ModelWork


def activity(
    signature: str = "a",
    group: str = "generate",
    *,
    model: str = "m",
    kind: str = "prompt",
    measure: Measure = "score",
    writes: bool = False,
) -> Activity:
    return Activity(model, kind, signature, measure, group, writes)


def sample(
    work: ModelWork, seconds: float, of: Activity | None = None, counted: ModelWork | None = None
) -> Sample:
    return Sample(of or activity(), counted or work, work, seconds)


def test_prices_that_made_the_samples_are_found() -> None:
    prices = Prices(request=0.25, of_pass=0.5, read=0.01, written=0.2, predicted=0.03)
    works = [
        ModelWork(1, 100, 10, 3), ModelWork(2, 500, 10, 9), ModelWork(1, 300, 40, 1),
        ModelWork(4, 90, 7, 20), ModelWork(9, 20, 30, 5), ModelWork(3, 10, 3, 50),
    ]  # fmt: skip
    costs = CostModel([sample(work, prices.seconds(work, requests=1)) for work in works])
    found = costs.seconds(activity(), ModelWork(8, 1000, 80, 90))
    assert found.expected == pytest.approx(0.25 + 4 + 10 + 16 + 2.7)
    assert found.low == pytest.approx(found.high)


def test_one_sample_grows_with_the_work() -> None:
    costs = CostModel([sample(ModelWork(13, 1200, 180, 200), 4.0)])
    found = costs.seconds(activity(), ModelWork(104, 9600, 1440, 1600))
    assert astuple(found) == pytest.approx((32, 32, 32))
    # Eight times the text and four times the reply: what of it takes the time is not known.
    found = costs.seconds(activity(), ModelWork(52, 9600, 720, 800))
    assert [found.low, found.high] == pytest.approx([16, 32])


def test_training_takes_time_whatever_explains_two_samples() -> None:
    # The positions alone explain both samples: they must be part of what is extrapolated.
    train = activity(measure="train")
    counted = ModelWork(3, 2400, 0, 80), ModelWork(2, 3200, 0, 117)
    costs = CostModel(
        [
            sample(ModelWork(6, 2500, 0, 80), 3.0, train, counted[0]),
            sample(ModelWork(8, 3267, 0, 117), 4.5, train, counted[1]),
        ]
    )
    work = costs.work(train, counted[0] * 83)
    found = costs.seconds(train, work)
    assert 200 < found.expected < 300
    assert found.low <= found.expected <= found.high


def test_time_without_work_says_nothing_of_other_work() -> None:
    around = activity(measure="around")
    costs = CostModel([sample(ModelWork(), 1e-5, around)])
    assert not costs.knows(around)


def test_training_has_no_price_of_a_request() -> None:
    train = activity(measure="train")
    costs = CostModel([sample(ModelWork(passes=3, read=60), 6.0, train)])
    assert costs.seconds(train, ModelWork(passes=30, read=600)).expected == pytest.approx(60)


def test_what_is_most_alike_corrects_the_prices() -> None:
    ten, twenty = ModelWork(read=10), ModelWork(read=20)
    costs = CostModel(
        [
            sample(ten, 1.0, activity("a", "x", measure="single")),
            sample(ten, 2.0, activity("b", "x", measure="single")),
            sample(ten, 4.0, activity("a", "y", measure="single")),
        ]
    )

    def seconds(signature: str, group: str) -> tuple[float, ...]:
        return astuple(costs.seconds(activity(signature, group, measure="single"), twenty))

    assert seconds("a", "x") == pytest.approx((2, 2, 2))
    assert seconds("b", "x") == pytest.approx((4, 4, 4))
    # A setting that was not measured lies among those of its group: expected, low, high.
    assert seconds("c", "x") == pytest.approx((3, 2, 4))


def test_what_only_reads_does_not_stand_in_for_what_writes() -> None:
    costs = CostModel(
        [
            sample(ModelWork(1, 100, 0, 40), 1.0, activity(kind="lora", measure="single")),
            sample(ModelWork(9, 100, 8, 9), 5.0, activity(measure="single", writes=True)),
        ]
    )
    written = activity(kind="lora", measure="single", writes=True)
    assert costs.seconds(written, ModelWork(9, 100, 8, 9)).expected == pytest.approx(5)
    assert not costs.knows(activity(measure="score", writes=True))


def test_another_kind_of_the_model_stands_in_but_no_other_model() -> None:
    costs = CostModel([sample(ModelWork(read=10), 1.0)])
    assert costs.seconds(activity(kind="lora"), ModelWork(read=10)).expected == pytest.approx(1.0)
    assert costs.knows(activity(kind="lora"))
    assert not costs.measured_group(activity(group="choice"))
    assert not costs.knows(activity(model="another"))
    with pytest.raises(KeyError, match="no sample of train"):
        costs.seconds(activity(measure="train"), ModelWork(read=1))


def test_reported_work_grows_as_the_texts_do() -> None:
    counted, reported = ModelWork(2, 100, 30, 8), ModelWork(3, 90, 15, 8)
    costs = CostModel([sample(reported, 1.0, counted=counted)])
    assert costs.work(activity(), counted * 4) == reported * 4
    assert costs.work(activity(), ModelWork(read=50)) == ModelWork(read=45)
    # What a sample says nothing of is not made up.
    bare = CostModel([sample(ModelWork(read=9), 1.0)])
    assert bare.work(activity(), ModelWork(read=9, written=5)) == ModelWork(read=9)


def test_nominal_prices_are_operations_over_what_the_machine_reaches() -> None:
    prices = nominal_prices(100, 1000.0, on_gpu=False)
    # 2 operations for each of the weights that compute, at 45 % of the machine's rate.
    assert prices.read == pytest.approx(2 * 80 / 450)
    assert prices.written == pytest.approx(3 * prices.read)
    assert nominal_prices(100, 1000.0, on_gpu=False, operations=6).read == pytest.approx(
        3 * prices.read
    )
    assert nominal_prices(100, 1000.0, on_gpu=True).seconds(ModelWork(passes=10)) == 0.6
