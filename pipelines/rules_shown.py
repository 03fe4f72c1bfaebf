"""What the rules command prints of a store: its rules, one rule, a rules file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from callbeam_io.store import Store, open_store
from callbeam_io.store import rules as saved
from pipelines.rules_world import DEFAULT_STORE, stored_rule
from transforms.errors import OptionError, RuleError
from transforms.rules.sentences import sentence


def opened(args: argparse.Namespace) -> Store:
    """The store that the command names; OptionError where there is none."""
    return open_store(args.store or DEFAULT_STORE, create=False)


def list_rules(args: argparse.Namespace) -> None:
    """Prints all rules, by priority."""
    rows = saved.list_rules(opened(args))
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max((len(row["rule_id"]) for row in rows), default=0)
    for row in rows:
        text = f"{row['rule_id']:<{width}}  {state(row['enabled']):<3}  version {row['version'] or 1:<3}  {_said(row)}"
        print(f"{text}\n  switched off: {row['error']}" if row["error"] else text)


def show_rule(args: argparse.Namespace) -> None:
    """Prints one rule: definition, versions, activations, promotions."""
    store = opened(args)
    row = saved.rule_row(store, args.rule_id)
    run_id = store.newest_run()
    found = {
        **row,
        "sentence": _said(row),
        "definition": saved.definition_of(row),
        "versions": saved.rule_versions(store, args.rule_id),
        "activations": saved.rule_activations(store, args.rule_id),
        "run_id": run_id,
        "outcomes": saved.rule_outcomes(store, args.rule_id, run_id) if run_id else {},
    }
    print(json.dumps(found, indent=2, ensure_ascii=False) if args.json else _shown(found))


def export_rules(args: argparse.Namespace) -> None:
    """Writes all rules as a rules file."""
    rules = [saved.definition_of(row) for row in saved.list_rules(opened(args))]
    text = json.dumps(rules, indent=2, ensure_ascii=False) + "\n"
    if args.output is None:
        sys.stdout.write(text)
        return
    try:
        Path(args.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OptionError(
            f"--output {args.output}: {error.strerror}", "a file that can be written"
        ) from error


def _said(row: Mapping[str, Any]) -> str:
    try:
        return sentence(stored_rule(row))
    except RuleError as error:
        return f"cannot be read: {error}"


def _shown(found: Mapping[str, Any]) -> str:
    lines = [
        f"{found['rule_id']}: {found['sentence']}",
        f"version {found['version'] or 1}, {state(found['enabled'])}",
        *([f"switched off: {found['error']}"] if found["error"] else []),
        json.dumps(found["definition"], indent=2, ensure_ascii=False),
        *(f"version {v['version']} saved {v['created_at']} by {v['created_by']}" for v in found["versions"]),
        *(
            f"version {a['version']} on in run {a['run_id']} from {a['active_from']} to {a['active_to'] or 'now'}"
            for a in found["activations"]
        ),
    ]
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(found["outcomes"].items()))
    return "\n".join([*lines, f"run {found['run_id']}: {counts or 'no promotions'}"])


def state(on: bool) -> str:
    """In a word."""
    return "on" if on else "off"
