"""Which question of the rule desk is answered by what."""

from __future__ import annotations

import threading
from typing import Any

from callbeam_io.store import Store
from callbeam_io.store import rules as saved
from pipelines import orders
from pipelines.rule_service import words
from pipelines.rule_service.counted import told
from pipelines.rule_service.counting import Case, sample_of, tally
from pipelines.rule_service.drill import Drill
from pipelines.rule_service.effects import effect_of
from pipelines.rule_service.firings import Others
from pipelines.rule_service.memory import KeptHistory
from pipelines.rule_service.reasons import NO_RECORDS, try_on
from pipelines.rule_service.why import why, why_not
from pipelines.rule_service.wire import Asked, Operation
from pipelines.rule_service.world import Consents, newest_setting, rules_on, setting_of, version_of
from pipelines.rules_world import World, world_of
from transforms.rules.language import ActiveRule
from transforms.rules.parse import parse_rule

Json = dict[str, Any]
_DAY = 86_400


class Desk:
    """Answers questions about the rules of a store.

    Attributes:
        store: the result store.
        history: what its newest run kept.
    """

    def __init__(self, store: Store, url: str) -> None:
        self.store = store
        self.history = KeptHistory(store, url)
        self._consents = Consents(store)
        self._guard = threading.Lock()
        self._others: Others | None = None

    def operations(self) -> dict[str, Operation]:
        """What answers each ``op``."""
        return {
            **Drill(self.history).operations(),
            "language": lambda _: words.language(self._world()),
            "recipes": lambda _: words.recipes(self._world()),
            "check": lambda asked: words.check(asked.values["definition"], self._world()),
            "changes": lambda asked: {"changes": orders.check(asked.values["changes"])},
            "count": self._count,
            "effect": lambda asked: effect_of(self.store, asked.values["rule_id"], self._past()),
            "try_on": self._try_on,
            "why": self._why,
            "why_not": self._why_not,
        }

    def _world(self) -> World:
        return world_of(self.store, None, None)

    def _past(self) -> Others | None:
        """The history with the firings of rules that are on; None where no records are kept."""
        kept = self.history.now()
        with self._guard:
            if kept is None or not kept.parts:
                self._others = None
            elif self._others is None or self._others.kept is not kept:
                self._others = Others(kept, setting_of(kept.run))
            return self._others

    def _try_on(self, asked: Asked) -> Json:
        rule = parse_rule(asked.values["definition"])
        return try_on(rule, asked.values["subscriber"], self._past(), asked.values["at"])

    def _why(self, asked: Asked) -> Json:
        return why(self.store, *(asked.values[name] for name in ("rule_id", "subscriber", "decided_at")))

    def _why_not(self, asked: Asked) -> Json:
        past = self._past()
        setting = newest_setting(self.store) if past is None else past.setting
        return why_not(self.store, asked.values["rule_id"], asked.values["subscriber"], past, setting)

    def _count(self, asked: Asked) -> Json:
        rule = parse_rule(asked.values["definition"])
        past = self._past()
        if past is None:
            return {"exact": True, "history": None, "reason": NO_RECORDS}
        asked.go_on()
        setting = past.setting
        world = World(setting.settings.pane, setting.types)
        world.check(rule)
        rows = {row["rule_id"]: row for row in saved.list_rules(self.store)}
        tried = ActiveRule(rule, version_of(rows.get(rule.rule_id), rule))
        on, _ = rules_on(self.store, world)
        past.keep(on)
        others = tuple(active for active in on if active.rule.rule_id != rule.rule_id)
        since = past.upto - int(asked.values["days"]) * _DAY
        case = Case(tried, others, past, self._consents.now(setting.consent_default), since)
        sample, parts = sample_of(past.kept), past.kept.parts
        if len(sample) < len(parts):
            asked.say(told(case, tally(case, sample, asked), exact=False))
        return told(case, tally(case, parts, asked), exact=True)
