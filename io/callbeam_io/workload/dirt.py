"""Dirt on demand: repeated records, contradicting ones and bad ones of nine kinds, in between the good."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from callbeam_io.workload.interactions import CONFLICT, COPY, ids
from callbeam_io.workload.mixing import I64
from callbeam_io.workload.plan import Block
from callbeam_io.workload.population import Population

KINDS: Final[dict[str, tuple[str, str | float | None]]] = {
    "no caller": ("calling_number", None),
    "no called number": ("called_number", None),
    "no time": ("start_time", "yesterday at noon"),
    "negative duration": ("duration", -60),
    "duration in words": ("duration", "a minute"),
    "unknown call type": ("call_type", "FAX"),
    "unknown result": ("call_result", "PERHAPS"),
    "negative charge": ("charge", -1.0),
    "torn line": ("", None),
}
"""What a bad record has: the field and what stands in it. A torn line ends in its middle."""

FIRST_BAD: Final = 10
"""Value of ``dirt`` of the first of the kinds, the others follow."""
TORN: Final = FIRST_BAD + list(KINDS).index("torn line")


def add_dirt(population: Population, block: Block, frame: pl.DataFrame) -> pl.DataFrame:
    """The records of a block with the dirt that the settings ask for, in order of time.

    Copies stand behind what they repeat; bad records have ids of their own. Column ``dirt`` says which is
    which (`COPY`, `CONFLICT`, `FIRST_BAD` + kind); bad ones still hold good values, see `spoil`.
    """
    s, rng = population.settings, block.rng
    if not (s.duplicate_rate or s.conflict_rate or s.reject_rate):
        return frame
    copies = frame[_some(rng, len(frame), s.duplicate_rate)].with_columns(dirt=pl.lit(COPY, pl.UInt8))
    others = frame[_some(rng, len(frame), s.conflict_rate)].with_columns(
        pl.col("duration") + 1, (pl.col("charge") + 0.01).round(4), dirt=pl.lit(CONFLICT, pl.UInt8)
    )
    bad = frame[_some(rng, len(frame), s.reject_rate)]
    bad = bad.with_columns(
        id=ids(population, block.first, len(frame) + np.arange(len(bad))),
        dirt=pl.Series(rng.integers(FIRST_BAD, FIRST_BAD + len(KINDS), len(bad)), dtype=pl.UInt8),
    )
    return pl.concat([frame, copies, others, bad]).sort("start_time", maintain_order=True)


def spoil(frame: pl.DataFrame, text: tuple[str, ...], torn: bool) -> pl.DataFrame:
    """The frame with its bad records spoiled; where one cannot be bad in its own way, it has no caller.

    Args:
        frame: columns of a record, and ``dirt``.
        text: those columns of it that can hold any text; they become text.
        torn: lines to be torn are torn later.
    """
    frame = frame.with_columns(pl.col(text).cast(pl.String))
    for code, (field, value) in enumerate(KINDS.values(), start=FIRST_BAD):
        if code == TORN and torn:
            continue
        if not field or (isinstance(value, str) and field not in text):
            field, value = KINDS["no caller"]
        wrong = pl.lit(value, dtype=frame[field].dtype)
        frame = frame.with_columns(
            pl.when(pl.col("dirt") == code).then(wrong).otherwise(pl.col(field)).alias(field)
        )
    return frame


def _some(rng: np.random.Generator, size: int, rate: float) -> I64:
    """Rows drawn at a rate per row, in order: as many as the rate says, the fraction by chance."""
    return np.sort(rng.integers(0, max(size, 1), int(size * rate + rng.random())))
