"""What a run begins from: what the store delivered before.

Of a batch run with ``--deliver`` that is repeat, cooldown, cap and ``max_total``; of a stream ``max_total``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from callbeam_io.delivery.moments import text_of
from callbeam_io.sink import decided_key
from callbeam_io.store import Store
from callbeam_io.store.deliveries import KEY, contact_moments, earlier, given, of_others
from transforms.columns.decisions import RuleBook
from transforms.columns.numbers import party_codes
from transforms.columns.rules.memory import Memory, RuleMemory
from transforms.columns.rules.outcomes import Contacts
from transforms.rules.language import Rule
from transforms.schema import TIME_FORMAT

_MICROS: Final = 1_000_000


def with_earlier(book: RuleBook, store: Store) -> RuleBook:
    """A book whose repeat, cooldown, cap and ``max_total`` begin from the deliveries of a store."""
    memory, contacts = earlier_deliveries(store, [active.rule for active in book.rules])
    return replace(book, memory=memory, contacts=contacts, offered=given(store))


def decisions_of(
    store: Store, run_id: str, rules: Iterable[Rule]
) -> tuple[int | None, dict[str, int], pa.Table | None]:
    """What a stream goes on from, as `transforms.columns.live_tables.Decisions.catch_up` takes it.

    Args:
        store: of the run and of the deliveries.
        run_id: of the run.
        rules: that it begins with.
    """
    found = store.control(decided_key(run_id))
    floor = None if found is None else int(found)
    limited = [rule.rule_id for rule in rules if rule.limits.max_total is not None]
    others = of_others(store, run_id, limited, "" if floor is None else text_of(floor)) if limited else ()
    if not others:
        return floor, given(store, run_id), None
    keys = pl.DataFrame(others, schema=dict.fromkeys(KEY, pl.String), orient="row")
    at = pl.col("decided_at").str.to_datetime(TIME_FORMAT, time_unit="us")
    return floor, given(store, run_id), keys.with_columns(at).to_arrow()


def earlier_deliveries(store: Store, rules: Sequence[Rule]) -> tuple[Memory, Contacts]:
    """Firings that repeat and cooldown count, and contacts that the cap counts.

    Every delivery counts, whatever became of it, as within a run every firing does.

    Args:
        store: of the deliveries.
        rules: that are on.
    """
    found = earlier(store)
    names = ("rule_id", "subscriber", "count", "last")
    frame = pl.DataFrame(
        found, schema=dict(zip(names, (pl.String, pl.String, pl.Int32, pl.String), strict=True)), orient="row"
    )
    frame = frame.with_columns(
        code=pl.Series(party_codes(frame["subscriber"]).code), second=_seconds(frame["last"])
    )
    memory = {}
    for rule in rules:
        mine = frame.filter(rule_id=rule.rule_id).sort("code")
        if mine.height:
            memory[rule.rule_id] = _remembered(mine, rule)
    moments = pl.DataFrame(
        contact_moments(store), schema={"subscriber": pl.String, "at": pl.String}, orient="row"
    )
    codes = party_codes(moments["subscriber"]).code
    return Memory(memory), Contacts(codes, _seconds(moments["at"]).to_numpy())


def _remembered(mine: pl.DataFrame, rule: Rule) -> RuleMemory:
    """Without a cooldown a rule would be free to fire at the very moment of its last delivery again."""
    last = mine["second"].to_numpy() + (0 if rule.limits.cooldown else 1)
    count = mine["count"].to_numpy().astype(np.int32)
    return RuleMemory(None, mine["code"].to_numpy(), last, count, np.zeros(mine.height, np.bool_))


def _seconds(texts: pl.Series) -> pl.Series:
    return texts.str.to_datetime(TIME_FORMAT, time_unit="us").to_physical() // _MICROS
