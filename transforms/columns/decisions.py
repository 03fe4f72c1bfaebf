"""Promotions of one shard: rules looked at on pane ends, every firing passed through the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.directory import BusinessTypes
from transforms.columns.numbers import party_texts
from transforms.columns.records import Records
from transforms.columns.regions import REGIONS, regions_of
from transforms.columns.rules import interactions as inter
from transforms.columns.rules.counters import Counters
from transforms.columns.rules.evaluate import evaluate
from transforms.columns.rules.firings import Firings
from transforms.columns.rules.gate import Gate, promote, zone_hours
from transforms.columns.rules.history import History, without
from transforms.columns.rules.interactions import Interactions, from_records
from transforms.columns.rules.live import decide_live
from transforms.columns.rules.memory import Memory, memory_from_arrow
from transforms.columns.rules.moments import Quiet
from transforms.columns.rules.outcomes import Cap, Consent, Contacts, contacts_from_arrow
from transforms.columns.rules.people import Context, People, Words, older_from_arrow
from transforms.rules.language import ActiveRule, conditions

_NEVER: Final = -(1 << 62)


@dataclass(frozen=True)
class RuleSettings:
    """How rules are decided; lengths in seconds.

    Attributes:
        pane: rules are decided at its multiples since 1970.
        delay: a pane end is decided when the watermark is so far past it.
        cap: of contacts over all rules; None: none.
        quiet: local hours without contact; None: none.
        default_zone: of subscribers whose number does not tell it.
    """

    pane: int
    delay: int = 0
    cap: Cap | None = None
    quiet: Quiet | None = field(default_factory=Quiet)
    default_zone: str = "UTC"


@dataclass(frozen=True)
class RuleBook:
    """The rules of a run as they are now, and who consents.

    Attributes:
        rules: activations, also those that have ended.
        consent: who may be offered anything.
        until: second of the last pane end that may be decided by this book: activations that begin later may
            not be in it yet. None: any.
        memory, contacts, offered: what batch begins with: deliveries of earlier runs; ``offered``: how many by
            rule_id.
    """

    rules: tuple[ActiveRule, ...] = ()
    consent: Consent = field(default_factory=Consent)
    until: int | None = None
    memory: Memory = field(default_factory=Memory)
    contacts: Contacts = field(default_factory=Contacts)
    offered: Mapping[str, int] = field(default_factory=dict)

    @property
    def limits(self) -> dict[tuple[str, int], int | None]:
        """``max_total`` by rule and version."""
        return {(r.rule.rule_id, r.version): r.rule.limits.max_total for r in self.rules}

    @property
    def longest_window(self) -> int:
        """Seconds of the longest window of all conditions."""
        windows = [c.window or 0 for r in self.rules for _, c in conditions(r.rule.when)]
        return max(windows, default=0)


def context_of(types: BusinessTypes) -> Context:
    """What rules need to know of the world."""
    return Context(Words(types, REGIONS), regions_of)


def gate_of(book: RuleBook, settings: RuleSettings, texts: Mapping[int, str]) -> Gate:
    """The gate: ``texts`` are of parties that are no numbers."""

    def names(codes: NDArray[np.int64]) -> Sequence[str]:
        given = pl.Series([texts.get(int(c)) for c in codes], dtype=pl.String) if texts else None
        return party_texts(codes, given).to_list()

    return Gate(book.consent, settings.cap, settings.quiet, settings.default_zone, names)


def text_parties(records: Records) -> dict[int, str]:
    """Texts of callers that are no numbers, by code."""
    if "caller_text" not in records.text:
        return {}
    rows = np.flatnonzero(records.caller < 0)
    return dict(
        zip(records.caller[rows].tolist(), records.text["caller_text"].gather(rows).to_list(), strict=True)
    )


def first_pane_end_after(second: int, pane: int) -> int:
    """The first multiple of the pane's length that is greater than a second."""
    return second // pane * pane + pane


def decide_batch(
    records: Records, greatest: int, book: RuleBook, settings: RuleSettings, types: BusinessTypes
) -> pa.Table | None:
    """The promotions of one shard of a batch run, but for ``max_total``; None where there are none.

    Args:
        records: all distinct records of the shard.
        greatest: second of the last record of the whole input.
        book: rules and consent.
        settings: panes and the gate.
        types: the list of business types.
    """
    if not len(records) or not book.rules:
        return None
    rows, context = from_records(records).by_caller(), context_of(types)
    after = int(rows.start.min()) // settings.pane * settings.pane
    upto = first_pane_end_after(greatest, settings.pane)
    firings, _ = evaluate(
        book.rules, rows, context, after=after, upto=upto, pane=settings.pane, memory=book.memory
    )
    if not len(firings.subscriber):
        return None
    gate = gate_of(book, settings, text_parties(records))
    return promote(firings, book.rules, rows, context, gate, book.contacts)[0]


@dataclass
class Decider:
    """What a live shard remembers for its rules.

    Attributes:
        settings: panes and the gate.
        types: the list of business types.
        keep: seconds behind the last decided pane end that interactions are kept.
    """

    settings: RuleSettings
    types: BusinessTypes
    keep: int

    def __post_init__(self) -> None:
        self.history = History()
        self.memory = Memory()
        self._counters = Counters()
        self.contacts = Contacts()
        self.texts: dict[int, str] = {}
        self.without = 0
        self._dropped = _NEVER  # what started before this second is kept as counts only

    @property
    def decided(self) -> int:
        """Second of the last decided pane end."""
        return _NEVER if self.history.decided is None else self.history.decided

    def add(self, records: Records) -> None:
        """Takes distinct records in; those that start before the last decided pane end count later only."""
        self.texts |= text_parties(records)
        self.without += int((records.seconds < self.decided).sum())
        self.history = self.history.append(from_records(records))

    def decide(self, book: RuleBook, watermark: int) -> pa.Table | None:
        """The promotions at the pane ends that the watermark (seconds) has passed by the delay."""
        pane = self.settings.pane
        upto = (watermark - self.settings.delay) // pane * pane
        return self.decide_until(book, upto if book.until is None else min(upto, book.until))

    def decide_until(self, book: RuleBook, upto: int) -> pa.Table | None:
        """The promotions at all pane ends until ``upto`` that are not decided yet."""
        if upto <= self.decided:
            return None
        context = context_of(self.types)
        firings, self.history, self.memory = decide_live(
            book.rules,
            self.history,
            context,
            upto=upto,
            pane=self.settings.pane,
            memory=self.memory,
            counters=self._counters,
        )
        rows = self._promoted(firings, book, replace(context, people=self.history.people))
        self._drop(context)
        return rows

    def _promoted(self, firings: Firings, book: RuleBook, context: Context) -> pa.Table | None:
        if not len(firings.subscriber):
            return None
        theirs, _ = self.history.of(np.unique(firings.subscriber))
        gate = gate_of(book, self.settings, self.texts)
        rows, self.contacts = promote(firings, book.rules, theirs, context, gate, self.contacts)
        return rows

    def _drop(self, context: Context) -> None:
        """Now and then forgets interactions that no window reaches any more."""
        horizon = self.decided - self.keep
        oldest = min((int(b.rows.start.min()) for b in self.history.blocks if len(b)), default=horizon)
        if oldest < horizon - self.keep // 8:
            hours = zone_hours(context, self.settings.default_zone)
            self._dropped = horizon
            self.history = self.history.drop_before(horizon, hours, len(self.types.names))
            self._counters.forget(self.keep // self.settings.pane)

    def changes(self, memory: Memory, decided: int) -> dict[str, pa.Table]:
        """What deciding has changed since an earlier moment, and does not follow from the records.

        Args:
            memory: of that moment.
            decided: the last pane end decided by then.
        """
        return {
            "rule_memory": self.memory.since(memory).to_arrow(),
            "rule_contacts": pa.Table.from_batches([self.contacts.since(decided).to_arrow()]),
        }

    def redo(self, decided: int, changes: Mapping[str, pa.Table]) -> None:
        """Decides until a pane end as it was decided before; see `changes`."""
        self.history = self.history.after(decided)
        self.memory = self.memory.with_changes(memory_from_arrow(changes["rule_memory"]))
        new = contacts_from_arrow(_batch(changes["rule_contacts"]))
        both = (np.concatenate([getattr(c, n) for c in (self.contacts, new)]) for n in ("codes", "at"))
        if self.settings.cap is not None and len(new.at):
            self.contacts = Contacts(*both).since(int(new.at.max()) - self.settings.cap.window)
        self._drop(context_of(self.types))

    def saved(self) -> dict[str, pa.Table]:
        """All but the interactions themselves, which are in the shard's log (the late ones are in both)."""
        people = self.history.people
        tables = {
            "rule_memory": self.memory.to_arrow(),
            "rule_contacts": pa.Table.from_batches([self.contacts.to_arrow()]),
            "rule_people": pa.table({"codes": people.codes, "first": people.first}),
            "rule_late": pa.Table.from_batches([self.history.late().to_arrow()]),
            "rule_texts": pa.table(
                {
                    "codes": pa.array(self.texts.keys(), pa.int64()),
                    "text": pa.array(self.texts.values(), pa.string()),
                }
            ),
            "rule_state": pa.table(
                {
                    "decided": [self.history.decided],
                    "without": [self.without],
                    "dropped": [self._dropped],
                }
            ),
        }
        if people.older is not None:
            tables["rule_older"] = pa.Table.from_batches([people.older.to_arrow()])
        return tables

    def restore(self, saved: Mapping[str, pa.Table], log: Records) -> None:
        """Sets an empty decider to what was saved, with the interactions of the shard's log."""
        self.memory = memory_from_arrow(saved["rule_memory"])
        self.contacts = contacts_from_arrow(_batch(saved["rule_contacts"]))
        older = older_from_arrow(_batch(saved["rule_older"])) if "rule_older" in saved else None
        codes, first = (saved["rule_people"].column(n).to_numpy() for n in ("codes", "first"))
        people = People(codes, first, older)
        state = saved["rule_state"].to_pylist()[0]
        self.without = state["without"]
        texts = saved["rule_texts"].to_pydict() if "rule_texts" in saved else {"codes": [], "text": []}
        self.texts = {**dict(zip(texts["codes"], texts["text"], strict=True)), **text_parties(log)}
        self._dropped = state["dropped"]
        rows = from_records(log)
        rows = rows.take(rows.start >= self._dropped)
        late = inter.from_arrow(_batch(saved["rule_late"])) if "rule_late" in saved else inter.empty()
        self.history = with_interactions(without(rows, late), people, state["decided"])
        if len(late):
            self.history = self.history.append(late)


def with_interactions(rows: Interactions, people: People, decided: int | None) -> History:
    """A history that has counted these interactions."""
    history = History(people=people, decided=decided)
    if not len(rows):
        return history
    counted = replace(history, decided=None).append(rows).after(decided if decided is not None else _NEVER)
    return replace(counted, people=people, decided=decided)


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
