"""The rules of a live run: read again from the store every second, switched on and off between two ticks."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import polars as pl

from callbeam_io.store import Store, writer_for
from pipelines.consents import ConsentReader
from pipelines.rulebook import FROM_STORE, BookSpec, rule_of, rules_of_store, seconds_of
from transforms.columns.decisions import RuleBook, first_pane_end_after
from transforms.columns.directory import BusinessTypes
from transforms.columns.rules.outcomes import Consent
from transforms.columns.windows import time_text
from transforms.errors import CallbeamError, RuleError
from transforms.registry import LiveRun
from transforms.rules.language import ActiveRule, Rule

_EVERY: Final = 1.0
_LOGGER: Final = logging.getLogger(__name__)
Known = dict[tuple[str, int], Rule]


@dataclass
class LiveBook:
    """Keeps ``run.book`` as the store says.

    A thread reads the store; the pump calls `turn` before each tick, so that an activation begins at the next
    pane end after the watermark of that tick, which no shard has decided yet.

    Attributes:
        store: of rules, consents and activations.
        run: this process's live state.
        run_id: of the run.
        spec: the rules that the run began with; those of a file stay as they are.
        source: value of ``--rules``.
        types: the list of business types.
        pane: length of a pane in seconds.
    """

    store: Store
    run: LiveRun
    run_id: str
    spec: BookSpec
    source: str
    types: BusinessTypes
    pane: int
    _wanted: Known | None = None
    _consent: Consent | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self, *, resumed: bool) -> None:
        """The rules that are on at the start of a run: of a new one from its beginning."""
        book = self.spec()
        if resumed and self.source == FROM_STORE:
            rules = tuple(self._activations({(r.rule.rule_id, r.version): r.rule for r in book.rules}))
            book = replace(book, rules=rules)
        else:
            self._note(list(book.rules))
        self.run.book = book
        if self.source == FROM_STORE:
            threading.Thread(target=self._read, name="rules", daemon=True).start()

    def _activations(self, known: Known) -> list[ActiveRule]:
        """The activations that the run noted before, as far as pane ends may still be decided by them.

        One that ended since the state was saved counts until its end; a rule that was switched off while nobody
        ran is ended by the first `turn`.
        """
        decided = min((s.decider.decided for s in self.run.shards.values() if s.decider), default=0)
        found = []
        for row in self.store.rows("rule_activations", self.run_id):
            end = None if row["active_to"] is None else seconds_of(row["active_to"])
            if end is not None and end <= decided:
                continue
            rule = known.get((row["rule_id"], row["version"])) or self._version(
                row["rule_id"], row["version"]
            )
            if rule is not None:
                found.append(ActiveRule(rule, row["version"], seconds_of(row["active_from"]) or None, end))
        return found

    def _version(self, rule_id: str, version: int) -> Rule | None:
        """A version that is not on any more; None where it cannot be decided."""
        rows = self.store.rows("rule_versions", where={"rule_id": rule_id, "version": version})
        try:
            return rule_of(rows[0], self.types, self.pane, self.spec.history) if rows else None
        except RuleError:
            return None

    def _read(self) -> None:
        consents = ConsentReader(self.store, self.spec.consent_default)
        while not self._stop.wait(_EVERY):
            try:
                rules = rules_of_store(self.store, self.types, self.pane, self.spec.history)
                if rules or self.run.book.rules:  # a million consents are not read for nothing
                    self._consent = consents.read()
            except CallbeamError as error:  # the store is away for a moment: what is on stays on
                _LOGGER.warning("rules could not be read: %s", error)
                continue
            except Exception:  # of what is in the store, whatever it is: later rules are to be heard of
                _LOGGER.exception("rules could not be read")
                continue
            self._wanted = {(rule.rule_id, version): rule for rule, version in rules}

    def turn(self, watermark: int | None) -> None:
        """Switches rules on and off at the next pane end after a watermark (microseconds).

        Only here the book changes, on the pump's thread: two threads would undo each other's changes.
        """
        if self._consent is not None and self._consent is not self.run.book.consent:
            self.run.book = replace(self.run.book, consent=self._consent)
        wanted = self._wanted
        if wanted is None or watermark is None:
            return
        at = first_pane_end_after(watermark // 1_000_000, self.pane)
        book: RuleBook = self.run.book
        rules, changed = [], []
        on = {(r.rule.rule_id, r.version) for r in book.rules if r.active_to is None}
        for active in book.rules:
            if active.active_to is None and (active.rule.rule_id, active.version) not in wanted:
                active = replace(active, active_to=at)
                changed.append(active)
            rules.append(active)
        for key, rule in wanted.items():
            if key not in on:
                new = ActiveRule(rule, key[1], at)
                rules.append(new)
                changed.append(new)
        if changed:
            self.run.book = replace(self.run.book, rules=tuple(rules))
            self._note(changed)

    def _note(self, activations: list[ActiveRule]) -> None:
        """Writes activations to the store."""
        if activations:
            rows = [_activation_row(a) for a in activations]
            writer = writer_for(self.spec.url, patient=True)
            writer.put(self.run_id, {"rule_activations": pl.DataFrame(rows, schema=_ROW)})

    def close(self) -> None:
        """Ends the thread."""
        self._stop.set()


_ROW: Final = {"rule_id": pl.String, "version": pl.Int64, "active_from": pl.String, "active_to": pl.String}


def _activation_row(active: ActiveRule) -> dict[str, Any]:
    return {
        "rule_id": active.rule.rule_id,
        "version": active.version,
        "active_from": _text(active.active_from or 0),
        "active_to": None if active.active_to is None else _text(active.active_to),
    }


def _text(second: int) -> str:
    return str(time_text(np.array([second], np.int64))[0])
