"""What a study will take, before anything is spent: trials, tokens, time, money, memory, disk."""

from harness.forecast.estimate import Estimate
from harness.forecast.findings import ArmForecast, Forecast, ServerUse
from harness.forecast.small_trial import execute_small
from harness.forecast.study import forecast_study

__all__ = [
    "ArmForecast",
    "Estimate",
    "Forecast",
    "ServerUse",
    "execute_small",
    "forecast_study",
]
