"""What the rules command looks at beside the store's rules: named rules, and the records of files or of a run."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from callbeam_io.inputs import plan_inputs
from callbeam_io.kept import KeptRecords, folder_of
from callbeam_io.store import Store
from callbeam_io.store import rules as saved
from pipelines import options
from pipelines.config import RunConfig, make_config
from pipelines.rules_world import DEFAULT_STORE, read_rules, stored_rule
from pipelines.simulate import History, read_inputs, read_kept
from transforms.errors import OptionError
from transforms.rules.language import Rule

Run = Mapping[str, Any]
"""A row of the table ``runs``."""


def rules_named(named: str, store: Store | None) -> list[Rule]:
    """The rules of a file (``-``: standard input) that are on, all where none is; or the one with this rule_id.

    Raises:
        OptionError: neither is there.
        RuleError: a rule cannot be read.
    """
    if Path(named).is_file() or named == "-":
        found = read_rules(named)
    elif store is None:
        raise OptionError(
            f"{named}: no such file, and no result store", "a rules file, or a rule_id with --store"
        )
    else:
        found = [stored_rule(saved.rule_row(store, named))]
    return [r for r in found if r.enabled] or found


def newest_kept(store: Store | None) -> Run:
    """The newest run that kept records; OptionError where there is none."""
    for run in store.runs() if store is not None else ():
        if store is not None and store.count("record_files", run["run_id"]):
            return run
    raise OptionError(
        "no --input, and no run of the store has kept records", "files, or --store with such a run"
    )


def config_as_of(
    args: argparse.Namespace, flags: Sequence[str], run: Mapping[str, Any], streaming: Mapping[str, Any]
) -> RunConfig:
    """The batch run that would read these records; what is not given is as in another run.

    Args:
        args: of the command line; ``input`` names the files.
        flags: names of those that mean what they mean to ``pipelines.run``.
        run: options of the run whose records are read; empty where it is files.
        streaming: options of the newest streaming run, for the pane.
    """
    reference = run.get("reference") or {}
    settings = run.get("rule_settings") or streaming.get("rule_settings") or {}
    usual = {
        "pane": f"{settings['pane']}s" if "pane" in settings else None,
        "timezone": run.get("timezone"),
        "default_region": run.get("default_region"),
        "business_types": reference.get("business_types"),
        "directory": reference.get("directory") if args.input else None,  # kept records have their types
    }
    given = {flag: getattr(args, flag, None) for flag in (*flags, "pane", "business_types")}
    values = {flag: value if value is not None else usual.get(flag) for flag, value in given.items()}
    words = [f"--{flag}={value}" for flag, value in values.items() if value is not None]
    inputs = [f"--input={what}" for what in args.input or ["kept records"]]
    return make_config(_parsed([*inputs, *words]), ())


def _parsed(words: list[str]) -> argparse.Namespace:
    try:
        return options.parse(words)[0]
    except SystemExit as error:  # argparse has said why
        raise OptionError("a flag of the command cannot be read", todo="see the line above") from error


def history_of(
    args: argparse.Namespace, store: Store | None, config: RunConfig, kept: Run | None
) -> tuple[History, str]:
    """The records of the files, or those that a run kept; and what to call them."""
    if kept is None or store is None:
        plan = plan_inputs(config.inputs, config.input_format, timezone=config.timezone)
        directory = config.reference().directory
        return read_inputs(plan, config.clean_settings(), directory), ", ".join(config.inputs)
    files = KeptRecords(folder_of(args.store or DEFAULT_STORE), kept["run_id"])
    return read_kept(files, store.rows("record_files", kept["run_id"])), f"run {kept['run_id']}"
