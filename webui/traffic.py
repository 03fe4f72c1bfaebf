"""How many records a second there are of each business type, and promotions of each rule, over the last minutes.

A streaming run writes what it counted every ten seconds; everything here is read from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from callbeam_io.store import Store, utc_text
from callbeam_io.store.states import samples
from webui import words

SHOWN: Final = 300.0
"""Seconds of the charts."""
HOLE: Final = 15.0
"""Seconds by which a sample may be longer in coming than what it covers, before there is a hole."""


@dataclass(frozen=True)
class Sample:
    """What a run counted in the ``seconds`` until ``at`` (seconds since 1970)."""

    at: float
    seconds: float
    figures: Mapping[str, Any]


Points = list[tuple[float, float | None]]
Series = dict[str, Points]
"""Per name the moments and how many a second there were until then; None where nothing is known."""


def recent(store: Store, run_id: str, lasting: float = SHOWN) -> list[Sample]:
    """The newest samples of a run, in order."""
    since = utc_text(datetime.fromtimestamp(time.time() - lasting, UTC))
    return [
        made for at, figures in samples(store, run_id, since) if (made := _sample(at, figures)) is not None
    ]


def _sample(at: str, figures: Mapping[str, Any]) -> Sample | None:
    moment, seconds = words.moment(at), float(figures.get("seconds") or 0)
    return None if moment is None or seconds <= 0 else Sample(moment.timestamp(), seconds, figures)


def reads(found: Sequence[Sample]) -> Points:
    """Records a second."""
    return rates(found, lambda figures: {"read": figures.get("read", 0)}).get("read", [])


def types(found: Sequence[Sample]) -> Series:
    """Records a second by business type."""
    return rates(found, lambda figures: figures.get("by_type") or {})


def promotions(found: Sequence[Sample]) -> Series:
    """Promotions a second by rule, whatever their outcome."""
    return rates(
        found,
        lambda figures: {rule: sum(n.values()) for rule, n in (figures.get("promotions") or {}).items()},
    )


def rates(found: Sequence[Sample], pick: Callable[[Mapping[str, Any]], Mapping[str, float]]) -> Series:
    """Counts of samples as rates; a sample that is missing is a hole, no zero.

    >>> two = [Sample(10, 10, {"read": 50}), Sample(60, 10, {"read": 20})]
    >>> rates(two, lambda figures: figures)
    {'read': [(10, 5.0), (49.0, None), (60, 2.0)]}
    """
    names = dict.fromkeys(name for sample in found for name in pick(sample.figures))
    series: Series = {name: [] for name in names}
    before = None
    for sample in found:
        counts = pick(sample.figures)
        missing = before is not None and sample.at - before - sample.seconds > HOLE
        for name, points in series.items():
            if missing:
                points.append((sample.at - sample.seconds - 1.0, None))
            points.append((sample.at, counts.get(name, 0) / sample.seconds))
        before = sample.at
    return series
