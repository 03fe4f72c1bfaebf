"""``python -m pipelines.rules simulate``: from its flags to the report."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pyarrow as pa

from callbeam_io.store import Store
from callbeam_io.store import rules as saved
from pipelines.config import RunConfig
from pipelines.consents import consent_of, statements, with_file
from pipelines.rules_history import Run, config_as_of, history_of, newest_kept, rules_named
from pipelines.rules_world import World, check_all, existing_store, is_same, stored_rule, streaming_options
from pipelines.simulate import History, promotions_of, summary_of, why, with_rules
from pipelines.simulate_report import Report, as_json, as_text
from transforms.columns.decisions import RuleBook, RuleSettings
from transforms.columns.numbers import party_codes
from transforms.columns.rules.moments import Quiet
from transforms.columns.rules.outcomes import Cap, Consent
from transforms.errors import RuleError
from transforms.rules.language import ActiveRule, Rule


@dataclass(frozen=True)
class _Case:
    """What rules are tried on, and with what else.

    Attributes:
        config: of the batch run that the simulation stands for.
        settings: panes and the gate.
        history: the records; ``source`` names them.
        consent: who may be offered anything.
        rows: of the store's table ``rules``.
        others: those that are on and can be decided.
        notes: what is to be said.
    """

    config: RunConfig
    settings: RuleSettings
    history: History
    source: str
    consent: Consent
    rows: Mapping[str, Mapping[str, Any]]
    others: tuple[ActiveRule, ...]
    notes: tuple[str, ...]


def simulate(args: argparse.Namespace, run_flags: Sequence[str]) -> None:
    """Tries the rules of ``args.rule`` on history, together with those that are on, and prints what becomes of each.

    Args:
        args: of the command line.
        run_flags: names of those that mean what they mean to ``pipelines.run``.

    Raises:
        RequestError: what is wrong with the request.
    """
    store = existing_store(args.store)
    rules = [replace(rule, enabled=True) for rule in rules_named(args.rule, store)]
    case = _case(args, run_flags, store, rules)
    tried = [ActiveRule(rule, _version(case.rows.get(rule.rule_id), rule)) for rule in rules]
    book = RuleBook(with_rules(case.others, tried), case.consent)
    rows = promotions_of(case.history, book, case.settings, case.config.reference().types)
    reports = [_report(args, case, active, book, rows) for active in tried]
    if args.json:
        print(json.dumps([as_json(r) for r in reports], indent=2, ensure_ascii=False, default=str))
    else:
        print("\n\n".join(as_text(r) for r in reports))


def _case(
    args: argparse.Namespace, run_flags: Sequence[str], store: Store | None, rules: list[Rule]
) -> _Case:
    kept = None if args.input else newest_kept(store)
    config = config_as_of(args, run_flags, _options(kept), streaming_options(store) or {})
    types = config.reference().types
    world = World(config.rule_settings.pane, types)
    check_all(rules, world)
    rows = {row["rule_id"]: row for row in saved.list_rules(store)} if store is not None else {}
    others, notes = _others(rows, world)
    stated = statements(store, "consent")
    if config.consent is not None:
        stated = with_file(stated, config.consent, config.reference.default_region)
    consent = consent_of(stated, statements(store, "suppressed"), default=config.consent_default)
    if not stated.height and not config.consent_default:
        notes = (*notes, "nobody may be contacted: there are no consents (--consent, --consent_default)")
    settings = _settings(args, config, kept)
    history, source = history_of(args, store, config, kept)
    return _Case(config, settings, history, source, consent, rows, others, notes)


def _version(row: Mapping[str, Any] | None, rule: Rule) -> int:
    """The version that the rule has once it is saved."""
    return 1 if row is None else int(row["version"] or 1) + (not is_same(row, rule))


def _report(
    args: argparse.Namespace, case: _Case, tried: ActiveRule, book: RuleBook, rows: pa.Table
) -> Report:
    """One rule's share of all promotions."""
    summary = summary_of(rows, tried.rule.rule_id, [r.rule.rule_id for r in book.rules])
    pane, asked = case.settings.pane, None
    if args.why is not None:
        code = int(party_codes(pl.Series([args.why]), case.config.default_region).code[0])
        asked = why(tried.rule, code, case.history, pane, case.config.reference().types)
    return Report(
        tried.rule,
        tried.version,
        summary,
        case.history,
        case.source,
        pane,
        asked,
        bool(args.show_numbers),
        case.notes,
    )


def _options(run: Run | None) -> Mapping[str, Any]:
    return (run["options"] if run is not None else None) or {}


def _settings(args: argparse.Namespace, config: RunConfig, kept: Run | None) -> RuleSettings:
    """Cap and quiet hours of the run whose records are read, unless given."""
    settings, before = config.rule_settings, _options(kept).get("rule_settings") or {}
    if "cap" in before and args.contact_cap is None:
        settings = replace(settings, cap=Cap(**before["cap"]) if before["cap"] else None)
    if "quiet" in before and args.quiet_hours is None:
        settings = replace(settings, quiet=Quiet(**before["quiet"]) if before["quiet"] else None)
    return settings


def _others(
    rows: Mapping[str, Mapping[str, Any]], world: World
) -> tuple[tuple[ActiveRule, ...], tuple[str, ...]]:
    """The rules that are on, and what is to be said about those that could not be decided."""
    found, notes = [], []
    for rule_id, row in sorted(rows.items()):
        if not row["enabled"]:
            continue
        try:
            rule = stored_rule(row)
            world.check(rule)
        except RuleError as error:
            notes.append(f"left out: rule {rule_id}: {error}")
            continue
        found.append(ActiveRule(rule, int(row["version"] or 1)))
    return tuple(found), tuple(notes)
