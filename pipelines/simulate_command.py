"""``python -m pipelines.rules simulate``: from its flags to the report."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from callbeam_io.inputs import plan_inputs
from callbeam_io.kept import KeptRecords, folder_of
from callbeam_io.store import Store
from callbeam_io.store import rules as saved
from callbeam_io.store.consent import read_consent
from pipelines import options
from pipelines.config import RunConfig, make_config
from pipelines.rules_world import (
    DEFAULT_STORE,
    World,
    check_all,
    existing_store,
    is_same,
    read_rules,
    stored_rule,
    streaming_options,
)
from pipelines.simulate import (
    History,
    promotions_of,
    read_inputs,
    read_kept,
    summary_of,
    why,
    with_rules,
)
from pipelines.simulate_report import Report, as_json, as_text
from transforms.columns.decisions import RuleBook, RuleSettings
from transforms.columns.numbers import party_codes, party_texts
from transforms.columns.rules.moments import Quiet
from transforms.columns.rules.outcomes import Cap, Consent, Ledger, ledger
from transforms.errors import OptionError, RuleError
from transforms.rules.language import ActiveRule, Rule
from transforms.schema import TIME_FORMAT

_STATED: Final = {"subscriber": pl.String, "at": pl.String, "opted_in": pl.Boolean}


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
    rules = _rules(args.rule, store)
    case = _case(args, run_flags, store, rules)
    tried = [ActiveRule(rule, _version(case.rows.get(rule.rule_id), rule)) for rule in rules]
    book = RuleBook(with_rules(case.others, tried), case.consent)
    rows = promotions_of(case.history, book, case.settings, case.config.reference().types)
    reports = [_report(args, case, active, book, rows) for active in tried]
    if args.json:
        print(json.dumps([as_json(r) for r in reports], indent=2, ensure_ascii=False, default=str))
    else:
        print("\n\n".join(as_text(r) for r in reports))


def _rules(named: str, store: Store | None) -> list[Rule]:
    """The rules of a file that are on (all where none is), or the one with this rule_id; taken as switched on."""
    if Path(named).is_file() or named == "-":
        found = read_rules(named)
    elif store is None:
        raise OptionError(
            f"{named}: no such file, and no result store", "a rules file, or a rule_id with --store"
        )
    else:
        found = [stored_rule(saved.rule_row(store, named))]
    return [replace(rule, enabled=True) for rule in [r for r in found if r.enabled] or found]


def _case(
    args: argparse.Namespace, run_flags: Sequence[str], store: Store | None, rules: list[Rule]
) -> _Case:
    kept = None if args.input else _kept_run(store)
    config = _config(args, run_flags, kept or {"options": {}}, streaming_options(store) or {})
    types = config.reference().types
    world = World(config.rule_settings.pane, types)
    check_all(rules, world)
    rows = {row["rule_id"]: row for row in saved.list_rules(store)} if store is not None else {}
    others, notes = _others(rows, world)
    consent, stated = _consent(store, config)
    if not stated and not config.consent_default:
        notes = (*notes, "nobody may be contacted: there are no consents (--consent, --consent_default)")
    settings = _settings(args, config, kept)
    history, source = _history(args, store, config, kept)
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


def _kept_run(store: Store | None) -> Mapping[str, Any]:
    """The newest run that kept records."""
    for run in store.runs() if store is not None else ():
        if store is not None and store.count("record_files", run["run_id"]):
            return run
    raise OptionError(
        "no --input, and no run of the store has kept records", "files, or --store with such a run"
    )


def _config(
    args: argparse.Namespace, run_flags: Sequence[str], kept: Mapping[str, Any], streaming: Mapping[str, Any]
) -> RunConfig:
    """The batch run that the simulation stands for; what is not given is as in the run whose records are read."""
    before: Mapping[str, Any] = kept["options"] or {}
    settings = before.get("rule_settings") or streaming.get("rule_settings") or {}
    usual = {
        "pane": f"{settings['pane']}s" if "pane" in settings else None,
        "timezone": before.get("timezone"),
        "default_region": before.get("default_region"),
        "business_types": (before.get("reference") or {}).get("business_types"),
    }
    given = {flag: getattr(args, flag) for flag in (*run_flags, "pane", "business_types")}
    values = {flag: value if value is not None else usual.get(flag) for flag, value in given.items()}
    words = [f"--{flag}={value}" for flag, value in values.items() if value is not None]
    inputs = [f"--input={what}" for what in args.input or ["kept records"]]
    return make_config(_parsed([*inputs, *words]), ())


def _parsed(words: list[str]) -> argparse.Namespace:
    try:
        return options.parse(words)[0]
    except SystemExit as error:  # argparse has said why
        raise OptionError("a flag of the simulation cannot be read", todo="see the line above") from error


def _settings(args: argparse.Namespace, config: RunConfig, kept: Mapping[str, Any] | None) -> RuleSettings:
    """Cap and quiet hours of the run whose records are read, unless given."""
    settings, before = config.rule_settings, (kept or {}).get("options", {}).get("rule_settings") or {}
    if "cap" in before and args.contact_cap is None:
        settings = replace(settings, cap=Cap(**before["cap"]) if before["cap"] else None)
    if "quiet" in before and args.quiet_hours is None:
        settings = replace(settings, quiet=Quiet(**before["quiet"]) if before["quiet"] else None)
    return settings


def _history(
    args: argparse.Namespace, store: Store | None, config: RunConfig, kept: Mapping[str, Any] | None
) -> tuple[History, str]:
    if kept is None or store is None:
        plan = plan_inputs(config.inputs, config.input_format, timezone=config.timezone)
        directory = config.reference().directory
        return read_inputs(plan, config.clean_settings(), directory), ", ".join(config.inputs)
    files = KeptRecords(folder_of(args.store or DEFAULT_STORE), kept["run_id"])
    return read_kept(files, store.rows("record_files", kept["run_id"])), f"run {kept['run_id']}"


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


def _consent(store: Store | None, config: RunConfig) -> tuple[Consent, int]:
    """The statements of the store with those of ``--consent`` over them, as a run would load them; how many."""
    stated, stops = _table(store, "consent"), _table(store, "suppressed")
    if config.consent is not None:
        given = _consent_file(config.consent, config.reference.default_region)
        both = pl.concat([stated, given.select(_stated(given.columns))])
        stated = both.unique(["subscriber", "at"], keep="last", maintain_order=True)
    said = stated["opted_in"].to_numpy()
    suppressed = _ledger(stops, np.ones(stops.height, np.bool_))
    return Consent(_ledger(stated, said), suppressed, config.consent_default), stated.height


def _table(store: Store | None, name: str) -> pl.DataFrame:
    """Subscribers, times and what was said (null in ``suppressed``); none without a store."""
    if store is None:
        return pl.DataFrame(schema=_STATED)
    found = pl.DataFrame(pl.from_arrow(store.table(name)))
    return found.select(_stated(found.columns))


def _stated(there: Sequence[str]) -> list[pl.Expr]:
    columns = {name: pl.col(name) if name in there else pl.lit(None) for name in _STATED}
    return [column.cast(_STATED[name]).alias(name) for name, column in columns.items()]


def _consent_file(path: str, region: str | None) -> pl.DataFrame:
    if not Path(path).is_file():
        raise OptionError(f"--consent {path}: no such file", "a CSV subscriber,opted_in[,at]")

    def normalise(subscribers: pl.Series) -> pl.Series:
        parties = party_codes(subscribers, region)
        return party_texts(parties.code, parties.text)

    return pl.DataFrame(pl.from_arrow(read_consent(Path(path), normalise).rows))


def _ledger(frame: pl.DataFrame, said: Any) -> Ledger:
    at = frame["at"].str.to_datetime(TIME_FORMAT, time_unit="us").to_physical().to_numpy() // 1_000_000
    return ledger(party_codes(frame["subscriber"]).code, at, np.asarray(said, np.bool_))
