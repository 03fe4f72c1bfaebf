"""What the last gate has to know at this moment: pause, consents, outcomes, rules. Always read, never kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, func, select

from callbeam_io.delivery.moments import second_of, text_of
from callbeam_io.store.deliveries import Key, key_of
from callbeam_io.store.tables import TABLES

PAUSED: Final = "promotions.paused"
"""The setting that stops every way out: null, or who paused and when."""
_CONSENT: Final = TABLES["consent"]
_SUPPRESSED: Final = TABLES["suppressed"]
_PROMOTIONS: Final = TABLES["promotions"]
_RULES: Final = TABLES["rules"]
_RUNS: Final = TABLES["runs"]
_CONTROL: Final = TABLES["control"]
_STEP: Final = 5
"""Seconds between the decisions of a stream that does not say."""


@dataclass(frozen=True)
class Facts:
    """What is known at one moment about some deliveries.

    Attributes:
        paused: all promotions are.
        stated: per subscriber whether the newest word is yes; who is missing said nothing.
        suppressed: subscribers whom nobody may contact.
        outcomes: of the promotions behind the deliveries, where they are still in the store.
        rules: ids of the rules that the store knows.
        consenting_runs: runs that took everybody's consent for granted.
    """

    paused: bool
    stated: Mapping[str, bool]
    suppressed: frozenset[str]
    outcomes: Mapping[Key, str]
    rules: frozenset[str]
    consenting_runs: frozenset[str]


def facts_of(connection: Connection, rows: Sequence[Mapping[str, Any]], now: float) -> Facts:
    """Reads them.

    Args:
        connection: in a transaction.
        rows: deliveries, some hundred at most.
        now: seconds since 1970.
    """
    people = list({row["subscriber"] for row in rows})
    until = horizon(connection, now)
    said = select(_CONSENT.c.subscriber, _CONSENT.c.opted_in).where(
        _CONSENT.c.subscriber.in_(people), _CONSENT.c.at <= until
    )
    stopped = select(_SUPPRESSED.c.subscriber).where(
        _SUPPRESSED.c.subscriber.in_(people), _SUPPRESSED.c.at <= until
    )
    return Facts(
        is_paused(connection),
        {row[0]: bool(row[1]) for row in connection.execute(said.order_by(_CONSENT.c.at))},
        frozenset(connection.scalars(stopped)),
        _outcomes(connection, rows, people),
        frozenset(connection.scalars(select(_RULES.c.rule_id))),
        _consenting(connection, {row["run_id"] for row in rows if row["run_id"]}),
    )


def is_paused(connection: Connection) -> bool:
    """Whether all promotions are paused."""
    return connection.scalar(select(_CONTROL.c.value).where(_CONTROL.c.name == PAUSED)) is not None


def horizon(connection: Connection, now: float) -> str:
    """Until when consents count now: pages record them from the next decision of a live run on."""
    live = and_(_RUNS.c.mode == "streaming", _RUNS.c.state == "running")
    newest = select(func.max(_RUNS.c.run_id)).where(live).scalar_subquery()
    run = connection.execute(
        select(_RUNS.c.watermark, _RUNS.c.options).where(_RUNS.c.run_id == newest)
    ).first()
    if run is None or not run.watermark:
        return text_of(now)
    step = int(((run.options or {}).get("rule_settings") or {}).get("pane") or _STEP)
    return max(text_of(now), text_of((second_of(run.watermark) // step + 1) * step))


def _outcomes(connection: Connection, rows: Sequence[Mapping[str, Any]], people: list[str]) -> dict[Key, str]:
    runs = {row["run_id"] for row in rows if row["run_id"]}
    wanted = {(row["run_id"], *key_of(row)) for row in rows}
    found = select(_PROMOTIONS).with_only_columns(
        _PROMOTIONS.c.run_id,
        *(_PROMOTIONS.c[name] for name in ("rule_id", "subscriber", "decided_at", "outcome")),
    )
    theirs = found.where(_PROMOTIONS.c.run_id.in_(runs), _PROMOTIONS.c.subscriber.in_(people))
    return {tuple(r[1:4]): r[4] for r in connection.execute(theirs) if tuple(r[:4]) in wanted}


def _consenting(connection: Connection, run_ids: set[str]) -> frozenset[str]:
    found = connection.execute(select(_RUNS.c.run_id, _RUNS.c.options).where(_RUNS.c.run_id.in_(run_ids)))
    return frozenset(r[0] for r in found if (r[1] or {}).get("consent_default") in (True, "in"))
