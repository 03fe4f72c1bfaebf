"""What the versions of a rule have done by now, as far as a run that takes the rule up goes on from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from callbeam_io.store import Store, deliveries, web_rules
from transforms.columns.hashing import shard_of
from transforms.columns.numbers import party_codes
from transforms.columns.rules.memory import RuleMemory
from transforms.columns.rules.outcomes import CONTACTS, Cap, Contacts
from transforms.schema import SHARDS, TIME_FORMAT

_NOBODY: Final = tuple(Contacts() for _ in range(SHARDS))


@dataclass(frozen=True)
class Before:
    """What a rule has done.

    Attributes:
        memory: whom it has fired for.
        contacts: of these firings that the cap counts, by number of shard.
        given: how many it has given away.
    """

    memory: RuleMemory = field(default_factory=RuleMemory)
    contacts: Sequence[Contacts] = _NOBODY
    given: int = 0


class Earlier:
    """Reads it, and reads it again once there is more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mark: object = None
        self._found = Before()

    def of(self, run: Mapping[str, Any], rule_id: str, cap: Cap | None, upto: int) -> Before:
        """What a rule has done in a stream, or by deliveries where a batch run begins from these.

        Args:
            run: the row of ``runs``.
            rule_id: of the rule.
            cap: of contacts.
            upto: second of the last pane end.
        """
        streaming = run["mode"] == "streaming"
        if not streaming and not (run["options"] or {}).get("deliver"):
            return Before()
        run_id = run["run_id"] if streaming else None
        mark = (run_id, rule_id, cap, upto, web_rules.count_fired(self._store, rule_id, run_id))
        if mark != self._mark:
            self._found = self._read(run_id, rule_id, cap, upto)
            self._mark = mark
        return self._found

    def _read(self, run_id: str | None, rule_id: str, cap: Cap | None, upto: int) -> Before:
        table = pl.DataFrame(pl.from_arrow(web_rules.fired(self._store, rule_id, run_id)))
        at = pl.col("decided_at").str.to_datetime(TIME_FORMAT, time_unit="us").dt.epoch("s")
        fired = table.select(
            "outcome", at=at, code=pl.Series(party_codes(table["subscriber"]).code, dtype=pl.Int64)
        )
        people = fired.group_by("code").agg(pl.col("at").max(), n=pl.len().cast(pl.Int32)).sort("code")
        code, last, count = (people[name].to_numpy() for name in ("code", "at", "n"))
        memory = RuleMemory(None, code, last, count, np.zeros(len(code), np.bool_))
        recent = upto if cap is None else upto - cap.window
        contacts = fired.filter(pl.col("outcome").is_in(CONTACTS), pl.col("at") > recent)
        given = deliveries.given(self._store, run_id).get(rule_id, 0)
        return Before(memory, _by_shard(contacts), given)


def _by_shard(contacts: pl.DataFrame) -> list[Contacts]:
    code, at = (contacts[name].to_numpy() for name in ("code", "at"))
    shard = shard_of(code, SHARDS)
    return [Contacts(code[shard == number], at[shard == number]) for number in range(SHARDS)]
