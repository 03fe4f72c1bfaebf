"""The gate step by step for one person: what each step said when a promotion was decided, or would say now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from callbeam_io.store import Store
from pipelines.rule_service.reasons import moment_text, seconds_of
from pipelines.rule_service.world import Setting
from transforms.columns.regions import REGIONS, regions_of
from transforms.columns.rules.moments import contact_times
from transforms.columns.rules.outcomes import CONTACTS, control_number
from transforms.columns.rules.zones import zones_of
from transforms.rules.language import Rule
from transforms.rules.sentences import length
from transforms.schema import ALL_START

Json = dict[str, Any]
Row = Mapping[str, Any]


def utc_said(at: str) -> str:
    """A moment of the store as people read it: ``2026-01-31 09:05:00`` -> ``31 Jan 2026 09:05 UTC``."""
    return f"{_said(datetime.fromtimestamp(seconds_of(at), UTC))} UTC"


def _said(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y %H:%M}"


@dataclass(frozen=True)
class Person:
    """Somebody at a moment of a run.

    Attributes:
        store: the result store.
        run_id: of the run.
        setting: of the run.
        subscriber: as the store names them; ``code``: their party code.
        at: second of the moment.
    """

    store: Store
    run_id: str
    setting: Setting
    subscriber: str
    code: int
    at: int

    def newest(self, table: str, upto: int | None = None) -> Row | None:
        """The newest row of ``consent`` or ``suppressed`` that counts at the moment, or at second ``upto``."""
        where = {"subscriber": self.subscriber, "at": ("<=", moment_text(upto or self.at))}
        return next(iter(self.store.rows(table, where=where, order_by="-at", limit=1)), None)

    @property
    def zone(self) -> str:
        """The zone whose hours are theirs."""
        found = zones_of(np.array([self.code]), regions_of(np.array([self.code])), REGIONS)
        return found.sets[int(found.place[0])][1] or self.setting.settings.default_zone

    def local(self, second: int) -> str:
        """A moment in their own time."""
        moment = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(self.zone))
        city = self.zone.rpartition("/")[2].replace("_", " ")
        return f"{_said(moment)} UTC" if city == "UTC" else f"{_said(moment)}, {city} time"


def steps_then(person: Person, rule: Rule | None, promotion: Row) -> list[Json]:
    """The steps of a promotion: its outcome says where it stopped, the store what stood there.

    Args:
        person: at the moment when it was decided.
        rule: the version that fired; None: it is gone.
        promotion: its row.
    """
    outcome = promotion["outcome"]
    consent, suppressed = _consent_then(person, outcome)
    limit = None if rule is None else rule.limits.max_total
    found = [
        consent,
        suppressed,
        _cap(person, promotion["rule_id"], outcome != "capped"),
        _control(rule, outcome != "control"),
        _total(limit, outcome != "sold_out"),
        _quiet(person, seconds_of(promotion["contact_at"])),
    ]
    stopped = next((k for k, one in enumerate(found) if not one["passed"]), len(found))
    return [one if k <= stopped else _not_asked(one) for k, one in enumerate(found)]


def steps_now(person: Person, rule: Rule, offered: int) -> list[Json]:
    """What each step would say if the rule fired for somebody now.

    Args:
        person: at the last pane end.
        rule: as it is.
        offered: how often it has been offered.
    """
    soon = max(person.at + person.setting.settings.pane, int(time.time()))  # what is recorded now counts then
    stated, stop = person.newest("consent", soon), person.newest("suppressed", soon)
    said = bool(stated["opted_in"]) if stated else person.setting.consent_default
    most, cap = rule.limits.max_total, person.setting.settings.cap
    capped = cap is not None and len(_contacts(person, cap.window)) >= cap.most
    in_control = control_number(rule.rule_id, person.subscriber) < rule.control_share
    return [
        _step("consent", said, _consent_text(stated, said), _row(stated)),
        _suppressed(stop),
        _cap(person, rule.rule_id, not capped),
        _control(rule, not in_control),
        _total(most, most is None or offered < most, offered),
        _quiet(person, _contact_now(person)),
    ]


def _step(name: str, passed: bool | None, text: str, detail: Row | None = None) -> Json:
    return {"step": name, "passed": passed, "text": text, "detail": dict(detail or {})}


def _not_asked(step: Json) -> Json:
    return _step(step["step"], None, "not asked any more")


def _row(row: Row | None) -> Json:
    """Source or reason, and date."""
    return {k: v for k, v in (row or {}).items() if k != "subscriber"}


def _since(row: Row, word: str) -> str:
    return "since always" if row["at"] == ALL_START else f"{word} {utc_said(row['at'])}"


def _consent_text(stated: Row | None, said: bool) -> str:
    if stated is None:
        return "no statement, which counts as a consent here" if said else "no consent is on record"
    source = f" ({stated['source']})" if stated["source"] else ""
    if stated["opted_in"]:
        return f"consent {_since(stated, 'of')}{source}"
    return f"opted out {_since(stated, 'on')}{source}"


def _suppressed(row: Row | None) -> Json:
    if row is None:
        return _step("suppressed", True, "not on the suppression list")
    return _step(
        "suppressed",
        False,
        f"suppressed, {_since(row, 'since')}: {row['reason'] or 'no reason given'}",
        _row(row),
    )


def _consent_then(person: Person, outcome: str) -> tuple[Json, Json]:
    """Consent and suppression; what has been recorded since does not change what was decided."""
    stated, stop = person.newest("consent"), person.newest("suppressed")
    said = bool(stated["opted_in"]) if stated else person.setting.consent_default
    text, detail = _consent_text(stated, said), _row(stated)
    if outcome != "no_consent":
        gone = "there was a consent, which is no longer on record"
        return _step("consent", True, text if said else gone, detail), _step(
            "suppressed", True, "was not on the suppression list"
        )
    if said and stop is None:
        return _step("consent", False, f"there was none yet; recorded since: {text}", detail), _suppressed(
            None
        )
    return _step("consent", said, text, detail), _suppressed(stop)


def _contacts(person: Person, window: int) -> list[Row]:
    """Their contacts in the time before, the newest first."""
    span = ("between", (moment_text(person.at - window + 1), moment_text(person.at)))
    where = {"subscriber": person.subscriber, "outcome": ("in", CONTACTS), "decided_at": span}
    return list(
        person.store.rows("promotions", person.run_id, where=where, order_by="-decided_at", limit=100)
    )


def _cap(person: Person, rule_id: str, passed: bool) -> Json:
    cap = person.setting.settings.cap
    if cap is None:
        return _step("cap", passed, "no contact limit")
    now = moment_text(person.at)
    earlier = [r for r in _contacts(person, cap.window) if (r["rule_id"], r["decided_at"]) != (rule_id, now)]
    text = f"{len(earlier)} of {cap.most} contacts within {length(cap.window)}"
    found = [{"rule_id": r["rule_id"], "at": r["decided_at"], "outcome": r["outcome"]} for r in earlier]
    return _step("cap", passed, text, {"most": cap.most, "window": length(cap.window), "contacts": found})


def _control(rule: Rule | None, passed: bool) -> Json:
    share = 0 if rule is None else rule.control_share
    words = {True: "not in the control group", False: "in the control group, which gets nothing"}
    text = words[passed] if share or not passed else "the rule has no control group"
    return _step("control", passed, text + (f" ({100 * share:g}%)" if share else ""), {"share": share})


def _total(most: int | None, passed: bool, offered: int | None = None) -> Json:
    if most is None:
        return _step("sold_out", passed, "no limit in all" if passed else "sold out")
    so_far = "" if offered is None else f", {offered:,} so far"
    words = f"{'not yet sold out' if passed else 'sold out'}: at most {most:,} in all{so_far}"
    return _step("sold_out", passed, words, {"most": most, "offered": offered})


def _quiet(person: Person, contact: int) -> Json:
    quiet = person.setting.settings.quiet
    hours = None if quiet is None else f"{quiet.begin}:00–{quiet.end}:00"
    told = f"quiet hours {hours}" if hours else "no quiet hours"
    waits = contact > person.at
    text = f"{told}; contact from {person.local(contact)}" if waits else f"{told}; contact at once"
    detail = {"contact_at": moment_text(contact), "local": person.local(contact), "zone": person.zone}
    return _step("quiet_hours", True, text, {**detail, "quiet_hours": hours, "waits": waits})


def _contact_now(person: Person) -> int:
    """When somebody could be contacted, as far as quiet hours go."""
    codes = np.array([person.code])
    zones = zones_of(codes, regions_of(codes), REGIONS)
    settings = person.setting.settings
    return int(contact_times(np.array([person.at]), zones, settings.default_zone, settings.quiet)[0])
