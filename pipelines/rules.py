"""``python -m pipelines.rules``: rules in the result store, and rules tried on history."""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # the work is spread over threads already

import argparse
import getpass
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from callbeam_io.store import Store, open_store
from callbeam_io.store import rules as saved
from callbeam_io.store.web_accounts import log
from pipelines.rules_shown import export_rules, list_rules, opened, show_rule, state
from pipelines.rules_world import DEFAULT_STORE, check_all, is_same, read_rules, stored_rule, world_of
from transforms.errors import CallbeamError, OptionError, RequestError
from transforms.rules.language import Rule
from transforms.rules.sentences import sentence
from transforms.rules.write import to_json

DONE, FAILED, WRONG = 0, 1, 2

_EPILOG: Final = """\
examples:
  python -m pipelines.rules test rules.json
  python -m pipelines.rules add rules.json --store sqlite:///callbeam.db
  python -m pipelines.rules simulate rules.json --input cdrs.csv --directory directory.csv --consent consent.csv
  python -m pipelines.rules simulate long-distance-package --why +12025550123
  python -m pipelines.rules effect long-distance-package
  python -m pipelines.rules list
  python -m pipelines.rules disable long-distance-package
  python -m pipelines.rules export --output rules.json

A streaming run takes up within two seconds what add, enable and disable change.
Exit status: 0 done; 1 the store failed; 2 the request was wrong, nothing was changed.
"""
_SIMULATE: Final = """\
examples:
  python -m pipelines.rules simulate rules.json --input 'cdrs/*.csv.gz' --consent_default in
  python -m pipelines.rules simulate bank-shopper --store sqlite:///callbeam.db --json
  python -m pipelines.rules simulate bank-shopper --why +12025550123

Without --input: the records that the newest run with kept records has kept.
"""
_EFFECT: Final = """\
examples:
  python -m pipelines.rules effect bank-shopper
  python -m pipelines.rules effect bank-shopper --run 20260101-0900 --input 'cdrs/*.csv.gz' --json

Interactions with the goal of the rule's offer over 14 days before and after, of people who were offered it and of
those held back for control. Without --input: the records that the run with the promotions has kept.
"""
_EXAMPLES: Final = {"simulate": _SIMULATE, "effect": _EFFECT}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as the other commands do."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(message, todo="--help lists commands and flags")


def parser() -> argparse.ArgumentParser:
    """The command's sub-commands and their flags."""
    made = _Parser(
        prog="python -m pipelines.rules",
        description="Keeps the rules of a result store, and tries rules on history.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = made.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, (run, about, words) in _COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=about,
            description=about,
            epilog=_EXAMPLES.get(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        sub.set_defaults(run=run)
        for word in words:
            sub.add_argument(word, metavar=word.upper(), help=_WORDS[word])
        sub.add_argument("--store", default=None, metavar="URL", help=f"result store ({DEFAULT_STORE})")
        _add_flags(sub, name)
    return made


def _add_flags(sub: argparse.ArgumentParser, name: str) -> None:
    add = sub.add_argument
    if name in ("add", "test", "simulate"):
        add("--pane", metavar="TIME", help="pane of the run (that of the newest streaming run)")
        add("--business_types", metavar="FILE", help="CSV business_type,tag (those of that run)")
    if name in ("list", "show", "simulate", "effect"):
        add("--json", action="store_true", help="JSON in place of text")
    if name == "export":
        add("--output", metavar="FILE", help="rules file to write (standard output)")
    if name in ("simulate", "effect"):
        add("--input", action="append", metavar="WHAT", help="file, glob or folder (repeatable)")
        for flag, (metavar, about) in _RUN_FLAGS.items():
            if name == "simulate" or flag not in _OF_THE_GATE:
                add(f"--{flag}", metavar=metavar, help=about)
    if name == "effect":
        add(
            "--run",
            dest="run_id",
            metavar="RUN",
            help="whose promotions (the newest run that has some of the rule)",
        )
        add("--business_types", metavar="FILE", help="CSV business_type,tag (those of that run)")
    if name == "simulate":
        add("--why", metavar="SUBSCRIBER", help="also each condition's value for this subscriber")
        add("--show_numbers", action="store_true", help="phone numbers in examples as they are")


_RUN_FLAGS: Final = {
    "input_format": ("NAME", "as of the run (auto)"),
    "timezone": ("ZONE", "zone of stamps that carry none (UTC)"),
    "default_region": ("XX", "region of numbers without + (none)"),
    "max_ahead": ("TIME", "a stamp further ahead of the clock is a reject (1d; none)"),
    "directory": ("FILE", "CSV or Parquet number,business_type"),
    "consent": ("FILE", "CSV subscriber,opted_in[,at], besides those of the store"),
    "consent_default": ("in|out", "of subscribers without one (out)"),
    "contact_cap": ("N/TIME", "promotions per subscriber, such as 2/7d (none)"),
    "quiet_hours": ("H-H", "no contact in these hours, local time (21-9)"),
}
"""Flags of ``pipelines.run`` that ``simulate`` takes, with the same meaning."""
_OF_THE_GATE: Final = ("consent", "consent_default", "contact_cap", "quiet_hours")
"""Those that ``effect``, which reads records only, does not take."""


def main(argv: Sequence[str] | None = None) -> int:
    """Does what is asked; the exit status is 0 done, 1 failed, 2 wrong request."""
    try:
        args = parser().parse_args(sys.argv[1:] if argv is None else list(argv))
        if args.command is None:
            parser().print_help()
            return WRONG
        args.run(args)
    except RequestError as error:
        for one in (error, *getattr(error, "others", ())):
            print(f"callbeam: {one}", file=sys.stderr)
        return WRONG
    except CallbeamError as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return FAILED
    return DONE


def _add(args: argparse.Namespace) -> None:
    rules = read_rules(args.file)
    store = open_store(args.store or DEFAULT_STORE)
    check_all(rules, world_of(store, args.pane, args.business_types))
    rows = {row["rule_id"]: row for row in saved.list_rules(store)}
    changed = [r for r in rules if r.rule_id not in rows or not is_same(rows[r.rule_id], r)]
    versions = saved.save_rules(store, [_draft(r, rows.get(r.rule_id)) for r in changed], _who())
    for rule, version in zip(changed, versions, strict=True):
        action = "rule changed" if rule.rule_id in rows else "rule added"
        _note(store, action, rule.rule_id, {"version": version, "enabled": rule.enabled})
        print(f"{rule.rule_id}: saved as version {version}, {state(rule.enabled)}")
    for rule in rules:
        if rule not in changed:
            switched = _switched(store, rule.rule_id, on=rule.enabled)
            print(f"{rule.rule_id}: {f'switched {state(rule.enabled)}' if switched else 'unchanged'}")


def _draft(rule: Rule, row: Mapping[str, Any] | None) -> saved.RuleDraft:
    base = 0 if row is None else int(row["version"] or 0)
    return saved.RuleDraft(
        rule.rule_id, rule.name, rule.priority, rule.enabled, to_json(rule), base, sentence(rule)
    )


def _switched(store: Store, rule_id: str, *, on: bool) -> bool:
    """Switches a rule, and notes it if that changed anything; gives whether it did."""
    changed = saved.switch_rule(store, rule_id, on=on)
    if changed:
        _note(store, "rule enabled" if on else "rule disabled", rule_id)
    return changed


def _note(store: Store, action: str, rule_id: str, detail: Mapping[str, Any] | None = None) -> None:
    """In the audit log, as done by the user of this machine."""
    log(store, f"command:{_who()}", action, rule_id, detail)


def _who() -> str:
    """The user of the machine; some containers have none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "command line"


def _test(args: argparse.Namespace) -> None:
    from pipelines.rules_world import existing_store

    rules = read_rules(args.file)
    check_all(rules, world_of(existing_store(args.store), args.pane, args.business_types))
    for rule in rules:
        print(f"{rule.rule_id}: {sentence(rule)}")


def _switch(args: argparse.Namespace) -> None:
    on = args.command == "enable"
    store = opened(args)
    if on:  # what a run would switch off again at once is refused here
        check_all([stored_rule(saved.rule_row(store, args.rule_id))], world_of(store, None, None))
    changed = _switched(store, args.rule_id, on=on)
    print(f"{args.rule_id}: {'switched' if changed else 'was already'} {state(on)}")


def _simulate(args: argparse.Namespace) -> None:
    from pipelines.simulate_command import simulate  # reads options of the pipeline: the others start faster

    simulate(args, tuple(_RUN_FLAGS))


def _effect(args: argparse.Namespace) -> None:
    from pipelines.effect_command import show_effect

    show_effect(args, [flag for flag in _RUN_FLAGS if flag not in _OF_THE_GATE])


_WORDS: Final = {
    "file": "rules file, a JSON list of rules or one rule (-: standard input)",
    "rule_id": "of a rule in the store",
    "rule": "a rules file, or the rule_id of a rule in the store",
}
_COMMANDS: Final[dict[str, tuple[Callable[[argparse.Namespace], None], str, tuple[str, ...]]]] = {
    "add": (_add, "save the rules of a file; a rule that is there gets a new version", ("file",)),
    "list": (list_rules, "the rules of the store, by priority", ()),
    "show": (show_rule, "one rule: definition, versions, activations, promotions", ("rule_id",)),
    "test": (_test, "check the rules of a file and say them in English; nothing is saved", ("file",)),
    "simulate": (_simulate, "what a rule would have done over some records; nothing is saved", ("rule",)),
    "effect": (_effect, "what a rule's promotions did: offered against control", ("rule",)),
    "enable": (_switch, "switch a rule on", ("rule_id",)),
    "disable": (_switch, "switch a rule off", ("rule_id",)),
    "export": (export_rules, "all rules of the store as a rules file", ()),
}


if __name__ == "__main__":
    sys.exit(main())
