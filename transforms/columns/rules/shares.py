"""Two shares compared: how far apart they may be, and how many people it takes to tell."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

CONFIDENCE: Final = 0.95
POWER: Final = 0.8
_Z: Final = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
_Z_POWER: Final = NormalDist().inv_cdf(POWER)


def wilson(found: int, people: int) -> tuple[float, float]:
    """The 95 % score interval of a share, ``found`` of ``people`` (at least one).

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of the American
    Statistical Association 22 (1927), 209-212.
    """
    share, z2 = found / people, _Z * _Z
    centre = share + z2 / (2 * people)
    width = _Z * math.sqrt(share * (1 - share) / people + z2 / (4 * people * people))
    low, high = ((centre + side * width) / (1 + z2 / people) for side in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def newcombe(found: int, people: int, other_found: int, other_people: int) -> tuple[float, float]:
    """The 95 % interval of a difference of two independent shares, the first minus the other one.

    R. G. Newcombe, Interval estimation for the difference between independent proportions: comparison of eleven
    methods, Statistics in Medicine 17 (1998), 873-890, method 10: from Wilson's intervals, without correction.
    It holds for small groups and for shares near 0 as well.
    """
    share, other = found / people, other_found / other_people
    (low, high), (other_low, other_high) = wilson(found, people), wilson(other_found, other_people)
    difference = share - other
    below, above = math.hypot(share - low, other_high - other), math.hypot(high - share, other - other_low)
    return max(difference - below, -1.0), min(difference + above, 1.0)


def people_needed(share: float, difference: float, ratio: float = 1.0) -> tuple[int, int]:
    """How many people tell two shares apart, four times of five at 5 %: in the first group and in the other.

    J. L. Fleiss, B. Levin and M. C. Paik, Statistical Methods for Rates and Proportions, 3rd edition (2003),
    section 4.2, without correction for continuity.

    Args:
        share: that the first group is expected to have.
        difference: by which the other one's differs, upwards where there is room for it.
        ratio: people in the other group for each one in the first.
    """
    other = share + difference if share + difference <= 1 else share - difference
    mean = (share + ratio * other) / (1 + ratio)
    by_chance = _Z * math.sqrt((1 + ratio) * mean * (1 - mean))
    if_apart = _Z_POWER * math.sqrt(ratio * share * (1 - share) + other * (1 - other))
    first = (by_chance + if_apart) ** 2 / (ratio * difference**2)
    return math.ceil(first), math.ceil(first * ratio)
