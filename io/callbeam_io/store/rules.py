"""Rules in the store: saved as versions, switched on and off; nobody's edit is lost to somebody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, text, update

from callbeam_io.store.base import StoreBase
from callbeam_io.store.tables import TABLES
from callbeam_io.store.types import utc_text
from transforms.errors import OptionError, RuleError

_RULES: Final = TABLES["rules"]
_VERSIONS: Final = TABLES["rule_versions"]
_ACTIVATIONS: Final = TABLES["rule_activations"]
_PROMOTIONS: Final = TABLES["promotions"]
_LOCK: Final = text("LOCK TABLE rules IN SHARE ROW EXCLUSIVE MODE")


class RuleConflict(RuleError):
    """Somebody saved the rule in between."""


@dataclass(frozen=True)
class RuleDraft:
    """A rule that is to be saved.

    Attributes:
        rule_id: of the rule.
        name, priority: of the rule.
        enabled: whether it is to be on; None: as it is by then, off where it is new.
        definition: the rule as JSON.
        base: the version that was edited, 0 for a rule that is new; None: whichever there is.
        sentence: the rule in words, as of this version.
    """

    rule_id: str
    name: str
    priority: int
    enabled: bool | None
    definition: Mapping[str, Any]
    base: int | None = None
    sentence: str = ""


def save_rules(store: StoreBase, drafts: Sequence[RuleDraft], by: str) -> list[int]:
    """Saves rules as new versions, all or none; gives their versions.

    Args:
        store: where to.
        drafts: of distinct rules.
        by: who saves them.

    Raises:
        RuleConflict: a rule has another version by now than the one that was edited.
        StoreError: the database refuses.
    """
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(_LOCK)  # SQLite has the write lock already
        return [_save(connection, draft, by) for draft in drafts]


def _save(connection: Connection, draft: RuleDraft, by: str) -> int:
    newest = connection.scalar(
        select(func.max(_VERSIONS.c.version)).where(_VERSIONS.c.rule_id == draft.rule_id)
    )
    wanted = _RULES.c.rule_id == draft.rule_id
    held = connection.execute(select(_RULES.c.version, _RULES.c.enabled).where(wanted)).first()
    now = max(newest or 0, (held.version or 0) if held is not None else 0)
    if draft.base is not None and draft.base != now:
        raise _conflict(draft.rule_id, draft.base, now)
    on = bool(held is not None and held.enabled) if draft.enabled is None else draft.enabled
    values = {
        "name": draft.name,
        "enabled": on,
        "priority": draft.priority,
        "definition": dict(draft.definition),
        "created_at": utc_text(),
        "created_by": by,
        "version": now + 1,
        "sentence": draft.sentence or None,
    }
    connection.execute(insert(_VERSIONS).values(rule_id=draft.rule_id, **values))
    if held is None:
        connection.execute(insert(_RULES).values(rule_id=draft.rule_id, **values))
    else:
        connection.execute(update(_RULES).where(wanted).values(**values, error=None))
    return now + 1


def _conflict(rule_id: str, base: int, now: int) -> RuleConflict:
    return RuleConflict(
        f"rule {rule_id} was saved by somebody else in between: it has version {now}",
        f"version {base}" if base else "no rule of this name yet",
        "look at that version, then try again",
    )


def switch_rule(store: StoreBase, rule_id: str, *, on: bool, base: int | None = None) -> bool:
    """Switches a rule on or off; gives whether that changed anything. Switched on, its error is forgotten.

    Args:
        store: of the rule.
        rule_id: of the rule.
        on: or off.
        base: the version that is meant; None: whichever there is.

    Raises:
        OptionError: no such rule.
        RuleConflict: it has another version by now.
    """
    columns = (_RULES.c.enabled, _RULES.c.version)
    with store.writing() as connection:
        row = connection.execute(select(*columns).where(_RULES.c.rule_id == rule_id)).first()
        if row is None:
            raise no_rule(store, rule_id)
        if base is not None and base != (row.version or 0):
            raise _conflict(rule_id, base, row.version or 0)
        values = {"enabled": on, "error": None} if on else {"enabled": on}
        connection.execute(update(_RULES).where(_RULES.c.rule_id == rule_id).values(**values))
        return bool(row.enabled) != on


def switch_off_broken(store: StoreBase, row: Mapping[str, Any], error: str) -> None:
    """Switches a rule off that cannot be decided and notes why, unless somebody has saved it anew since.

    Args:
        store: of the rule.
        row: of the rule, as it was read.
        error: what keeps it from being decided.
    """
    same = (_RULES.c.rule_id == row["rule_id"], _RULES.c.version.is_not_distinct_from(row["version"]))
    with store.writing() as connection:
        connection.execute(update(_RULES).where(*same).values(enabled=False, error=error))


def no_rule(store: StoreBase, rule_id: str) -> OptionError:
    """What is said about a rule_id that the store does not have."""
    return OptionError(f"no rule {rule_id!r} in {store.name}", "a rule_id of the table rules", "see list")


def list_rules(store: StoreBase) -> list[dict[str, Any]]:
    """The rules as they are now, by priority, then rule_id."""
    with store.reading() as connection:
        rows = connection.execute(select(_RULES).order_by(_RULES.c.priority, _RULES.c.rule_id)).mappings()
        return [_readable(row) for row in rows]


def rule_row(store: StoreBase, rule_id: str) -> dict[str, Any]:
    """The row of a rule; OptionError where there is none."""
    with store.reading() as connection:
        row = connection.execute(select(_RULES).where(_RULES.c.rule_id == rule_id)).mappings().first()
    if row is None:
        raise no_rule(store, rule_id)
    return _readable(row)


def rule_versions(store: StoreBase, rule_id: str) -> list[dict[str, Any]]:
    """All versions of a rule, the oldest first."""
    wanted = select(_VERSIONS).where(_VERSIONS.c.rule_id == rule_id).order_by(_VERSIONS.c.version)
    with store.reading() as connection:
        return [_readable(row) for row in connection.execute(wanted).mappings()]


def _readable(row: RowMapping) -> dict[str, Any]:
    """A row whose definition is an object, whatever somebody wrote there."""
    definition = row["definition"]
    return {**row, "definition": definition if isinstance(definition, dict) else {}}


def rule_activations(store: StoreBase, rule_id: str) -> list[dict[str, Any]]:
    """When a rule was on in which run, by run and time."""
    found = _ACTIVATIONS.c
    wanted = select(_ACTIVATIONS).where(found.rule_id == rule_id).order_by(found.run_id, found.active_from)
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(wanted).mappings()]


def rule_outcomes(store: StoreBase, rule_id: str, run_id: str) -> dict[str, int]:
    """Promotions of a rule in a run by outcome."""
    return _outcomes(store, _PROMOTIONS.c.run_id == run_id, _PROMOTIONS.c.rule_id == rule_id)


def run_outcomes(store: StoreBase, run_id: str) -> dict[str, int]:
    """Promotions of all rules in a run by outcome."""
    # no column as it is, so that no index is used: to look up every row through one takes eight times as long
    return _outcomes(store, _PROMOTIONS.c.run_id.concat("") == run_id)


def _outcomes(store: StoreBase, *wanted: ColumnElement[bool]) -> dict[str, int]:
    counted = select(_PROMOTIONS.c.outcome, func.count()).where(*wanted).group_by(_PROMOTIONS.c.outcome)
    with store.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(counted)}


def definition_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The definition in a row of ``rules``; whether it is on is what the row says."""
    return {**row["definition"], "enabled": bool(row["enabled"])}
