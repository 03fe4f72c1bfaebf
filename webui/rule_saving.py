"""Rules from pages into the store: a version each time, nobody's edit lost, every change in the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import abort
from flask_login import current_user

from callbeam_io.store import rules as saved
from callbeam_io.store.rules import RuleConflict as RuleConflict
from callbeam_io.store.rules import RuleDraft as RuleDraft
from callbeam_io.store.web_queries import RequestError
from webui.desk import desk
from webui.roles import log
from webui.rule_words import listed, repeat_of
from webui.services import store

Row = dict[str, Any]


def row_of(rule_id: str) -> Row:
    """The row of a rule; 404 where there is none."""
    try:
        return saved.rule_row(store(), rule_id)
    except RequestError:
        abort(404, "There is no rule of this name.")


def version_of(row: Mapping[str, Any] | None) -> int:
    """The version that a row of ``rules`` is a copy of; 0: there is no rule yet."""
    return 0 if row is None else int(row["version"] or 0)


def draft_of(checked: Mapping[str, Any], enabled: bool | None, base: int | None) -> RuleDraft:
    """What is saved of a rule that the check takes; ``enabled``: None leaves it on or off as it is by then."""
    definition = {**checked["definition"], "enabled": bool(enabled)}
    return RuleDraft(
        checked["rule_id"],
        definition["name"],
        definition["priority"],
        enabled,
        definition,
        base,
        checked["sentence"] or "",
    )


def save(drafts: Sequence[RuleDraft]) -> list[int]:
    """Saves rules, all or none; gives their versions.

    Raises:
        RuleConflict: somebody else has saved one of them meanwhile.
    """
    versions = saved.save_rules(store(), drafts, current_user.name)
    for draft, version in zip(drafts, versions, strict=True):
        on = (
            bool(saved.rule_row(store(), draft.rule_id)["enabled"])
            if draft.enabled is None
            else draft.enabled
        )
        log("rule saved", draft.rule_id, {"version": version, "on": on, "rule": draft.sentence})
    return versions


def changed(row: Mapping[str, Any], enabled: bool | None = None, **changes: Any) -> int:
    """Saves a rule with some entries changed as its next version; gives that.

    Raises:
        RequestError: it cannot be decided like this.
        RuleConflict: as of `save`.
    """
    checked = _sound({**row["definition"], **changes})
    return save([draft_of(checked, enabled, version_of(row))])[0]


def _sound(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """The check of a rule; RequestError where it cannot be decided: what a run would switch off again at once."""
    checked = desk().check(definition)
    if not checked["ok"]:
        raise RequestError(listed(checked["problems"]))
    return checked


def switch_off(rule_id: str) -> None:
    """Switches a rule off, at once."""
    if saved.switch_rule(store(), rule_id, on=False):
        log("rule switched off", rule_id)


def switch_on(row: Mapping[str, Any], start: str) -> None:
    """Switches a rule on for whom ``start`` says, as a version of its own where the rule says otherwise.

    Raises:
        RequestError, RuleConflict: as of `changed`; somebody may have saved another version than that of ``row``.
    """
    if row["definition"].get("start", "now") != start:
        changed(row, enabled=True, start=start)
    else:
        _sound(row["definition"])
        saved.switch_rule(store(), row["rule_id"], on=True, base=version_of(row))
    log("rule switched on", row["rule_id"], {"start": start})


def set_priority(row: Mapping[str, Any], priority: int) -> None:
    """Changes a rule's priority; one that is on goes on with those who come to qualify.

    A new version begins anew, and with ``now`` it would take everyone who qualifies once more, unless it fires
    ``always``: its cooldown goes on, and ``entering`` would leave out those that it takes again and again.
    """
    definition = row["definition"]
    again = repeat_of(definition) == "always"
    start = "entering" if row["enabled"] and not again else definition.get("start", "now")
    changed(row, priority=priority, start=start)
