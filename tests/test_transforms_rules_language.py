"""The rule language: what is read, what is refused and where, the way back, the schema, the sentences."""

from __future__ import annotations

import copy
import json
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules_strategies import rules as written_rules

from transforms.errors import RuleError
from transforms.rules import language as lang
from transforms.rules.check import Names, check_rule
from transforms.rules.language import ActiveRule, conditions, slug
from transforms.rules.parse import parse_rule, parse_rules
from transforms.rules.problems import RuleProblem, duration_text
from transforms.rules.sentences import condition_sentence, sentence
from transforms.rules.write import json_schema, to_json

CONDITION = {"field": "calls", "operator": ">=", "value": 3, "window": "1d"}


def a_rule(*nodes, **more):
    rules = list(nodes) or [CONDITION]
    return {
        "name": "Some rule",
        "when": {"combinator": "and", "rules": rules},
        "offer": {"code": "X"},
        **more,
    }


def with_condition(**changed):
    return a_rule(CONDITION, {k: v for k, v in {**CONDITION, **changed}.items() if v is not None})


def nested(depth):
    node = CONDITION
    for _ in range(depth):
        node = {"combinator": "or", "rules": [node]}
    return node


def test_defaults():
    rule = parse_rule(a_rule())
    assert (rule.enabled, rule.start, rule.priority, rule.control_share) == (True, "now", 100, 0)
    assert (rule.valid_from, rule.valid_to, rule.when.negated) == (None, None, False)
    assert rule.offer == lang.Offer("X", "", "", 86400, None)
    assert rule.limits == lang.Limits("never", 0, None, None)


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        (7, "rule"),
        ({}, "name"),
        ({"name": "x"}, "when"),
        (a_rule(colour="red"), "colour"),
        (a_rule(name=" "), "name"),
        (a_rule(name="!?"), "name"),
        (a_rule(name=3), "name"),
        (a_rule(enabled="yes"), "enabled"),
        (a_rule(priority=1.5), "priority"),
        (a_rule(start="later"), "start"),
        (a_rule(control_share=1.1), "control_share"),
        (a_rule(offer={}), "offer.code"),
        (a_rule(offer={"code": ""}), "offer.code"),
        (a_rule(offer={"code": "X", "expires_after": "0s"}), "offer.expires_after"),
        (a_rule(offer={"code": "X", "goal": {"field": ["a"]}}), "offer.goal.field"),
        (a_rule(limits={"repeat": "often"}), "limits.repeat"),
        (a_rule(limits={"repeat": "always", "cooldown": "59m"}), "limits.cooldown"),
        (a_rule(limits={"repeat": "always"}), "limits.cooldown"),
        (a_rule(limits={"cooldown": "1 day"}), "limits.cooldown"),
        (a_rule(limits={"max_total": 0}), "limits.max_total"),
        (a_rule(limits={"max_per_subscriber": True}), "limits.max_per_subscriber"),
        (a_rule(valid_from="soon"), "valid_from"),
        (a_rule(valid_from="2026-01-01T00:00:00.5Z"), "valid_from"),
        (a_rule(valid_from="2026-01-02", valid_to="2026-01-02T00:00:00Z"), "valid_to"),
        (a_rule(when=CONDITION), "when.field"),
        (a_rule(when={"combinator": "and", "rules": []}), "when.rules"),
        (a_rule(when={"combinator": "xor", "rules": [CONDITION]}), "when.combinator"),
        (a_rule(when={"combinator": "and", "not": 1, "rules": [CONDITION]}), "when.not"),
        (a_rule(CONDITION, {"combinator": "and", "rules": []}), "when.rules[1].rules"),
        (a_rule(CONDITION, "calls"), "when.rules[1]"),
        (with_condition(field="colour"), "when.rules[1].field"),
        (with_condition(field=None), "when.rules[1].field"),
        (with_condition(field=["calls"]), "when.rules[1].field"),
        (with_condition(operator="=="), "when.rules[1].operator"),
        (with_condition(operator=None), "when.rules[1].operator"),
        (with_condition(value="3"), "when.rules[1].value"),
        (with_condition(value=True), "when.rules[1].value"),
        (with_condition(value=float("nan")), "when.rules[1].value"),
        (with_condition(value=10**400), "when.rules[1].value"),
        (with_condition(value=None), "when.rules[1].value"),
        (with_condition(operator="between"), "when.rules[1].value"),
        (with_condition(operator="between", value=[3, 2]), "when.rules[1].value"),
        (with_condition(operator="in", value=[]), "when.rules[1].value"),
        (with_condition(operator="in", value=[1, "x"]), "when.rules[1].value[1]"),
        (with_condition(window=None), "when.rules[1].window"),
        (with_condition(window="0s"), "when.rules[1].window"),
        (with_condition(window="all"), "when.rules[1].window"),
        (with_condition(window="3w"), "when.rules[1].window"),
        (with_condition(window="999999d"), "when.rules[1].window"),
        (with_condition(where={"colour": ["red"]}), "when.rules[1].where.colour"),
        (with_condition(where={"hour": [24]}), "when.rules[1].where.hour[0]"),
        (with_condition(where={"call_type": "SMS"}), "when.rules[1].where.call_type"),
        (with_condition(where={"region": []}), "when.rules[1].where.region"),
        (with_condition(field="tag", operator="<", value="Business"), "when.rules[1].operator"),
        (with_condition(field="tag", operator="=", value="Health", where={}), "when.rules[1].where"),
        (with_condition(field="best_hour", value=24), "when.rules[1].value"),
        (with_condition(field="subscriber_region", operator="=", value="US"), "when.rules[1].window"),
        (
            with_condition(field="subscriber_region", operator="=", value="usa", window=None),
            "when.rules[1].value",
        ),
        (a_rule(nested(6)), "when.rules[0].rules[0].rules[0].rules[0].rules[0].rules[0]"),
        (a_rule(*[CONDITION] * 51), "when.rules[50]"),
    ],
)
def test_what_is_refused_and_where(rule, path):
    with pytest.raises(RuleProblem) as problem:
        parse_rule(rule)
    assert (problem.value.path or "rule") == path
    assert str(problem.value).startswith(path)


def test_all_that_is_wrong_is_told_at_once():
    wrong = with_condition(value="x", window="7", where={"hour": [24, 25], "colour": ["red"]})
    wrong |= {"priority": 1.5, "control_share": 2, "colour": 1}
    wrong["offer"] = {"code": "", "expires_after": "soon", "goal": {"weekday": [7]}}
    wrong["limits"] = {"repeat": "often", "cooldown": "-1s", "max_total": 0}
    with pytest.raises(RuleProblem) as problem:
        parse_rules([wrong])
    assert {p.path for p in problem.value.all} == {
        "colour", "priority", "control_share", "offer.code", "offer.expires_after", "offer.goal.weekday[0]",
        "limits.repeat", "limits.cooldown", "limits.max_total", "when.rules[1].value", "when.rules[1].window",
        "when.rules[1].where.hour[0]", "when.rules[1].where.hour[1]", "when.rules[1].where.colour",
    }  # fmt: skip
    assert all("of rule 1 (Some rule)" in str(p) for p in problem.value.all)
    with pytest.raises(RuleProblem) as problem:
        parse_rule(
            a_rule(name="!", limits={"repeat": "always"}, valid_from="2026-02-01", valid_to="2026-01-01")
        )
    assert [p.path for p in problem.value.all] == ["name", "limits.cooldown", "valid_to"]
    with pytest.raises(RuleProblem) as problem:
        parse_rule({f"key{k}": 1 for k in range(1000)})
    assert len(problem.value.all) == 100


def test_all_that_a_run_cannot_decide_is_told_at_once():
    conditions = [{**CONDITION, "window": w, "where": {"region": ["XX"]}} for w in ("90s", "2h")]
    rule = parse_rule(a_rule(*conditions, offer={"code": "X", "goal": {"tag": ["Nothing"]}}))
    with pytest.raises(RuleProblem) as problem:
        check_rule(rule, 60, Names(tags=["Health"], regions=["US"]), history=3600)
    assert [p.path for p in problem.value.all] == [
        "when.rules[0].window", "when.rules[0].where.region", "when.rules[1].window", "when.rules[1].where.region",
        "offer.goal.tag",
    ]  # fmt: skip


def test_as_deep_and_as_many_as_may_be():
    assert len(list(conditions(parse_rule(a_rule(nested(5))).when))) == 1
    assert len(list(conditions(parse_rule(a_rule(*[CONDITION] * 50)).when))) == 50


def test_errors_of_a_file_name_the_rule():
    with pytest.raises(
        RuleProblem, match=r'^when\.rules\[1\]\.field of rule 2 \(Some rule\) is "colour"'
    ) as problem:
        parse_rules([a_rule(name="First"), with_condition(field="colour")])
    assert (problem.value.path, problem.value.index) == ("when.rules[1].field", 1)
    with pytest.raises(
        RuleProblem, match=r"^name of rule 2 \(some RULE!\) makes the rule_id some-rule, which rule 1"
    ):
        parse_rules([a_rule(), a_rule(name="some RULE!")])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[",
        "[1]",
        "null",
        '[{"name": "x", "name": "y"}]',
        '[{"priority": NaN}]',
        "[" * 100_000,
        b"\xff",
    ],
)
def test_files_that_are_no_rules(text):
    with pytest.raises(RuleError):
        parse_rules(text)


def test_an_empty_file_has_no_rules():
    assert parse_rules("[]") == []


@pytest.mark.parametrize(
    ("name", "rule_id"),
    [("Bank shopper!", "bank-shopper"), ("--A  b__C9--", "a-b-c9"), ("Ärger", "rger"), ("€", "")],
)
def test_slugs(name, rule_id):
    assert slug(name) == rule_id


@settings(max_examples=60, deadline=None)
@given(written_rules("A rule"))
def test_the_way_back(rule):
    parsed = parse_rule(rule)
    written = json.loads(json.dumps(to_json(parsed)))
    assert parse_rule(written) == parsed
    assert to_json(parse_rule(written)) == written
    assert sentence(parsed).endswith(".")
    assert all(condition_sentence(c) for _, c in conditions(parsed.when))


def places(node, path=()):
    """The paths of all values in a JSON value."""
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


ODD = [
    None,
    True,
    "",
    "x",
    "all",
    "0s",
    "1h",
    -1,
    0,
    1.5,
    23,
    [],
    ["x"],
    [1, 2],
    ["US"],
    {},
    {"hour": [3]},
    "in",
    "tag",
]
ONLY_THE_PARSER = ("too deep", "one too many", "low not above high", "repeat always", "after 2", "letter a-z")


@cache
def schema_validator():
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(json_schema())


@settings(max_examples=100, deadline=None)
@given(written_rules("A rule"), st.data())
def test_the_schema_takes_what_the_parser_takes(rule, data):
    validator = schema_validator()
    rule = copy.deepcopy(to_json(parse_rule(rule)))
    path = data.draw(st.sampled_from([p for p in places(rule) if p]))
    parent = rule
    for key in path[:-1]:
        parent = parent[key]
    if data.draw(st.booleans()) and isinstance(parent, dict):
        del parent[path[-1]]
    else:
        parent[path[-1]] = data.draw(st.sampled_from(ODD))
    valid = validator.is_valid([rule])
    try:
        parse_rules([rule])
    except RuleProblem as problem:
        assert not valid or any(words in str(problem) for words in ONLY_THE_PARSER)
    else:
        assert valid


def test_the_schema_is_a_schema():
    schema_validator().check_schema(json_schema())


def test_what_a_run_needs():
    names = Names(business_types=("Banking",), tags=("Business",), regions=("US",))
    check_rule(parse_rule(a_rule()), 3600, names, history=86400)
    for changed, path in (
        ({"window": "90m"}, "when.rules[1].window"),
        ({"window": "2d"}, "when.rules[1].window"),
        ({"where": {"business_type": ["Banking", "Bnaking"]}}, "when.rules[1].where.business_type"),
        ({"where": {"tag": ["Banking"]}}, "when.rules[1].where.tag"),
        ({"where": {"region": ["DE"]}}, "when.rules[1].where.region"),
        ({"field": "tag", "operator": "in", "value": ["Busy"]}, "when.rules[1].value"),
    ):
        with pytest.raises(RuleProblem) as problem:
            check_rule(parse_rule(with_condition(**changed)), 3600, names, history=86400)
        assert problem.value.path == path
    goal = a_rule(offer={"code": "X", "goal": {"business_type": ["Bnaking"]}})
    with pytest.raises(RuleProblem, match=r"^offer\.goal\.business_type"):
        check_rule(parse_rule(goal), 3600, names)


def test_activations():
    rule = parse_rule(a_rule(valid_from="1970-01-01T00:01:40Z", valid_to="1970-01-01T00:03:20+00:00"))
    assert (ActiveRule(rule).begin, ActiveRule(rule).end) == (100, 200)
    assert (ActiveRule(rule, 1, 150, 300).begin, ActiveRule(rule, 1, 50, 180).end) == (150, 180)
    assert (ActiveRule(parse_rule(a_rule())).begin, ActiveRule(parse_rule(a_rule())).end) == (None, None)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (90, "90s"), (7200, "2h"), (36 * 3600, "36h"), (86400, "1d")]
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "at least 3 calls in the last day to any type"),
        ({"value": 1, "window": "90s"}, "at least 1 call in the last 90 seconds to any type"),
        ({"operator": "between", "value": [1, 2]}, "1 to 2 calls in the last day to any type"),
        (
            {"operator": "notIn", "value": [1, 2, 3]},
            "any number but 1, 2 or 3 calls in the last day to any type",
        ),
        (
            {"field": "duration_s", "where": {"tag": ["AD"], "hour": [9, 10], "weekday": [5]}},
            "at least 3 seconds of talk in the last day to tag AD at 9:00 or 10:00 on Saturday",
        ),
        (
            {"where": {"business_type": ["Job", "School"], "region": ["DE"], "call_result": ["BUSY"]}},
            "at least 3 calls in the last day to type Job or School in DE that were busy",
        ),
        (
            {"field": "tag", "operator": "in", "value": ["AD", "Health"], "window": "all"},
            "a main tag since the beginning that is AD or Health",
        ),
        (
            {"field": "best_hour", "operator": ">=", "value": 9},
            "a busiest hour in the last day that is 9:00 or later",
        ),
        (
            {"field": "best_weekday", "operator": "between", "value": [0, 4]},
            "a busiest weekday in the last day that is from Monday to Friday",
        ),
        (
            {"field": "subscriber_region", "operator": "!=", "value": "US", "window": None},
            "a home country that is not US",
        ),
        (
            {"field": "subscriber_region", "operator": "=", "value": "ZZ", "window": None},
            "a home country that is unknown",
        ),
        (
            {"field": "interactions", "value": 12000, "where": {"hour": [19, 17, 18], "call_type": ["SMS"]}},
            "at least 12,000 calls or messages in the last day to any type as messages from 17:00 to 20:00",
        ),
        (
            {"field": "distinct_regions", "value": 1, "where": {"call_result": ["BUSY", "NO_ANSWER"]}},
            "at least 1 different country in the last day to any type that were busy or not answered",
        ),
    ],
)
def test_sentences(changed, words):
    (_, _), (_, condition) = conditions(parse_rule(with_condition(**changed)).when)
    assert condition_sentence(condition) == words


def test_a_sentence_of_a_whole_rule():
    rule = a_rule(
        {"combinator": "or", "not": True, "rules": [CONDITION, {**CONDITION, "field": "messages"}]},
        CONDITION,
        start="entering",
        limits={"repeat": "on_reentry", "cooldown": "36h"},
        valid_to="2026-01-01",
    )
    assert sentence(parse_rule(rule)) == (
        "Offer X to whoever comes to have not (at least 3 calls in the last day to any type or at least 3 messages "
        "in the last day to any type) and at least 3 calls in the last day to any type; each time that a "
        "subscriber comes to match, not again within 36 hours, until 2026-01-01T00:00:00Z."
    )


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-10:00", "0999-01-01"])
def test_moments_that_cannot_be_written_are_refused(moment: str) -> None:
    with pytest.raises(RuleProblem, match="valid_from is"):
        parse_rule(a_rule(valid_from=moment))
