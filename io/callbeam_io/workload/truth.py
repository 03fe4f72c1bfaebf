"""What a run found against what was planted: recall and precision of tag, type, weekday and hour."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from transforms.errors import InputError

PROPERTIES: Final = {
    "tag": ("tag", "tag_count"),
    "business_type": ("business_type", "business_type_count"),
    "weekday": ("best_weekday", "best_weekday_count"),
    "hour": ("best_hour", "best_hour_count"),
}
"""Columns of the truth -> columns of the table subscribers, and its count of them."""
_RUN_COLUMNS: Final = ("subscriber", "calls", "messages", *(c for pair in PROPERTIES.values() for c in pair))


def read_truth(path: Path) -> pl.DataFrame:
    """The planted truth: number, business_type, tag (text), weekday, hour (int64), null without a habit.

    Raises:
        InputError: no such file, or not a truth file.
    """
    wanted = {
        "number": pl.String,
        "business_type": pl.String,
        "tag": pl.String,
        "weekday": pl.Int64,
        "hour": pl.Int64,
    }
    try:
        return pl.read_csv(path, columns=list(wanted), schema_overrides=wanted)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"--truth {path}",
            "the .truth.csv file that was written beside the records",
            "Say where it is by --truth",
        ) from error


def compare(truth: pl.DataFrame, found: pl.DataFrame, least: int = 0, share: float = 0.4) -> pl.DataFrame:
    """Recall and precision per property, over people with at least `least` interactions in the run.

    A run claims a habit where the top value of a property holds at least `share` of a subscriber's
    interactions; a claim is right where it is the planted value. Subscribers that the truth does not list
    (businesses) are left out; people that the run did not find have no interactions.

    Args:
        truth: number, tag, business_type, weekday, hour: null where nothing is planted.
        found: the table subscribers: subscriber, calls, messages, and each property with its count.

    Returns:
        One row per property: property, people, planted, claimed, right (int), recall = right / planted,
        precision = right / claimed (null where there is nothing to divide by).
    """
    found = found.select(_RUN_COLUMNS).with_columns(interactions=pl.col("calls") + pl.col("messages"))
    both = truth.join(found, left_on="number", right_on="subscriber", how="left", suffix="_found")
    both = both.filter(pl.col("interactions").fill_null(0) >= least)
    rows = [_row(both, name, share) for name in PROPERTIES]
    return pl.DataFrame(rows).with_columns(
        recall=pl.when(pl.col("planted") > 0).then(pl.col("right") / pl.col("planted")),
        precision=pl.when(pl.col("claimed") > 0).then(pl.col("right") / pl.col("claimed")),
    )


def _row(both: pl.DataFrame, name: str, share: float) -> dict[str, str | int]:
    value, count = PROPERTIES[name]
    value = value if value != name else f"{name}_found"
    claimed = (pl.col(count) >= share * pl.col("interactions")) & (pl.col("interactions") > 0)
    right = claimed & (pl.col(name) == pl.col(value))
    counts = both.select(
        people=pl.len(), planted=pl.col(name).count(), claimed=claimed.sum(), right=right.sum()
    )
    return {"property": name, **counts.row(0, named=True)}
