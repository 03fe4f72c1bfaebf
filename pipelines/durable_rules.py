"""Rules of a run whose shards are on workers elsewhere: this process says what is on, the workers follow it.

Only the process that started the run notes activations. It also says until which pane end workers may decide:
whatever it switches on later begins after that. So no worker has to hear of a rule in time; it waits instead.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa

from callbeam_io.store import Store, mends, open_store
from pipelines.consents import ConsentReader
from pipelines.earlier import decisions_of
from pipelines.livebook import LiveBook
from pipelines.patience import patiently
from pipelines.rulebook import BookSpec
from transforms.columns.decisions import RuleBook
from transforms.columns.directory import BusinessTypes
from transforms.errors import StoreError
from transforms.registry import LiveRun
from transforms.rules.language import ActiveRule
from transforms.rules.parse import parse_rule
from transforms.rules.write import to_json

_EVERY: Final = 1.0
_NOTHING: Final = -(1 << 62)
_PAUSE: Final = 0.2
_PATIENCE: Final = 60.0
_LOGGER: Final = logging.getLogger(__name__)


def book_key(run_id: str) -> str:
    """The setting with the rules of a run: definitions, versions, activations."""
    return f"rules/{run_id}"


def leave_key(run_id: str) -> str:
    """The setting that says until when, and by which version of the book, workers may decide."""
    return f"decide/{run_id}"


def closing_key(run_id: str) -> str:
    """The setting by which a worker asks for the last word: all input has ended."""
    return f"closing/{run_id}"


@dataclass
class BookKeeper:
    """Notes activations, and gives workers leave to decide.

    Attributes:
        store: of rules, activations and settings.
        run_id: of the run.
        spec: the rules that the run begins with.
        source: value of ``--rules``.
        types: the list of business types.
        pane: length of a pane in seconds.
    """

    store: Store
    run_id: str
    spec: BookSpec
    source: str
    types: BusinessTypes
    pane: int
    _number: int = 0
    _given: dict[str, Any] = field(default_factory=dict)
    _watermark: int | None = None
    _told: tuple[ActiveRule, ...] | None = None

    def __post_init__(self) -> None:
        self._run = LiveRun()  # its own: workers may live in this process
        self._live = LiveBook(
            self.store, self._run, self.run_id, self.spec, self.source, self.types, self.pane
        )

    def start(self) -> None:
        """The rules that are on at the start, before any worker asks."""
        self._live.start(resumed=False)
        self._give(_NOTHING)

    def beat(self, watermark: int | None) -> None:
        """Switches rules on and off after the run's watermark (seconds), and gives leave until there.

        Once a worker has asked for the last word, all that is on may be decided, and nothing changes any more.
        """
        if self._given.get("last"):
            return
        known = [w for w in (watermark, self._watermark) if w is not None]
        self._watermark = max(known, default=None)  # after a restart the engine's goes back
        self._live.turn(None if self._watermark is None else self._watermark * 1_000_000)
        last = bool(self.store.control(closing_key(self.run_id)))
        self._give(_NOTHING if self._watermark is None else self._watermark // self.pane * self.pane, last)

    def _give(self, until: int, last: bool = False) -> None:
        """First the book, then the leave: who has a leave finds at least its book."""
        rules = self._run.book.rules
        if rules is not self._told:
            rows = [[to_json(a.rule), a.version, a.active_from, a.active_to] for a in rules]
            self._number += 1
            self.store.set_control(book_key(self.run_id), rows)
            self._told = rules
        leave = {"book": self._number, "until": until, "last": last}
        if leave != self._given:
            self.store.set_control(leave_key(self.run_id), leave)
            self._given = leave

    def close(self) -> None:
        """Reads rules no more."""
        self._live.close()


@dataclass(frozen=True)
class StoreRules:
    """What workers ask about rules, from the store; picklable, see `transforms.live_settings.Rulings`.

    Attributes:
        url: of the store.
        run_id: of the run.
        consent_default: whether who stated nothing consents.
    """

    url: str
    run_id: str
    consent_default: bool

    def book(self) -> RuleBook:
        """The rules as they were a second ago at most, and until when they may be decided."""
        return _reader(self).book()

    def last_book(self) -> RuleBook:
        """The rules once no more activations can follow.

        Where nobody answers within a minute the process that notes activations is gone, and what is known holds.
        """
        return _reader(self).last_book()

    def decided(self) -> tuple[int | None, dict[str, int], pa.Table | None]:
        """What the store has of this run and of deliveries of earlier ones."""
        found: list[tuple[int | None, dict[str, int], pa.Table | None]] = []
        patiently(lambda: found.append(self._decided(worker_store(self.url))))
        return found[0]

    def _decided(self, store: Store) -> tuple[int | None, dict[str, int], pa.Table | None]:
        book = map(_active, store.control(book_key(self.run_id)) or ())
        return decisions_of(store, self.run_id, (active.rule for active in book))


@lru_cache(maxsize=4)
def worker_store(url: str) -> Store:
    """The store that this process has open on a worker's behalf."""
    return open_store(url, create=False)


@lru_cache(maxsize=4)
def _reader(rules: StoreRules) -> _Reader:
    return _Reader(rules)


class _Reader:
    """The rules of one run in this process, read again where the leave has changed."""

    def __init__(self, rules: StoreRules) -> None:
        self._rules, self._lock = rules, threading.Lock()
        self._leave: dict[str, Any] = {}
        self._book = RuleBook(until=_NOTHING)
        self._consents: ConsentReader | None = None
        self._asked = -_EVERY

    def book(self) -> RuleBook:
        with self._lock:
            if time.monotonic() - self._asked >= _EVERY and not self._leave.get("last"):
                self._asked = time.monotonic()
                self._read()
            return self._book

    def last_book(self) -> RuleBook:
        end = time.monotonic() + _PATIENCE
        with self._lock:
            while not self._leave.get("last"):
                if time.monotonic() > end:
                    _LOGGER.warning(
                        "run %s: nobody closed its rules; what is known of them holds", self._rules.run_id
                    )
                    return RuleBook(self._book.rules, self._book.consent)
                self._read(closing=True)
                time.sleep(0 if self._leave.get("last") else _PAUSE)
            return self._book

    def _read(self, *, closing: bool = False) -> None:
        """Takes the leave, then what it allows: consents that it was given after are in the store by then."""
        store, run_id = worker_store(self._rules.url), self._rules.run_id
        try:
            if closing and not store.control(closing_key(run_id)):
                store.set_control(closing_key(run_id), True)
            leave = store.control(leave_key(run_id)) or {}
            if leave == self._leave:
                return
            rules, consent = self._book.rules, self._book.consent
            if leave["book"] != self._leave.get("book"):
                rules = tuple(map(_active, store.control(book_key(run_id))))
            if rules:
                self._consents = self._consents or ConsentReader(store, self._rules.consent_default)
                consent = self._consents.read()
        except StoreError as error:
            if not mends(error):
                raise
            return
        self._book = RuleBook(rules, consent, None if leave["last"] else leave["until"])
        self._leave = leave


def _active(row: Any) -> ActiveRule:
    definition, version, begin, end = row
    return ActiveRule(parse_rule(definition), version, begin, end)
