"""A rule's conditions with their values for one person: from the history, or from what a promotion kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from pipelines.rule_service.firings import Others
from transforms.columns.numbers import party_codes, party_texts
from transforms.columns.rules.explain import explain, holds
from transforms.errors import OptionError
from transforms.rules.language import FIELDS, Condition, Rule, conditions
from transforms.rules.sentences import condition_sentence, length
from transforms.schema import TIME_FORMAT

Json = dict[str, Any]
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NO_RECORDS: Final = "no run of the store has kept records (--keep_records)"
_WANTED: Final = {
    "=": "{}",
    "!=": "other than {}",
    "<": "less than {}",
    "<=": "at most {}",
    ">": "more than {}",
    ">=": "at least {}",
    "between": "{}",
    "in": "{}",
    "notIn": "other than {}",
}


def seconds_of(text: str) -> int:
    """Seconds since 1970 of a moment as the store writes it, or in ISO 8601 (UTC where it has no offset).

    Raises:
        OptionError: it is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise OptionError(f"moment {text!r}", "a moment such as 2026-01-31 00:00:00") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def moment_text(second: int) -> str:
    """Seconds since 1970 as the store writes times."""
    return datetime.fromtimestamp(second, UTC).strftime(TIME_FORMAT)


def party_of(subscriber: str, region: str | None) -> tuple[int, str]:
    """The party code of a number in any spelling, and how the store names it; OptionError where it is empty.

    Args:
        subscriber: the number.
        region: of numbers without ``+``.
    """
    parties = party_codes(pl.Series([subscriber], dtype=pl.String), region)
    if not parties.code[0]:
        raise OptionError("an empty number", "a subscriber such as +12025550123")
    return int(parties.code[0]), str(party_texts(parties.code, parties.text)[0])


def try_on(rule: Rule, subscriber: str, past: Others | None, at: str | None) -> Json:
    """Whether a rule holds for somebody, with each condition.

    Args:
        rule: any rule.
        subscriber: a number in any spelling.
        past: the history; None: none is kept.
        at: a moment; None: the last pane end.
    """
    if past is None:
        kept: Mapping[str, Any] = {path: None for path, _ in conditions(rule.when)}
        return {
            "holds": False,
            "known": False,
            "at": at,
            "conditions": told(rule, kept),
            "reason": NO_RECORDS,
        }
    code, _ = party_of(subscriber, past.setting.region)
    rows = past.kept.of(code)
    second = past.upto if at is None else seconds_of(at)
    found = explain(rule, code, rows, second, past.setting.context)
    known = bool((rows.start < second).any())
    held = {c.path: c.held for c in found}
    return {
        "holds": known and holds(rule.when, held),
        "known": known,
        "at": moment_text(second),
        "conditions": [
            _condition(path, one, c.value, c.held)
            for c, (path, one) in zip(found, conditions(rule.when), strict=True)
        ],
        "reason": None if known else "there is no record of this subscriber before then",
    }


def told(rule: Rule, values: Mapping[str, Any]) -> list[Json]:
    """The conditions of a rule with values by path, as a promotion's features hold them."""
    return [
        _condition(path, one, values.get(path), one.holds(values.get(path)))
        for path, one in conditions(rule.when)
    ]


def untold(values: Mapping[str, Any]) -> list[Json]:
    """What can be said of values when the rule's version is gone."""
    return [
        {
            "path": path,
            "sentence": f"a condition that is no longer known ({path})",
            "value": value,
            "operator": None,
            "threshold": None,
            "window": None,
            "holds": None,
        }
        for path, value in values.items()
    ]


def _condition(path: str, condition: Condition, value: Any, held: bool) -> Json:
    return {
        "path": path,
        "sentence": condition_sentence(condition),
        "value": _shown(condition.field, value),
        "operator": condition.operator,
        "threshold": _threshold(condition),
        "window": _window(condition),
        "holds": held,
    }


def _window(condition: Condition) -> str | None:
    if FIELDS[condition.field].family == "own":
        return None
    return "since the beginning" if condition.window is None else length(condition.window)


def _threshold(condition: Condition) -> str:
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    texts = [str(_shown(condition.field, value)) for value in values]
    joined = " to ".join(texts) if condition.operator == "between" else " or ".join(texts)
    return _WANTED[condition.operator].format(joined)


def _shown(field: str, value: Any) -> Any:
    """A value as people read it."""
    if value is None:
        return None
    return DAYS[value] if field == "best_weekday" else f"{value}:00" if field == "best_hour" else value
