"""What a rule brought about, from the promotions and the records of the newest run that kept some."""

from __future__ import annotations

from typing import Any

from callbeam_io.store import Store
from callbeam_io.store import rules as saved
from pipelines.reached import reached_in
from pipelines.rule_service.firings import Others
from pipelines.rule_service.reasons import NO_RECORDS, moment_text
from pipelines.rules_world import stored_rule
from transforms.columns.rules.effect import effect

Json = dict[str, Any]


def effect_of(store: Store, rule_id: str, past: Others | None) -> Json:
    """The effect of a rule as JSON values, with a ``sentence`` in any case; ``reason``: why there are no others.

    Raises:
        OptionError: no such rule.
        RuleError: it cannot be read.
    """
    rule = stored_rule(saved.rule_row(store, rule_id))
    if rule.offer.goal is None:
        return _nothing("the rule says nothing about what would be a success (offer.goal)")
    if past is None:
        return _nothing(NO_RECORDS)
    kept, pane = past.kept, past.setting.settings.pane
    found = effect(
        reached_in(store, rule_id, kept.run["run_id"]),
        (shard.rows for shard in kept.parts),
        rule.offer.goal,
        past.setting.context.words,
        since=kept.first // pane * pane,
        until=past.upto,
    )
    about = {"run_id": kept.run["run_id"], "first": moment_text(kept.first), "last": moment_text(kept.last)}
    return {**found.to_json(), **about, "reason": None}


def _nothing(reason: str) -> Json:
    return {"sentence": f"cannot be told: {reason}", "reason": reason}
