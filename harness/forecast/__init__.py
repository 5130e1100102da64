"""What a study will take, before anything is spent: trials, tokens, time, money, memory, disk."""

from harness.forecast.cost_model import nominal_prices
from harness.forecast.estimate import Estimate
from harness.forecast.findings import ArmForecast, Forecast, JudgeForecast, ServerUse
from harness.forecast.study import forecast_study

__all__ = [
    "ArmForecast",
    "Estimate",
    "Forecast",
    "JudgeForecast",
    "ServerUse",
    "forecast_study",
    "nominal_prices",
]
