"""Promotions on their way out: queued by the run that made them, sent by a thread beside a live one."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from callbeam_io.delivery.queue import Queue, Terms
from callbeam_io.delivery.sender import Sender
from callbeam_io.store import Store
from callbeam_io.store.rules import rule_versions
from pipelines.config import RunConfig
from pipelines.patience import unless_away
from pipelines.preflight import Prepared, PreparedLive
from pipelines.rulebook import FROM_STORE, BookSpec
from transforms.columns.numbers import party_codes
from transforms.columns.regions import REGIONS, regions_of
from transforms.columns.rules.moments import Quiet
from transforms.columns.rules.zones import zones_of
from transforms.errors import RuleError
from transforms.rules.language import Rule
from transforms.rules.parse import parse_rule

_EVERY: Final = 1.0


def queue_batch(prepared: Prepared, run_id: str) -> tuple[str, ...]:
    """Queues the promotions of a batch run that asked for it; gives what is to be said about that."""
    if not prepared.config.deliver:
        return ()
    queued = queue_of(prepared.store, run_id, prepared.config, prepared.book).add_all(time.time())
    said = (
        f"{queued.waiting:,} promotions wait to be sent (callbeam deliver, or a running web app, sends them)"
    )
    old = f"{queued.too_old:,} are older than their offers are good for, and are not sent"
    return (said, old) if queued.too_old else (said,)


def queue_of(store: Store, run_id: str, config: RunConfig, book: BookSpec | None) -> Queue:
    """The queue of a run.

    Args:
        store: of the run.
        run_id: of the run.
        config: its zone, quiet hours, and where its rules are from.
        book: the rules that it began with, which are all of a rules file.
    """
    settings = config.rule_settings
    terms = stored_terms(store) if config.rules == FROM_STORE else terms_of_file(book)
    return Queue(store, run_id, terms, contact_zones(settings.default_zone), quiet_text(settings.quiet))


def stored_terms(store: Store) -> Callable[[str, int], Terms]:
    """Terms of rules in the store, by rule_id and version."""
    known: dict[tuple[str, int], Terms] = {}

    def find(rule_id: str, version: int) -> Terms:
        if (rule_id, version) not in known:
            for row in rule_versions(store, rule_id):
                known[rule_id, row["version"]] = _stored(row["definition"], row["name"] or rule_id)
        return known.setdefault((rule_id, version), Terms(rule_id))

    return find


def _stored(definition: object, name: str) -> Terms:
    try:
        return _terms(parse_rule(definition), stored=True)
    except RuleError:  # of a later callbeam: its offer's code is in the promotion
        return Terms(name)


def terms_of_file(book: BookSpec | None) -> Callable[[str, int], Terms]:
    """Terms of the rules of a rules file."""
    rules = [parse_rule(json.loads(text)) for text, _ in (book.definitions if book else ())]
    known = {rule.rule_id: _terms(rule, stored=False) for rule in rules}
    return lambda rule_id, _: known[rule_id]


def _terms(rule: Rule, *, stored: bool) -> Terms:
    offer = rule.offer
    return Terms(rule.name, offer.text, offer.channel, offer.expires_after, stored)


def quiet_text(quiet: Quiet | None) -> str:
    """Quiet hours as deliveries keep them."""
    return "" if quiet is None else f"{quiet.begin}-{quiet.end}"


def contact_zones(default_zone: str) -> Callable[[Sequence[str]], list[str]]:
    """A function that gives subscribers' zones as deliveries keep them: the main one and, of several, all."""

    def of(subscribers: Sequence[str]) -> list[str]:
        codes = party_codes(pl.Series(subscribers, dtype=pl.String)).code
        found = zones_of(codes, regions_of(codes), REGIONS)
        texts = [_zone_text(names, main or default_zone) for names, main in found.sets]
        return [texts[place] for place in found.place.tolist()]

    return of


def _zone_text(names: Sequence[str], main: str) -> str:
    return main if tuple(names) in ((), (main,)) else f"{main}|{','.join(names)}"


class LiveDeliveries:
    """What a live run adds: it queues what it decides, and sends if no other process of the store does.

    Args:
        prepared: the run.
        run_id: its id.
    """

    def __init__(self, prepared: PreparedLive, run_id: str) -> None:
        self._queue = queue_of(prepared.store, run_id, prepared.config, prepared.book)
        self._sender = Sender(prepared.store)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="deliveries", daemon=True)
        self._trouble: str | None = None

    def start(self) -> None:
        """Begins to queue and to send, on threads."""
        self._thread.start()
        self._sender.start()

    def close(self) -> None:
        """Queues what was decided last, and ends both threads."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._turn()
        self._sender.close()

    def _go_on(self) -> None:
        while not self._stop.wait(_EVERY):
            self._turn()

    def _turn(self) -> None:
        """One look; a store that is away is said once, and what is missed is queued by the next look."""
        trouble = unless_away(lambda: self._queue.add_new(time.time()))
        if trouble is not None and trouble != self._trouble:
            print(f"callbeam: {trouble} (trying again)", file=sys.stderr, flush=True)
        self._trouble = trouble
