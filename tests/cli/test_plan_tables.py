"""The tables of a plan on a narrow terminal."""

from __future__ import annotations

import io

from harness.cli.plan_tables import print_forecast
from harness.cli.terminal import Terminal
from harness.forecast.estimate import Estimate
from harness.forecast.findings import ArmForecast, Forecast

MANY = {
    "writing": Estimate(2, 1, 3),
    "search": Estimate(6, 2, 8),
    "finalist": Estimate.exactly(3),
    "default": Estimate(2, 0, 3),
    "curve": Estimate.exactly(6),
    "latency": Estimate.exactly(2),
}


def arm(name: str, seconds: float, trials: dict[str, Estimate]) -> ArmForecast:
    return ArmForecast(
        name,
        "lora",
        trials,
        train_tokens=Estimate.exactly(123_456.0),
        scored_tokens=Estimate.exactly(2_345_678.0),
        seconds=Estimate(seconds, seconds * 0.7, seconds * 1.6),
        money=Estimate.exactly(seconds / 36_000),
        peak_mib=Estimate.exactly(1900.0),
    )


def test_eighty_columns_hold_a_row_an_arm_and_every_number_whole() -> None:
    forecast = Forecast(
        name="support", experiment_id="x", device="cpu", dtype="bfloat16", currency="EUR",
        arms=(
            arm("base", 33.2, {"baseline": Estimate.exactly(1)}),
            arm("nearest-examples", 331.2, {"finalist": Estimate.exactly(3)}),
            arm("lora-mixed", 12_345.0, MANY),
        ),
        known={}, start_seconds=3.0, measuring_seconds=60.0, available_mib=20_000.0,
        free_mib=50_000.0, store_mib=20.0, busy_share=0.1,
    )  # fmt: skip
    stream = io.StringIO()
    print_forecast(forecast, Terminal(file=stream, width=80))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in stream.getvalue()
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert rows["base"][-7:] == ["123k", "2,346k", "0.6", "0.4", "0.9", "0.00092", "1,900"]
    assert rows["nearest-examples"][-6:-3] == ["2,346k", "5.5", "3.9"]
    assert rows["lora-mixed"][-7:] == ["123k", "2,346k", "206", "144", "329", "0.34", "1,900"]
