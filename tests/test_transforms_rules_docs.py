"""docs/RULES.md and docs/examples/rules.json say what is true: their tables and rules are run here."""

from __future__ import annotations

import csv
import json
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import phonenumbers
import pytest

from transforms.columns.directory import BusinessTypes
from transforms.columns.rules.evaluate import evaluate
from transforms.columns.rules.explain import explain, holds
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.memory import Memory
from transforms.columns.rules.moments import Quiet, contact_times
from transforms.columns.rules.outcomes import control_number
from transforms.columns.rules.people import Context, Words
from transforms.columns.rules.zones import zones_of
from transforms.rules import language
from transforms.rules.check import Names, check_rule
from transforms.rules.language import ActiveRule
from transforms.rules.parse import parse_rule, parse_rules
from transforms.rules.sentences import sentence
from transforms.schema import BUSINESS_TYPES, CALL_RESULTS, CALL_TYPES, PRIVATE

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "RULES.md").read_text()
SUBSCRIBER = 12025550123
HOUR = 3600
MIDNIGHT = int(datetime.fromisoformat("2026-03-02T00:00:00Z").timestamp())
REGIONS = ("ZZ", "US", "GB", "DE", "CA")
CONTEXT = Context(
    Words(BusinessTypes.of(BUSINESS_TYPES, PRIVATE), REGIONS), lambda codes: np.full(len(codes), 1, np.uint16)
)


def seconds(text):
    return int(datetime.fromisoformat(text).timestamp())


def story():
    block = re.search(r"```csv\n(.*?)```", TEXT, re.S)
    rows = list(csv.DictReader(block[1].splitlines()))
    start = np.array([seconds(r["start"]) for r in rows])
    types = [name for name, _ in BUSINESS_TYPES]
    kinds = [CALL_TYPES.index(r["call_type"]) * 4 + CALL_RESULTS.index(r["call_result"]) for r in rows]
    return Interactions(
        caller=np.full(len(rows), SUBSCRIBER),
        called=np.array([int(r["called"]) for r in rows]),
        start=start,
        charge=np.array([round(float(r["charge"]) * 1_000_000) for r in rows]),
        duration=np.array([int(r["duration"]) for r in rows], np.int32),
        called_region=np.array([REGIONS.index(r["region"]) for r in rows], np.uint16),
        called_type=np.array([types.index(r["business_type"]) for r in rows], np.uint8),
        kind=np.array(kinds, np.uint8),
        hour=(start // HOUR % 24).astype(np.uint8),
        weekday=np.zeros(len(rows), np.uint8),
    )


def table(header):
    """Rows of all tables of RULES.md with this header."""
    found, inside = [], False
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells == header.split(","):
            inside = True
        elif not line.strip().startswith("|"):
            inside = False
        elif inside and not set(cells[0]) <= set("-"):
            found.append(cells)
    return found


def clock(text):
    return MIDNIGHT + int(text[:2]) * HOUR


CONDITIONS = table("condition,at,value,holds")


def rule_with(node, **more):
    when = node if "rules" in node else {"combinator": "and", "rules": [node]}
    return parse_rule({"name": "Example", "when": when, "offer": {"code": "X"}, **more})


def fired(rule):
    rules = [ActiveRule(rule)]
    firings, _ = evaluate(rules, story(), CONTEXT, after=0, upto=clock("14:00"), pane=HOUR, memory=Memory())
    return firings.decided_at.tolist()


@pytest.mark.parametrize(("condition", "at", "value", "held"), CONDITIONS)
def test_conditions(condition, at, value, held):
    rule = rule_with(json.loads(condition.strip("`")))
    found = explain(rule, SUBSCRIBER, story(), clock(at), CONTEXT)
    assert [str(c.value).replace("None", "none") for c in found] == value.split(", ")
    assert holds(rule.when, {c.path: c.held for c in found}) == (held == "yes")
    always = rule_with(json.loads(condition.strip("`")), limits={"repeat": "always", "cooldown": "1h"})
    assert (clock(at) in fired(always)) == (held == "yes")


def test_every_field_operator_and_column_has_an_example():
    written = " ".join(row[0] for row in CONDITIONS)
    for name in language.FIELDS:
        assert f'"field": "{name}"' in written
    for operator in language.OPERATORS:
        assert f'"operator": "{operator}"' in written
    wheres = " ".join(re.findall(r'"where": (\{.*?\})', written))
    for column in language.WHERE:
        assert f'"{column}"' in wheres


@pytest.mark.parametrize(("extra", "times"), table("of the rule,fires at"))
def test_firing(extra, times):
    answered = {"field": "answered", "operator": ">=", "value": 1, "window": "1h"}
    assert fired(rule_with(answered, **json.loads(extra.strip("`")))) == [clock(t) for t in times.split()]


@pytest.mark.parametrize(("rule_id", "subscriber", "number"), table("rule_id,subscriber,number"))
def test_control_numbers(rule_id, subscriber, number):
    assert f"{control_number(rule_id, subscriber):.4f}" == number


@pytest.mark.parametrize(
    ("number", "at", "active", "contact"), table("number,decided at,active from,contact at")
)
def test_contact(number, at, active, contact):
    region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    zones = zones_of(np.array([int(number)]), np.zeros(1, np.uint16), [region])
    wanted = np.array([int(active or -1)])
    assert contact_times(np.array([seconds(at)]), zones, "UTC", Quiet(), wanted).tolist() == [
        seconds(contact)
    ]


def test_the_first_rule_and_its_sentence():
    rule = parse_rule(json.loads(re.search(r"```json\n(.*?)```", TEXT, re.S)[1]))
    assert f"> {sentence(rule)}\n" in TEXT


def shipped():
    return parse_rules((DOCS / "examples" / "rules.json").read_text())


def test_shipped_rules_run_with_the_finance_types():
    lines = csv.reader((DOCS / "examples" / "business_types_finance.csv").read_text().splitlines()[1:])
    types = BusinessTypes.of(tuple((name, tag) for name, tag in lines), PRIVATE)
    assert set(types.names) >= {name for name, _ in BUSINESS_TYPES} | {"Credit card", "Insurance"}
    for rule in shipped():
        check_rule(rule, 2 * HOUR, Names(types.names, types.tags), history=30 * 24 * HOUR)
    assert len(shipped()) == 8


@pytest.mark.parametrize("rule", shipped(), ids=lambda rule: rule.rule_id)
def test_shipped_rules_have_a_sentence(rule):
    assert sentence(rule).startswith(f"Offer {rule.offer.code}")
