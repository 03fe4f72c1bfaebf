"""The rules of a run and who consents: from the flags, a rules file or the store."""

from __future__ import annotations

import argparse
import calendar
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from callbeam_io.store import Store, open_store
from callbeam_io.store.rules import switch_off_broken
from pipelines.consents import read_consent
from pipelines.earlier import with_earlier
from transforms.columns.decisions import RuleBook, RuleSettings
from transforms.columns.directory import BusinessTypes
from transforms.columns.regions import REGIONS
from transforms.columns.rules.moments import Quiet
from transforms.columns.rules.outcomes import Cap
from transforms.columns.rules.trial import try_out
from transforms.columns.windows import parse_duration
from transforms.errors import OptionError, RuleError
from transforms.rules.check import Names, check_rule
from transforms.rules.language import ActiveRule, Rule
from transforms.rules.parse import parse_rule, parse_rules
from transforms.rules.problems import duration_text
from transforms.rules.write import to_json
from transforms.schema import TIME_FORMAT

FROM_STORE: Final = "store"
_QUIET: Final = re.compile(r"(\d{1,2})-(\d{1,2})")


def rule_settings(flags: argparse.Namespace, *, streaming: bool) -> RuleSettings:
    """Panes and the gate from ``--pane``, ``--rule_delay``, ``--contact_cap``, ``--quiet_hours``, ``--timezone``.

    Raises:
        OptionError: for a value that cannot be.
    """
    pane = parse_duration(flags.pane or ("5s" if streaming else "1h"), "--pane")
    if pane < 1:
        raise OptionError(f"--pane {flags.pane!r}", "at least 1s")
    delay = parse_duration(flags.rule_delay, "--rule_delay")
    return RuleSettings(
        pane, delay, _cap(flags.contact_cap), _quiet(flags.quiet_hours), flags.timezone or "UTC"
    )


def _cap(text: str) -> Cap | None:
    if text == "none":
        return None
    most, _, window = text.partition("/")
    if not (most.isascii() and most.isdigit() and window):
        raise OptionError(f"--contact_cap {text!r}", "a number and a time such as 2/7d, or none")
    return Cap(int(most), parse_duration(window, "--contact_cap"))


def _quiet(text: str) -> Quiet | None:
    if text == "none":
        return None
    match = _QUIET.fullmatch(text)
    hours = (int(match[1]), int(match[2])) if match else (99, 99)
    if max(hours) > 23:
        raise OptionError(f"--quiet_hours {text!r}", "two hours such as 21-9, or none")
    return Quiet(*hours)


@dataclass(frozen=True)
class BookSpec:
    """Where rules and consents are; calling it gives them. Picklable.

    Attributes:
        definitions: the rules as JSON texts, with their versions; fixed for the run.
        url: of the store with the consents.
        consent_default: whether who stated nothing consents.
        asked_at: when a run was asked for whose rules begin from earlier deliveries; empty: they do not.
        history: seconds of interactions that the run keeps; None: all.
    """

    definitions: tuple[tuple[str, int], ...]
    url: str
    consent_default: bool
    asked_at: str = ""
    history: int | None = None

    @property
    def rules(self) -> list[Rule]:
        """The rules."""
        return [parse_rule(json.loads(text)) for text, _ in self.definitions]

    def __call__(self) -> RuleBook:
        """The book, read at the first call in a process."""
        return _book(self)


@lru_cache(maxsize=4)
def _book(spec: BookSpec) -> RuleBook:
    versions = [version for _, version in spec.definitions]
    rules = tuple(map(ActiveRule, spec.rules, versions))
    store = open_store(spec.url)
    book = RuleBook(rules, read_consent(store, default=spec.consent_default))
    if not spec.asked_at:
        return book
    return with_earlier(book, store)


def rules_of_file(path: str, types: BusinessTypes, pane: int, history: int | None = None) -> list[Rule]:
    """The enabled rules of a rules file, checked against panes, names and the history that is kept.

    Raises:
        OptionError: no such file.
        RuleError: a rule that cannot be read or decided.
    """
    file = Path(path)
    if not file.is_file():
        raise OptionError(f"--rules {path}: no such file", "a JSON list of rules, or store")
    rules = [rule for rule in parse_rules(file.read_bytes()) if rule.enabled]
    for rule in rules:
        check_rule(rule, pane, _names(types), history)
        try_out(rule, types, pane)
    return rules


def _names(types: BusinessTypes) -> Names:
    return Names(frozenset(types.names), frozenset(types.tags), frozenset(REGIONS))


def rules_of_store(
    store: Store, types: BusinessTypes, pane: int, history: int | None = None
) -> list[tuple[Rule, int]]:
    """The enabled rules of the store with their versions; one that cannot be decided is switched off, with the
    error in its row."""
    found = []
    for row in store.rows("rules", where={"enabled": True}):
        try:
            rule = rule_of(row, types, pane, history)
        except RuleError as error:
            switch_off_broken(store, row, str(error))
            continue
        found.append((rule, int(row["version"] or 1)))
    return found


def rule_in(row: Mapping[str, Any]) -> Rule:
    """The rule in a row of ``rules`` or ``rule_versions``, whatever it is for.

    Raises:
        RuleError: it cannot be read.
    """
    definition = row["definition"]
    try:
        definition = json.loads(definition) if isinstance(definition, str) else definition
    except (ValueError, RecursionError):
        definition = None
    if definition is None:
        raise RuleError("the rule's definition is no JSON", "a JSON object", "save it anew")
    return parse_rule(definition)


def rule_of(row: Mapping[str, Any], types: BusinessTypes, pane: int, history: int | None = None) -> Rule:
    """The rule in a row of ``rules`` or ``rule_versions``; RuleError where a run cannot decide it."""
    rule = rule_in(row)
    if rule.rule_id != row["rule_id"]:
        raise RuleError(f"name makes the rule_id {rule.rule_id}", f"one that makes {row['rule_id']}")
    check_rule(rule, pane, _names(types), history)
    try_out(rule, types, pane)
    return rule


def book_spec(
    store: Store,
    source: str,
    url: str,
    types: BusinessTypes,
    pane: int,
    *,
    consent_default: bool,
    history: int | None = None,
) -> BookSpec:
    """The rules that a run begins with, from a file or from the store."""
    if source == FROM_STORE:
        chosen: Sequence[tuple[Rule, int]] = rules_of_store(store, types, pane, history)
    else:
        chosen = [(rule, 1) for rule in rules_of_file(source, types, pane, history)]
    texts = tuple((json.dumps(to_json(rule)), version) for rule, version in chosen)
    return BookSpec(texts, url, consent_default, history=history)


def windows_beyond(spec: BookSpec, history: int) -> tuple[str, ...]:
    """What is said of a batch run's rules that look back further than a stream would keep."""
    return tuple(
        f"rule {rule.rule_id} looks back {duration_text(rule.longest_window)}, a stream with --rule_history "
        f"{duration_text(history)} could not"
        for rule in spec.rules
        if rule.longest_window > history
    )


def seconds_of(text: str) -> int:
    """Seconds since 1970 of a time of the store."""
    return calendar.timegm(time.strptime(text, TIME_FORMAT))
