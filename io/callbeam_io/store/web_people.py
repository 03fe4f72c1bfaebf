"""What the web app reads about people: lists of subscribers, one of them, their consent and promotions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from sqlalchemy import (
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    column,
    exists,
    func,
    literal_column,
    select,
    text,
)

from callbeam_io.store import web_indexes
from callbeam_io.store.base import StoreBase
from callbeam_io.store.changes import newest_change
from callbeam_io.store.filters import Condition, conditions
from callbeam_io.store.standing import Standing
from callbeam_io.store.tables import TABLES
from callbeam_io.store.types import utc_text
from callbeam_io.store.web_people_columns import STANDING, PeopleColumns

_PEOPLE: Final = TABLES["subscribers"]
_CONSENT: Final = TABLES["consent"]
_SUPPRESSED: Final = TABLES["suppressed"]
_PROMOTIONS: Final = TABLES["promotions"]
OFFERED: Final = "offered"
_LONG_BEGINNING: Final = 8
_AT_ONCE: Final = 10_000
"""Subscribers of one statement: engines allow so many values and more."""


class _Columns:
    """Columns of ``subscribers`` by their names alone, for statements that say themselves where they read."""

    name = "subscribers"
    c: Final = {c.name: column(c.name, c.type) for c in _PEOPLE.columns}


@dataclass(frozen=True)
class People:
    """The subscribers of a run that pass some filters.

    Attributes:
        store: to read from.
        run_id: of the run.
        where: as of `reads.Reads.rows`.
        indexed: the run has the indexes of `web_indexes`.
        columns: of this run, as of a moment ago: what they can answer is not asked of the store.
        standing: whether they may be contacted, or None: all of them.
    """

    store: StoreBase
    run_id: str
    where: Mapping[str, Condition] = field(default_factory=dict)
    indexed: bool = False
    columns: PeopleColumns | None = None
    standing: Standing | None = None

    def page(self, sort: str, down: bool, limit: int, offset: int = 0) -> list[dict[str, Any]]:
        """Their rows in order: first their keys, which columns or an index find by themselves, then the rows."""
        with self.store.reading() as connection:
            found = self._keys(connection, sort, down, limit, offset)
            if not found:
                return []
            rows = connection.execute(_of_run(self.run_id, found)).mappings()
            by_key = {row["subscriber"]: dict(row) for row in rows}
        return [by_key[key] for key in found if key in by_key]

    def _keys(self, connection: Connection, sort: str, down: bool, limit: int, offset: int) -> list[str]:
        held = self._held()
        if held is not None and held.sorts(sort):
            return held.keys(self._asked, sort, down, limit, offset)
        names = dict.fromkeys((sort, "subscriber"))
        order = [_Columns.c[n].desc() if down else _Columns.c[n].asc() for n in names]
        keys = self._select(column("subscriber"), sort=sort).order_by(*order)
        return list(connection.scalars(keys.limit(limit).offset(offset)))

    def count(self) -> int:
        """How many they are."""
        held = self._held()
        if held is not None:
            return held.count(self._asked)
        with self.store.reading() as connection:
            return connection.scalar(self._select(func.count())) or 0

    def grouped(self, by: Sequence[str], sums: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Counted (``count``) and summed by some columns, the most first."""
        held = self._held(*by, *sums)
        if held is not None:
            return held.grouped(self._asked, by, sums)
        columns = [_Columns.c[name] for name in by]
        summed = [func.sum(_Columns.c[name]).label(name) for name in sums]
        count = func.count().label("count")
        statement = self._select(*columns, count, *summed, used=(*by, *sums)).group_by(*columns)
        with self.store.reading() as connection:
            return [
                dict(row) for row in connection.execute(statement.order_by(count.desc(), *columns)).mappings()
            ]

    @property
    def as_of(self) -> str | None:
        """The moment whose order and counts these are; None: this one."""
        held = self._held()
        return None if held is None else utc_text(datetime.fromtimestamp(held.at, UTC))

    def _held(self, *names: str) -> PeopleColumns | None:
        """The columns, if they can answer."""
        held = self.columns
        if held is None or not held.serves(self.where, names):
            return None
        known = self.standing is None or held.standing.answers(self.standing, newest_change(self.store))
        return held if known else None

    @property
    def _asked(self) -> Mapping[str, Condition]:
        """The filters as the columns want them."""
        return self.where if self.standing is None else {**self.where, STANDING: self.standing.is_}

    def _select(self, *columns: Any, sort: str = "", used: Sequence[str] = ()) -> Select[Any]:
        """A statement over these people; the run stands in it as text, as only so its own indexes are seen to fit."""
        run: Any = bindparam("run", self.run_id, literal_execute=True)
        wanted = conditions(cast(Table, _Columns), self.where)
        if self.standing is not None:
            wanted.append(self.standing.holds_for(literal_column("subscribers.subscriber")))
        source = text(f"subscribers{self._index(sort, used)}")
        return select(*columns).select_from(source).where(_Columns.c["run_id"] == run, *wanted)

    def _index(self, sort: str, used: Sequence[str]) -> str:
        """Which index SQLite has to take: it holds none of statistics that would make it find that out."""
        if not self.indexed or self.store.engine.dialect.name != "sqlite":
            return ""
        by_key = sort == "subscriber" or (self.standing is not None and not sort and not used)
        if self._few_by_key() or (by_key and not self.where):
            return ""  # the key is the best
        kind = web_indexes.KIND_OF_ORDER.get(sort) if set(self.where) <= {sort} else None
        if kind is None and {*self.where, *used, *([sort] if sort else ())} <= web_indexes.FILTERS:
            kind = "filters"
        return "" if kind is None else f" INDEXED BY {web_indexes.index_name(kind, self.run_id)}"

    def _few_by_key(self) -> bool:
        """Whether the beginning of a number leaves few people."""
        begin = self.where.get("subscriber")
        return isinstance(begin, tuple) and len(str(begin[1])) >= _LONG_BEGINNING


def _of_run(run_id: str, subscribers: Sequence[str]) -> Select[Any]:
    return select(_PEOPLE).where(_PEOPLE.c.run_id == run_id, _PEOPLE.c.subscriber.in_(subscribers))


def person(store: StoreBase, run_id: str, subscriber: str) -> dict[str, Any] | None:
    """The row of one subscriber, or None."""
    statement = select(_PEOPLE).where(_PEOPLE.c.run_id == run_id, _PEOPLE.c.subscriber == subscriber)
    with store.reading() as connection:
        row = connection.execute(statement).mappings().first()
    return None if row is None else dict(row)


def known(store: StoreBase, run_id: str, subscribers: Sequence[str]) -> set[str]:
    """Those of some subscribers who are in a run's results."""
    found: set[str] = set()
    for begin in range(0, len(subscribers), _AT_ONCE):
        some = subscribers[begin : begin + _AT_ONCE]
        wanted = select(_PEOPLE.c.subscriber).where(
            _PEOPLE.c.run_id == run_id, _PEOPLE.c.subscriber.in_(some)
        )
        with store.reading() as connection:
            found.update(connection.scalars(wanted))
    return found


@dataclass(frozen=True)
class Contact:
    """Whether somebody may be contacted, and what says so.

    Attributes:
        allowed: None: nothing is known, which means no.
        at: since when.
        source: of the consent, or the reason of the suppression.
        suppressed: it is a suppression that says so.
    """

    allowed: bool | None = None
    at: str = ""
    source: str = ""
    suppressed: bool = False


def contacts(store: StoreBase, subscribers: Sequence[str], at: str) -> dict[str, Contact]:
    """Whether some subscribers may be contacted at a time: by suppressions, else by the newest consent."""
    found = dict.fromkeys(subscribers, Contact())
    with store.reading() as connection:
        for row in connection.execute(_newest(_CONSENT, subscribers, at)):
            found[row.subscriber] = Contact(bool(row.opted_in), row.at, row.source or "")
        for row in connection.execute(_newest(_SUPPRESSED, subscribers, at)):
            found[row.subscriber] = Contact(False, row.at, row.reason or "", suppressed=True)
    return found


def _newest(table: Any, subscribers: Sequence[str], at: str) -> Any:
    """The newest row of each subscriber that holds at a time."""
    wanted = and_(table.c.subscriber.in_(list(subscribers)), table.c.at <= at)
    newest = (
        select(table.c.subscriber, func.max(table.c.at).label("at"))
        .where(wanted)
        .group_by(table.c.subscriber)
    )
    found = newest.subquery()
    same = and_(table.c.subscriber == found.c.subscriber, table.c.at == found.c.at)
    return select(table).join(found, same)


def count_contactable(store: StoreBase, at: str) -> int:
    """How many people may be contacted at a time, whether or not they are in a run's results."""
    later = _CONSENT.alias()
    overruled = exists().where(
        later.c.subscriber == _CONSENT.c.subscriber, later.c.at > _CONSENT.c.at, later.c.at <= at
    )
    stopped = select(_SUPPRESSED.c.subscriber).where(_SUPPRESSED.c.at <= at)
    statement = (
        select(func.count())
        .select_from(_CONSENT)
        .where(_CONSENT.c.at <= at, _CONSENT.c.opted_in.is_(True), ~overruled)
        .where(_CONSENT.c.subscriber.not_in(stopped))
    )
    with store.reading() as connection:
        return connection.scalar(statement) or 0


def offers(store: StoreBase, run_id: str, subscribers: Sequence[str]) -> dict[str, int]:
    """How many promotions were offered to each of some subscribers."""
    counted = (
        select(_PROMOTIONS.c.subscriber, func.count())
        .where(
            _PROMOTIONS.c.run_id == run_id,
            _PROMOTIONS.c.subscriber.in_(list(subscribers)),
            _PROMOTIONS.c.outcome == OFFERED,
        )
        .group_by(_PROMOTIONS.c.subscriber)
    )
    with store.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(counted)}


def contact_history(store: StoreBase, subscriber: str) -> list[dict[str, Any]]:
    """Every consent and suppression of one subscriber, the newest first: at, said, source."""
    with store.reading() as connection:
        consents = connection.execute(select(_CONSENT).where(_CONSENT.c.subscriber == subscriber)).all()
        stops = connection.execute(select(_SUPPRESSED).where(_SUPPRESSED.c.subscriber == subscriber)).all()
    said = [
        {"at": r.at, "said": "opted in" if r.opted_in else "opted out", "source": r.source} for r in consents
    ]
    said += [{"at": r.at, "said": "suppressed", "source": r.reason} for r in stops]
    return sorted(said, key=lambda row: str(row["at"]), reverse=True)


COLUMNS: Final = tuple(c.name for c in _PEOPLE.columns)
"""The columns of ``subscribers``."""
