"""The distributions of a workload: calls per person, seconds talked, hours of the day, business types."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from callbeam_io.workload.mixing import I64
from callbeam_io.workload.settings import WorkloadSettings

F64 = npt.NDArray[np.float64]

DAILY_CURVE: Final = (4, 2, 1, 1, 1, 2, 5, 10, 18, 24, 27, 28, 27, 26, 26, 27, 28, 30, 31, 28, 23, 17, 11, 7)
"""Weights of the hours 0-23 of an ordinary day."""
WEEKLY_CURVE: Final = (20, 20, 20, 20, 21, 17, 15)
"""Weights of the days Monday-Sunday."""
PEAK_HOURS: Final = {
    "midnight": range(6),
    "morning": range(6, 12),
    "afternoon": range(12, 18),
    "evening": range(18, 24),
}
PEAK_SHARE: Final = 0.7
"""Share of a day's interactions in the six hours of a time of day, spread evenly over them."""
SIGMA: Final = 1.0
"""Spread of the logarithm of the default durations: half of the calls are shorter than 0.6 of the mean."""
LONGEST: Final = 6 * 3600
"""Seconds after which every call is cut off."""


def calls_per_person(settings: WorkloadSettings, chance: F64) -> I64:
    """How many interactions each person has, from one number in [0, 1) per person (inverse of the CDF).

    uniform: every number from least to most; poisson: mean in the middle, cut at both; pareto: bounded, shape
    `pareto_shape`, floor of a value in [least, most + 1).
    """
    least, most = settings.calls_per_person
    if settings.calls_distribution == "poisson":
        drawn = np.searchsorted(_poisson_cdf((least + most) / 2), chance, side="right")
    elif settings.calls_distribution == "pareto":
        shape = settings.pareto_shape
        low, high = least**-shape, (most + 1) ** -shape
        drawn = np.floor((low - chance * (low - high)) ** (-1 / shape)).astype(np.int64)
    else:
        drawn = least + np.floor(chance * (most - least + 1)).astype(np.int64)
    return np.clip(drawn, least, most).astype(np.int64)


def durations(settings: WorkloadSettings, rng: np.random.Generator, size: int) -> npt.NDArray[np.int32]:
    """Seconds talked of `size` answered calls, whole, at most `LONGEST`.

    default: log-normal with mean `duration_mean` (call durations are heavy-tailed), at least a second.
    """
    mean = settings.duration_mean
    if settings.duration == "exponential":
        seconds = np.rint(rng.exponential(mean, size))
    elif settings.duration == "poisson":
        seconds = rng.poisson(mean, size)
    elif settings.duration == "binomial":
        seconds = rng.binomial(settings.duration_n, settings.duration_p, size)
    else:
        drawn = rng.lognormal(math.log(mean) - SIGMA**2 / 2, SIGMA, size)
        seconds = np.maximum(np.rint(drawn), 1)
    return np.minimum(seconds, LONGEST).astype(np.int32)


def hour_shares(time_of_day: str) -> F64:
    """The share of a day's interactions in each hour 0-23 (sums to 1)."""
    curve = np.array(DAILY_CURVE, dtype=np.float64)
    if time_of_day in PEAK_HOURS:
        peak = list(PEAK_HOURS[time_of_day])
        curve[peak] = 0
        curve *= (1 - PEAK_SHARE) / curve.sum()
        curve[peak] = PEAK_SHARE / len(peak)
    shares: F64 = curve / curve.sum()
    return shares


def type_shares(settings: WorkloadSettings) -> F64:
    """The share of interactions of each business type, in order, the favoured one's on top (sums to 1)."""
    weights = dict(settings.type_weights)
    shares = np.array([weights.get(name, 1.0) for name, _ in settings.business_types])
    shares /= shares.sum()
    if settings.favoured_type is not None:
        names = [name for name, _ in settings.business_types]
        shares *= 1 - settings.favoured_rate
        shares[names.index(settings.favoured_type)] += settings.favoured_rate
    return shares


def pick(shares: F64, chance: npt.NDArray[np.floating]) -> I64:
    """Positions drawn by shares, from one number in [0, 1) each; a share of 0 is never drawn."""
    ends = np.cumsum(shares)
    drawn = np.searchsorted(ends / ends[-1], chance, side="right")
    return np.asarray(np.minimum(drawn, np.flatnonzero(shares)[-1]), dtype=np.int64)


def _poisson_cdf(mean: float) -> F64:
    counts = np.arange(1, math.ceil(mean + 12 * math.sqrt(mean) + 12))
    logs = np.concatenate([[0.0], np.cumsum(np.log(mean / counts))]) - mean
    return np.cumsum(np.exp(logs))
