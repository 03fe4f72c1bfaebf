"""What counts and explanations are made with: the newest run's settings, the rules that are on, and consents."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from callbeam_io.store import Store
from callbeam_io.store import rules as saved
from pipelines.consents import read_consent
from pipelines.reference import load_business_types
from pipelines.rules_world import World, is_same, newest_options, stored_rule
from transforms.columns.decisions import RuleSettings, context_of
from transforms.columns.directory import BusinessTypes
from transforms.columns.hashing import shard_of
from transforms.columns.rules.moments import Quiet
from transforms.columns.rules.outcomes import Cap, Consent, Ledger
from transforms.columns.rules.people import Context
from transforms.errors import RuleError
from transforms.rules.language import ActiveRule, Rule
from transforms.schema import SHARDS

_PANE: Final = 3600
_AGE: Final = 60.0
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """How a run decides its rules.

    Attributes:
        settings: panes and the gate.
        types: the list of business types.
        region: of numbers without ``+``; None: they stay what they are.
        consent_default: whether who stated nothing consents.
    """

    settings: RuleSettings
    types: BusinessTypes
    region: str | None = None
    consent_default: bool = False

    @cached_property
    def context(self) -> Context:
        """What rules need to know of the world."""
        return context_of(self.types)


def setting_of(run: Mapping[str, Any]) -> Setting:
    """The setting of a run (a row of ``runs``); what its options do not say is as by default."""
    options = run["options"] or {}
    settings = _rule_settings(options["rule_settings"]) if "rule_settings" in options else RuleSettings(_PANE)
    types = load_business_types((options.get("reference") or {}).get("business_types"))
    return Setting(settings, types, options.get("default_region"), bool(options.get("consent_default")))


def _rule_settings(given: Mapping[str, Any]) -> RuleSettings:
    cap, quiet = given["cap"], given["quiet"]
    return RuleSettings(
        given["pane"],
        cap=Cap(**cap) if cap else None,
        quiet=Quiet(**quiet) if quiet else None,
        default_zone=given["default_zone"],
    )


def newest_setting(store: Store) -> Setting:
    """The setting of the newest streaming run, or what there is without one."""
    return setting_of({"options": newest_options(store)})


def version_of(row: Row | None, rule: Rule) -> int:
    """The version that a rule has once it is saved."""
    return 1 if row is None else int(row["version"] or 1) + (not is_same(row, rule))


def rules_on(store: Store, world: World) -> tuple[tuple[ActiveRule, ...], tuple[str, ...]]:
    """The rules that are on, and the rule_ids of those among them that this world cannot decide."""
    found, left_out = [], []
    for row in saved.list_rules(store):
        if not row["enabled"]:
            continue
        try:
            rule = stored_rule(row)
            world.check(rule)
            found.append(ActiveRule(rule, int(row["version"] or 1)))
        except RuleError:
            left_out.append(row["rule_id"])
    return tuple(sorted(found, key=lambda a: a.rule.rule_id)), tuple(left_out)


class Consents:
    """Who consents, read again when there are more statements than before, and now and then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._guard = threading.Lock()
        self._mark: object = None
        self._read = 0.0
        self._consents: Sequence[Consent] = ()

    def now(self, default: bool) -> list[Consent]:
        """Consents and suppressions by number of shard, of `SHARDS`.

        Args:
            default: whether who stated nothing consents.
        """
        mark = tuple(self._store.count(table) for table in ("consent", "suppressed"))
        with self._guard:
            if self._mark != mark:
                self._mark = mark
                self._read_again()
            elif time.monotonic() - self._read > _AGE:  # an answer that was changed leaves no mark
                self._read = time.monotonic()
                threading.Thread(target=self._read_again, daemon=True).start()
            return [replace(consent, default=default) for consent in self._consents]

    def _read_again(self) -> None:
        whole = read_consent(self._store, default=False)
        parts = zip(_by_shard(whole.stated), _by_shard(whole.suppressed), strict=True)
        self._consents = [Consent(stated, suppressed) for stated, suppressed in parts]
        self._read = time.monotonic()


def _by_shard(whole: Ledger) -> list[Ledger]:
    """A ledger's statements by shard: a small ledger is searched much faster than a large one."""
    shard = shard_of(whole.codes, SHARDS)
    order = np.argsort(shard, kind="stable")
    rows = np.split(order, np.searchsorted(shard[order], np.arange(1, SHARDS)))
    return [Ledger(whole.codes[some], whole.at[some], whole.said[some]) for some in rows]
