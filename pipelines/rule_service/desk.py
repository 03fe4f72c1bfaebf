"""Which question of the rule desk is answered by what."""

from __future__ import annotations

from typing import Any, Final

from callbeam_io.store import Store
from callbeam_io.store import rules as saved
from pipelines import orders
from pipelines.rule_service import words
from pipelines.rule_service.before import Earlier
from pipelines.rule_service.counted import counted
from pipelines.rule_service.counting import Case
from pipelines.rule_service.drill import Drill
from pipelines.rule_service.effects import effect_of
from pipelines.rule_service.firings import Others
from pipelines.rule_service.memory import KeptHistory
from pipelines.rule_service.past import Past
from pipelines.rule_service.reasons import NO_RECORDS, try_on
from pipelines.rule_service.why import why, why_not
from pipelines.rule_service.wire import Asked, Operation
from pipelines.rule_service.world import Consents, newest_setting, rules_on, version_of
from pipelines.rules_world import World, world_of
from transforms.rules.language import ActiveRule, Rule
from transforms.rules.parse import parse_rule

Json = dict[str, Any]
_DAY: Final = 86_400


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
        self._past = Past(store, self.history)
        self._earlier = Earlier(store)

    def operations(self) -> dict[str, Operation]:
        """What answers each ``op``."""
        return {
            **Drill(self.history).operations(),
            "language": lambda _: words.language(self._world()),
            "recipes": lambda _: words.recipes(self._world()),
            "check": lambda asked: words.check(asked.values["definition"], self._world()),
            "changes": lambda asked: {"changes": orders.check(asked.values["changes"])},
            "count": self._count,
            "effect": lambda asked: effect_of(self.store, asked.values["rule_id"], self._past.now()),
            "try_on": self._try_on,
            "why": self._why,
            "why_not": self._why_not,
        }

    def warm(self) -> None:
        """Reads the history and consents, and what the rules that are on would have done, before anybody asks."""
        self._past.renew_aside()
        self._consents.now(False)

    def _world(self) -> World:
        return world_of(self.store, None, None)

    def _try_on(self, asked: Asked) -> Json:
        rule = parse_rule(asked.values["definition"])
        return try_on(rule, asked.values["subscriber"], self._past.now(), asked.values["at"])

    def _why(self, asked: Asked) -> Json:
        return why(self.store, *(asked.values[name] for name in ("rule_id", "subscriber", "decided_at")))

    def _why_not(self, asked: Asked) -> Json:
        past = self._past.now()
        setting = newest_setting(self.store) if past is None else past.setting
        return why_not(self.store, asked.values["rule_id"], asked.values["subscriber"], past, setting)

    def _count(self, asked: Asked) -> Json:
        rule = parse_rule(asked.values["definition"])
        past = self._past.now()
        if past is None:
            return {"exact": True, "history": None, "reason": NO_RECORDS}
        asked.go_on()
        return counted(self._case(rule, past, int(asked.values["days"])), asked)

    def _case(self, rule: Rule, past: Others, days: int) -> Case:
        """The rule beside those that are on."""
        setting = past.setting
        world = World(setting.settings.pane, setting.types)
        world.check(rule)
        rows = {row["rule_id"]: row for row in saved.list_rules(self.store)}
        tried = ActiveRule(rule, version_of(rows.get(rule.rule_id), rule))
        on, undecided = rules_on(self.store, world)
        past.keep([tried, *on])
        others = [active for active in on if active.rule.rule_id != rule.rule_id]
        too_many = [active.rule.rule_id for active in others if past.too_often(active)]
        beside = tuple(active for active in others if active.rule.rule_id not in too_many)
        consents = self._consents.now(setting.consent_default)
        left_out = tuple(sorted({*undecided, *too_many} - {rule.rule_id}))
        before = self._earlier.of(past.kept.run, rule.rule_id, setting.settings.cap, past.upto)
        return Case(tried, beside, left_out, past, consents, past.upto - days * _DAY, before)
