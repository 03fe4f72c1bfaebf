"""Whom the promotions of a rule reached, as the store has them."""

from __future__ import annotations

from typing import Final

import polars as pl

from callbeam_io.store import Store
from transforms.columns.numbers import party_codes
from transforms.columns.rules.effect import Reached, reached_by
from transforms.schema import TIME_FORMAT

OUTCOMES: Final = ("offered", "control")


def reached_in(store: Store, rule_id: str, run_id: str) -> Reached:
    """Whom the promotions of a rule reached in a run."""
    where = {"rule_id": rule_id, "outcome": ("in", OUTCOMES)}
    rows = pl.DataFrame(pl.from_arrow(store.table("promotions", run_id, where=where)))
    at = rows["decided_at"].str.to_datetime(TIME_FORMAT, time_unit="us").to_physical().to_numpy()
    return reached_by(party_codes(rows["subscriber"]).code, at // 1_000_000, rows["outcome"].to_list())
