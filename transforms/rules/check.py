"""What a rule needs of the run that it is in: the pane, the history that is kept, the names that exist."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from transforms.rules.language import Condition, Rule, Where, conditions
from transforms.rules.problems import RuleProblem, duration_text


@dataclass(frozen=True)
class Names:
    """The names that rules may speak of. An empty collection: not checked."""

    business_types: Collection[str] = ()
    tags: Collection[str] = ()
    regions: Collection[str] = ()

    def of(self, column: str) -> Collection[str]:
        """The names of a field or a column of ``where``."""
        known = {
            "business_type": self.business_types,
            "tag": self.tags,
            "region": self.regions,
            "subscriber_region": self.regions,
        }
        return known.get(column, ())


def check_rule(rule: Rule, pane: int, names: Names | None = None, history: int | None = None) -> None:
    """Refuses a rule that a run cannot evaluate.

    Args:
        rule: the rule.
        pane: length of the run's panes in seconds.
        names: what types, tags and regions there are.
        history: seconds of interactions that are kept; None where all are.

    Raises:
        RuleProblem: for a window that is no multiple of the pane or longer than the history, and for unknown
            names.
    """
    for path, condition in conditions(rule.when):
        check_pane(condition, path, pane)
        if history is not None and (condition.window or 0) > history:
            window = duration_text(condition.window or 0)
            raise RuleProblem(
                f"{path}.window",
                f"is {window}",
                f"at most the {duration_text(history)} that are kept (--rule_history)",
            )
        if names is not None:
            _check_names(condition, path, names)
    if names is not None and rule.offer.goal is not None:
        _check_where(rule.offer.goal, "offer.goal", names)


def check_pane(condition: Condition, path: str, pane: int) -> None:
    """Refuses a window that is no multiple of the pane (seconds)."""
    if condition.window is not None and condition.window % pane:
        what = f"is {duration_text(condition.window)}"
        raise RuleProblem(f"{path}.window", what, f"a multiple of the pane of {duration_text(pane)} (--pane)")


def _check_names(condition: Condition, path: str, names: Names) -> None:
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    _check_known(values, condition.field, f"{path}.value", names)
    _check_where(condition.where, f"{path}.where", names)


def _check_where(where: Where, path: str, names: Names) -> None:
    for column, values in where:
        _check_known(values, column, f"{path}.{column}", names)


def _check_known(values: Collection[object], column: str, path: str, names: Names) -> None:
    known = names.of(column)
    for value in values:
        if known and value not in known:
            some = ", ".join(sorted(known)[:20]) + (", …" if len(known) > 20 else "")
            raise RuleProblem(path, f"names {value!r}, which there is not", f"one of {some}")
