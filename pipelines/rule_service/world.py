"""What counts and explanations are made with: the newest run's settings, the rules that are on, and consents."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from callbeam_io.store import Store
from callbeam_io.store import rules as saved
from pipelines.consents import read_consent
from pipelines.reference import load_business_types
from pipelines.rules_world import World, is_same, stored_rule, streaming_options
from transforms.columns.decisions import RuleSettings, context_of
from transforms.columns.directory import BusinessTypes
from transforms.columns.rules.moments import Quiet
from transforms.columns.rules.outcomes import Cap, Consent
from transforms.columns.rules.people import Context
from transforms.errors import RuleError
from transforms.rules.language import ActiveRule, Rule

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
    return setting_of({"options": streaming_options(store)})


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
        self._consent = Consent()

    def now(self, default: bool) -> Consent:
        """Consents and suppressions.

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
            return replace(self._consent, default=default)

    def _read_again(self) -> None:
        self._consent = read_consent(self._store, default=False)
        self._read = time.monotonic()
