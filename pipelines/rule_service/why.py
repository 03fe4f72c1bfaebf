"""Why a promotion was made and what became of it, and why there is none: each with two sentences to copy."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from callbeam_io.store import Store, deliveries
from callbeam_io.store import rules as saved
from pipelines.rule_service import reasons
from pipelines.rule_service.firings import Others
from pipelines.rule_service.reasons import moment_text, party_of, seconds_of, try_on
from pipelines.rule_service.steps import Person, steps_now, steps_then, utc_said
from pipelines.rule_service.world import Setting, setting_of
from pipelines.rulebook import rule_in
from pipelines.rules_world import stored_rule
from transforms.errors import OptionError, RuleError
from transforms.rules.language import Rule
from transforms.rules.sentences import sentence

Json = dict[str, Any]
Row = Mapping[str, Any]
_OUTCOMES: Final = {
    "no_consent": "Nothing was sent: {}.",
    "capped": "Nothing was sent, because of the contact limit: {}.",
    "control": "Nothing was sent: {}.",
    "sold_out": "Nothing was sent, because the offer was gone: {}.",
}


def why(store: Store, rule_id: str, subscriber: str, decided_at: str) -> Json:
    """Why a promotion was made, from what was stored with it; see `RuleDesk.why`.

    Raises:
        OptionError: there is no such promotion.
    """
    second = seconds_of(decided_at)
    run, promotion = _promotion(store, rule_id, subscriber, moment_text(second))
    setting = setting_of(run)
    code, _ = party_of(subscriber, setting.region)
    version = promotion["rule_version"] or 1
    rule, name = _version(store, rule_id, version)
    values = promotion["features"] or {}
    person = Person(store, run["run_id"], setting, subscriber, code, second)
    found = {
        "rule": _about(rule_id, version, rule, name),
        "run_id": run["run_id"],
        "conditions": reasons.untold(values) if rule is None else reasons.told(rule, values),
        "gate": steps_then(person, rule, promotion),
        "outcome": promotion["outcome"],
        "offer_code": promotion["offer_code"],
        "decided_at": promotion["decided_at"],
        "contact_at": promotion["contact_at"],
        "local_time": person.local(second),
    }
    return {**found, "answer": f"{_why_held(found)} {_what_came(found)}"}


def _about(rule_id: str, version: int, rule: Rule | None, name: str) -> Json:
    said = None if rule is None else sentence(rule)
    return {"rule_id": rule_id, "version": version, "name": name, "sentence": said}


def _promotion(store: Store, rule_id: str, subscriber: str, decided_at: str) -> tuple[Row, Row]:
    """A promotion and its run: of several runs the newest."""
    where = {"rule_id": rule_id, "subscriber": subscriber, "decided_at": decided_at}
    for run in store.runs():
        rows = store.rows("promotions", run["run_id"], where=where, limit=1)
        if rows:
            return run, rows[0]
    raise OptionError(
        f"no promotion of rule {rule_id!r} for this subscriber at {decided_at}", "one of the table"
    )


def _version(store: Store, rule_id: str, version: int) -> tuple[Rule | None, str]:
    """A version of a rule, None where it is gone, and its name."""
    where = {"rule_id": rule_id, "version": version}
    for table in ("rule_versions", "rules"):
        for row in store.rows(table, where=where):
            try:
                rule = rule_in(row)
            except RuleError:
                return None, row["name"] or rule_id
            return rule, rule.name
    return None, rule_id


def _why_held(found: Json) -> str:
    """The first sentence: the rule and the conditions that made it hold."""
    held = [c for c in found["conditions"] if c["holds"]]
    reason = "; ".join(f"{c['sentence']} (it was {c['value']})" for c in held)
    about = f": {reason}" if reason else ""
    return f"The rule {found['rule']['name']} held on {found['local_time']}{about}."


def _what_came(found: Json) -> str:
    """The second sentence: what the gate made of it."""
    steps = {step["step"]: step["text"] for step in found["gate"]}
    if found["outcome"] != "offered":
        stopped = next((s["text"] for s in found["gate"] if s["passed"] is False), "")
        return _OUTCOMES.get(found["outcome"], "{}").format(stopped)
    return f"Offer {found['offer_code']} was made ({steps['consent']}; {steps['quiet_hours']})."


def why_not(store: Store, rule_id: str, subscriber: str, past: Others | None, setting: Setting) -> Json:
    """Why a rule has made no promotion for somebody, as of the last pane end; see `RuleDesk.why_not`.

    Args:
        store: the result store.
        rule_id: of the rule.
        subscriber: a number in any spelling.
        past: the history; None: none is kept.
        setting: of the run that the history is from, or the newest streaming run.

    Raises:
        OptionError: no such rule.
    """
    row = saved.rule_row(store, rule_id)
    rule = stored_rule(row)
    code, name = party_of(subscriber, setting.region)
    run_id = store.newest_run() or "" if past is None else str(past.kept.run["run_id"])
    person = Person(store, run_id, setting, name, code, int(time.time()) if past is None else past.upto)
    where: dict[str, Any] = {"rule_id": rule_id, "subscriber": name}
    earlier = store.rows("promotions", run_id, where=where, order_by="-decided_at", limit=1)
    tried = try_on(rule, subscriber, past, None)
    found = {
        "rule": _about(rule_id, row["version"] or 1, rule, rule.name),
        "run_id": run_id or None,
        "on": bool(row["enabled"]),
        **{key: tried[key] for key in ("holds", "known", "reason", "conditions")},
        "gate": steps_now(person, rule, _offered(store, run_id, rule)),
        "earlier": earlier[0]["decided_at"] if earlier else None,
        "outcome": None,
        "contact_at": None,
        "local_time": person.local(person.at),
    }
    return {**found, "answer": f"{_whether_it_holds(found)} {_what_keeps_it(found, rule)}"}


def _offered(store: Store, run_id: str, rule: Rule) -> int:
    """How often a rule has been offered, by earlier runs too; not counted where it may be as often as it likes."""
    return 0 if rule.limits.max_total is None else deliveries.given(store, run_id).get(rule.rule_id, 0)


def _whether_it_holds(found: Json) -> str:
    name, when = found["rule"]["name"], found["local_time"]
    if found["reason"]:
        return f"Whether the rule {name} holds cannot be said: {found['reason']}."
    if found["holds"]:
        return f"The rule {name} holds on {when}."
    missed = "; ".join(f"{c['sentence']} (it is {c['value']})" for c in found["conditions"] if not c["holds"])
    return f"The rule {name} does not hold on {when}" + (f": {missed}." if missed else ".")


def _what_keeps_it(found: Json, rule: Rule) -> str:
    """The second sentence: the first thing that stands in its way besides the conditions."""
    if not found["on"]:
        return "It is switched off."
    if found["earlier"] and rule.limits.repeat == "never":
        return f"It fired on {utc_said(found['earlier'])}, and does so once per subscriber."
    stopped = next((step["text"] for step in found["gate"] if not step["passed"]), None)
    if stopped is not None:
        return f"If it fired, nothing would be sent: {stopped}."
    if found["earlier"]:
        return f"It fired last on {utc_said(found['earlier'])}."
    if found["holds"] and rule.start == "entering":
        return "It takes only those who come to match after it was switched on."
    return f"If it fired, offer {rule.offer.code} would be made ({found['gate'][0]['text']})."
