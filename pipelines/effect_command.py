"""``python -m pipelines.rules effect``: what a rule's promotions did, from the records themselves."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from callbeam_io.store import Store, open_store
from pipelines.reached import OUTCOMES, reached_in
from pipelines.rules_history import Run, config_as_of, history_of, rules_named
from pipelines.rules_world import DEFAULT_STORE, streaming_options
from pipelines.simulate import History
from transforms.columns.decisions import context_of, first_pane_end_after
from transforms.columns.directory import BusinessTypes
from transforms.columns.rules.effect import Effect, Group, Reached, effect
from transforms.columns.rules.interactions import from_records
from transforms.errors import OptionError
from transforms.rules.language import Rule
from transforms.rules.problems import instant_text


def show_effect(args: argparse.Namespace, run_flags: Sequence[str]) -> None:
    """Prints the effect of the rules of ``args.rule``: promotions of a run, records of files or of that run.

    Args:
        args: of the command line.
        run_flags: names of those that mean what they mean to ``pipelines.run``.

    Raises:
        RequestError: what is wrong with the request.
    """
    store = open_store(args.store or DEFAULT_STORE, create=False)
    rules = rules_named(args.rule, store)
    for rule in rules:
        if rule.offer.goal is None:
            raise OptionError(
                f"rule {rule.rule_id} has no goal", 'offer.goal, such as {"business_type": ["Banking"]}'
            )
    run = _run(store, rules, args.run_id)
    kept = None if args.input else _that_kept(store, run)
    config = config_as_of(args, run_flags, run["options"] or {}, streaming_options(store) or {})
    history, source = history_of(args, store, config, kept)
    types, pane = config.reference().types, config.rule_settings.pane
    found = {
        r.rule_id: effect_on(history, reached_in(store, r.rule_id, run["run_id"]), r, types, pane)
        for r in rules
    }
    about = {
        "run_id": run["run_id"],
        "source": source,
        "first": instant_text(history.first),
        "last": instant_text(history.last),
    }
    if args.json:
        rows = [{"rule_id": rule_id, **about, **one.to_json()} for rule_id, one in found.items()]
        print(json.dumps(rows, indent=2))
    else:
        print("\n\n".join(_text(rule_id, one, about) for rule_id, one in found.items()))


def effect_on(history: History, reached: Reached, rule: Rule, types: BusinessTypes, pane: int) -> Effect:
    """The effect of a rule over the records of a history, which is whole up to the pane end after its last one."""
    return effect(
        reached,
        (from_records(shard) for shard in history.shards),
        rule.offer.goal or (),
        context_of(types).words,
        since=history.first // pane * pane,
        until=first_pane_end_after(history.last, pane),
    )


def _run(store: Store, rules: Sequence[Rule], wanted: str | None) -> Run:
    """The run of this id, else the newest one with promotions of any of the rules."""
    ids = [rule.rule_id for rule in rules]
    for run in store.runs():
        if run["run_id"] == wanted:
            return run
        where = {"rule_id": ("in", ids), "outcome": ("in", OUTCOMES)}
        if wanted is None and store.count("promotions", run["run_id"], where=where):
            return run
    if wanted is not None:
        raise OptionError(f"--run {wanted}: no such run in {store.name}", "a run_id of the table runs")
    raise OptionError(f"no run of {store.name} has promotions of {', '.join(ids)}", "a rule that has fired")


def _that_kept(store: Store, run: Run) -> Run:
    if not store.count("record_files", run["run_id"]):
        raise OptionError(
            f"no --input, and run {run['run_id']} has kept no records", "files, or a run with --keep_records"
        )
    return run


def _text(rule_id: str, found: Effect, about: Mapping[str, Any]) -> str:
    lines = [
        f"{rule_id}: {found.sentence()}",
        f"promotions of run {about['run_id']}, records of {about['source']}, {about['first']} to {about['last']}",
        f"{'':<9} {'people':>9} {'with goal':>10} {'per person':>11} {'before':>10} {'per person':>11}",
        *(f"{name:<9} {_row(getattr(found, name))}" for name in OUTCOMES),
    ]
    if found.waiting:
        lines.append(f"left out: {found.waiting:,} people whose 14 days after are not over")
    if found.forgotten:
        lines.append(f"left out: {found.forgotten:,} people with promotions from before the records")
    return "\n".join(lines)


def _row(group: Group) -> str:
    shares = [_percent(group.share_after), _number(group.mean_after)]
    before = [_percent(group.share_before), _number(group.mean_before)]
    return f"{group.people:>9,} {shares[0]:>10} {shares[1]:>11} {before[0]:>10} {before[1]:>11}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
