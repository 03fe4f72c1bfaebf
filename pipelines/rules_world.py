"""What the rules command finds out before it does anything: the rules of a file, the store, the run they are for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from callbeam_io.store import Store, open_store
from pipelines.reference import load_business_types
from pipelines.rulebook import rule_in
from transforms.columns.directory import BusinessTypes
from transforms.columns.regions import REGIONS
from transforms.columns.windows import parse_duration
from transforms.errors import OptionError, RuleError
from transforms.rules.check import Names, check_rule
from transforms.rules.language import Rule
from transforms.rules.parse import parse_rules

DEFAULT_STORE: Final = "sqlite:///callbeam.db"
_LIVE_PANE: Final = 5


@dataclass(frozen=True)
class World:
    """What rules are checked against; lengths in seconds.

    Attributes:
        pane: of the run.
        types: the list of business types.
        history: how long interactions are kept; None: not known.
    """

    pane: int
    types: BusinessTypes
    history: int | None = None

    def check(self, rule: Rule) -> None:
        """RuleProblem where a run cannot evaluate the rule."""
        names = Names(frozenset(self.types.names), frozenset(self.types.tags), frozenset(REGIONS))
        check_rule(rule, self.pane, names, self.history)


def read_rules(path: str) -> list[Rule]:
    """The rules of a file (``-``: standard input): a list of them, or one.

    Raises:
        OptionError: no such file.
        RuleError: what is wrong with it, with the rule's position, name and path.
    """
    if path != "-" and not Path(path).is_file():
        raise OptionError(f"{path}: no such file", "a JSON list of rules, or one rule")
    text = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    rules = parse_rules(b"[" + text + b"]" if text.lstrip().startswith(b"{") else text)
    if not rules:
        raise RuleError(f"{path} holds no rules", "a JSON list of at least one rule")
    return rules


def existing_store(url: str | None) -> Store | None:
    """The store; None where none was named and there is none at the usual place.

    Raises:
        OptionError: there is none at the URL.
    """
    if url is None and not Path(DEFAULT_STORE.removeprefix("sqlite:///")).exists():
        return None
    return open_store(url or DEFAULT_STORE, create=False)


def streaming_options(store: Store | None) -> Mapping[str, Any] | None:
    """The options of the newest streaming run, if there is one."""
    run_id = None if store is None else store.newest_run(mode="streaming")
    return None if store is None or run_id is None else store.run(run_id)["options"]


def newest_options(store: Store | None) -> Mapping[str, Any] | None:
    """The options of the newest streaming run; without one, of the newest run's what it says of its records alone."""
    options = streaming_options(store)
    run_id = None if store is None or options is not None else store.newest_run()
    if store is None or run_id is None:
        return options
    found = store.run(run_id)["options"] or {}
    return {name: found[name] for name in ("reference", "default_region", "consent_default") if name in found}


def world_of(store: Store | None, pane: str | None, business_types: str | None) -> World:
    """What rules are checked against: the newest streaming run, but for what was given."""
    options = newest_options(store) or {}
    found = options.get("rule_settings", {}).get("pane", _LIVE_PANE)
    types = business_types or options.get("reference", {}).get("business_types")
    seconds = found if pane is None else parse_duration(pane, "--pane")
    if seconds < 1:
        raise OptionError(f"--pane {pane!r}", "at least 1s")
    return World(seconds, load_business_types(types), options.get("rule_history"))


def check_all(rules: list[Rule], world: World) -> None:
    """RuleError that names the first rule that the world does not allow."""
    for rule in rules:
        try:
            world.check(rule)
        except RuleError as error:
            raise RuleError(f"rule {rule.rule_id}: {error.what}", error.expected, error.todo) from None


def stored_rule(row: Mapping[str, Any]) -> Rule:
    """The rule in a row of ``rules``; whether it is on is what the row says.

    Raises:
        RuleError: it cannot be read.
    """
    return replace(rule_in(row), enabled=bool(row["enabled"]))


def is_same(row: Mapping[str, Any], rule: Rule) -> bool:
    """Whether a row of ``rules`` holds this rule, whether on or off."""
    try:
        return replace(stored_rule(row), enabled=rule.enabled) == rule
    except RuleError:
        return False
