"""From samples to a formula: seconds as a sum of what each unit of work takes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.forecast.estimate import Estimate
from harness.forecast.samples import Measure, Sample
from harness.forecast.trial_work import Form


@dataclass(frozen=True, slots=True)
class _Law:
    """seconds = prices . units, times what is typical of the manner and group."""

    prices: tuple[float, ...]
    ratios: tuple[tuple[str, str, float], ...]

    def of(self, units: tuple[float, ...]) -> float:
        return float(np.dot(self.prices, units))

    def typical(self, manner: str, group: str) -> Estimate:
        """Measured over fitted seconds of the samples that are most alike."""
        for wanted in ((manner, group), (None, group), (manner, None)):
            found = [
                ratio
                for m, g, ratio in self.ratios
                if wanted[0] in (m, None) and wanted[1] in (g, None)
            ]
            if found:
                return Estimate(statistics.fmean(found), min(found), max(found))
        found = [ratio for *_, ratio in self.ratios]
        return Estimate(statistics.fmean(found), min(found), max(found))


class Rates:
    """How many seconds work takes on this machine.

    The prices of a form are the least squares of relative errors over its samples, none below 0
    (Lawson and Hanson 1974, "Solving Least Squares Problems", chapter 23).
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        by_law: dict[tuple[Form, Measure], list[Sample]] = {}
        for sample in samples:
            by_law.setdefault((sample.form, sample.measure), []).append(sample)
        self._laws = {key: _fitted(found) for key, found in by_law.items()}

    def knows(self, form: Form, measure: Measure) -> bool:
        """Whether :meth:`seconds` can answer."""
        return self._law(form, measure) is not None

    def seconds(
        self,
        form: Form,
        measure: Measure,
        units: tuple[float, ...],
        *,
        manner: str = "",
        group: str = "",
    ) -> Estimate:
        """Seconds that the work takes.

        Raises:
            KeyError: no form of this model was measured at such work.
        """
        law = self._law(form, measure)
        if law is None:
            raise KeyError(f"no sample of {measure} by {form.kind}")
        return law.typical(manner, group) * law.of(units)

    def _law(self, form: Form, measure: Measure) -> _Law | None:
        if (form, measure) in self._laws:
            return self._laws[form, measure]
        # Another form of the same model is a fair stand-in, the untouched one first.
        others = [
            law for (f, m), law in self._laws.items() if f.model == form.model and m == measure
        ]
        return others[0] if others else None


def _fitted(samples: Sequence[Sample]) -> _Law:
    from scipy.optimize import nnls

    seconds = np.array([sample.seconds for sample in samples])
    units = np.array([sample.units for sample in samples])
    # Units as far apart as batches and tokens are brought to one scale first.
    scale = np.maximum(units.max(axis=0), 1e-12)
    prices, _ = nnls(units / scale / seconds[:, None], np.ones(len(samples)))
    prices = prices / scale
    fitted = units @ prices
    ratios = tuple(
        (s.manner, s.group, float(took / max(fit, 1e-12)))
        for s, took, fit in zip(samples, seconds, fitted, strict=True)
    )
    return _Law(tuple(prices.tolist()), ratios)
