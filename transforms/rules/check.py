"""What a rule needs of the run that it is in: the pane, the history that is kept, the names that exist."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from transforms.rules.language import Condition, Rule, Where, conditions
from transforms.rules.problems import Problems, RuleProblem, duration_text


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
            names; it knows all of them.
    """
    problems = Problems()
    for path, condition in conditions(rule.when):
        with problems.of_part():
            check_pane(condition, path, pane)
        with problems.of_part():
            _check_history(condition, path, history)
        if names is not None:
            _check_names(condition, path, names, problems)
    if names is not None:
        _check_where(rule.offer.goal or (), "offer.goal", names, problems)
    problems.tell()


def check_pane(condition: Condition, path: str, pane: int) -> None:
    """Refuses a window that is no multiple of the pane (seconds)."""
    if condition.window is not None and condition.window % pane:
        what = f"is {duration_text(condition.window)}"
        raise RuleProblem(f"{path}.window", what, f"a multiple of the pane of {duration_text(pane)} (--pane)")


def _check_history(condition: Condition, path: str, history: int | None) -> None:
    if history is not None and (condition.window or 0) > history:
        what = f"is {duration_text(condition.window or 0)}"
        most = f"at most the {duration_text(history)} that are kept (--rule_history)"
        raise RuleProblem(f"{path}.window", what, most)


def _check_names(condition: Condition, path: str, names: Names, problems: Problems) -> None:
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    _check_known(values, condition.field, f"{path}.value", names, problems)
    _check_where(condition.where, f"{path}.where", names, problems)


def _check_where(where: Where, path: str, names: Names, problems: Problems) -> None:
    for column, values in where:
        _check_known(values, column, f"{path}.{column}", names, problems)


def _check_known(
    values: Collection[object], column: str, path: str, names: Names, problems: Problems
) -> None:
    known = names.of(column)
    unknown = next((value for value in values if known and value not in known), None)
    if unknown is not None:
        some = ", ".join(sorted(known)[:20]) + (", …" if len(known) > 20 else "")
        with problems.of_part():
            raise RuleProblem(path, f"names {unknown!r}, which there is not", f"one of {some}")
