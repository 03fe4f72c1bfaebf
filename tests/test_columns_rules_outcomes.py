"""Consent, cap, control group, totals and contact moments against the brute-force oracle."""

from __future__ import annotations

import numpy as np
import phonenumbers
import pyarrow as pa
import pytest
import rules_oracle as oracle
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers.timezone import time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA
from rules_oracle import Activation, Record
from rules_strategies import BEGIN, CONTEXT, interactions_of
from test_columns_rules_evaluate import active, budget

from transforms.columns.rules import outcomes as out
from transforms.columns.rules.firings import Firings, gather
from transforms.columns.rules.gate import Gate, promote, zone_hours
from transforms.columns.rules.moments import Quiet, contact_hours, contact_times
from transforms.columns.rules.people import Context, nothing_older
from transforms.columns.rules.promotions import apply_max_total, promotions
from transforms.columns.rules.zones import main_zone, zones_of
from transforms.rules.problems import instant_text

DAY = 86400
SUBSCRIBERS = [12025550123, 447911123456, -5]
"""A subscriber whose text sorts before another's though its code does not, and one that is no number."""
TEXTS = {12025550123: "+12025550123", 447911123456: "+447911123456", -5: "switchboard"}


def texts(codes):
    return [TEXTS[c] for c in codes.tolist()]


def rule(name, priority, share, total):
    condition = {"field": "calls", "operator": ">=", "value": 1, "window": "1h"}
    return {
        "name": name,
        "priority": priority,
        "when": {"combinator": "and", "rules": [condition]},
        "offer": {"code": name},
        "control_share": share,
        "limits": {"max_total": total},
    }


RULES = st.lists(
    st.tuples(
        st.sampled_from("ABC"), st.integers(1, 2), st.sampled_from([0, 0.4, 1]), st.none() | st.integers(1, 2)
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda r: r[0],
)
MOMENTS = st.integers(0, 12).map(lambda k: BEGIN + k * DAY // 2)
PEOPLE = st.sampled_from(SUBSCRIBERS)


def firings_of(rows):
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    features = pa.array(["{}"] * len(rows), pa.string())
    return gather([Firings(columns[0].astype(np.int32), columns[1], columns[2], features)])


@budget
@given(st.data(), RULES, st.booleans())
def test_outcomes_equal_the_oracle(data, rules, default):
    activations = [Activation(rule(*r)) for r in rules]
    firing = st.tuples(st.integers(0, len(rules) - 1), PEOPLE, MOMENTS)
    rows = sorted(data.draw(st.lists(firing, max_size=25, unique=True)), key=lambda r: (r[2], r[1], r[0]))
    said = data.draw(st.lists(st.tuples(PEOPLE, MOMENTS | st.just(out.ALWAYS), st.booleans()), max_size=6))
    suppressed = data.draw(st.lists(st.tuples(PEOPLE, MOMENTS), max_size=2))
    cap = data.draw(st.none() | st.tuples(st.integers(1, 3), st.sampled_from([DAY, 2 * DAY, 7 * DAY])))
    earlier = data.draw(
        st.lists(st.tuples(PEOPLE, st.integers(1, 20).map(lambda k: BEGIN - k * DAY // 2)), max_size=5)
    )
    edge = data.draw(MOMENTS)
    expected = oracle.outcomes(activations, rows, said, suppressed, default, cap, earlier, TEXTS.get)
    consent = out.Consent(out.ledger(*arrays(said, 3)), out.ledger(*arrays(suppressed, 2)), default)
    contacts = out.Contacts(*arrays(earlier, 2))
    found, counts = [], {}
    for part in ([r for r in rows if r[2] <= edge], [r for r in rows if r[2] > edge]):
        firings = firings_of(part)
        result, contacts = out.decide(
            firings,
            active(activations),
            consent=consent,
            cap=out.Cap(*cap) if cap else None,
            earlier=contacts,
            texts=texts,
        )
        contacts = out.contacts_from_arrow(contacts.to_arrow())
        table = promotions(
            firings, active(activations), result, firings.decided_at, texts(firings.subscriber)
        )
        limits = {(a.rule.rule_id, a.version): a.rule.limits.max_total for a in active(activations)}
        table, counts = apply_max_total(table, limits, counts)
        found += table.select(["decided_at", "subscriber", "rule_id", "outcome"]).to_pylist()
    wanted = [
        (instant_text(t)[:19], TEXTS[s], rules[k][0].lower(), outcome)
        for (k, s, t), outcome in zip(rows, expected, strict=True)
    ]
    assert [
        (r["decided_at"].isoformat(), r["subscriber"], r["rule_id"], r["outcome"]) for r in found
    ] == sorted(wanted)


def arrays(rows, width):
    columns = list(zip(*rows, strict=True)) or [()] * width
    return [np.array(c, bool if k == 2 else np.int64) for k, c in enumerate(columns)]


def test_total_counts_over_versions_with_the_limit_of_each():
    firings = firings_of([(k, SUBSCRIBERS[0], BEGIN + k * DAY) for k in range(4)])
    actives = active([Activation(rule("A", 1, 0, total), k) for k, total in enumerate([1, 1, 3, None])])
    table = promotions(firings, actives, np.full(4, out.OFFERED, np.uint8), firings.decided_at, ["+1"] * 4)
    rows, counts = apply_max_total(table, {("a", 0): 1, ("a", 1): 1, ("a", 2): 3}, {})
    assert rows.column("outcome").to_pylist() == ["offered", "sold_out", "offered", "offered"]
    assert counts == {"a": 3}
    given = rows.select(["subscriber", "decided_at", "rule_id"]).slice(2, 1)
    rows, counts = apply_max_total(
        table, {("a", 0): 2, ("a", 1): 2, ("a", 2): 2, ("a", 3): 2}, {"a": 1}, given
    )
    assert rows.column("outcome").to_pylist() == ["offered", "sold_out", "offered", "sold_out"]
    assert counts == {"a": 2}


NUMBERS = {
    12025550123: "US",  # one zone
    447911123456: "GB",  # several with the same hours
    61412345678: "AU",  # several that leave some common hours
    18005550123: "US",  # 42 of them: from Guam to Newfoundland it is day for an hour and a half
    79161234567: "RU",
    4512345: "ZZ",  # no number
    -7: "ZZ",
}


@pytest.mark.parametrize("when", ["2026-03-08", "2026-11-01", "2026-07-01"])  # clocks forward, back, neither
@budget
@given(st.data())
def test_contact_moments_equal_the_oracle(when, data):
    begin = int(np.datetime64(when, "s").astype(np.int64))
    code = data.draw(st.sampled_from(sorted(NUMBERS)))
    quiet = data.draw(st.sampled_from([(21, 9), (9, 21), (0, 0), (1, 0), (3, 2), (22, 21)]))
    at = begin + data.draw(st.integers(-40, 80)) * 1800 + data.draw(st.sampled_from([0, 0, 5, 899]))
    starts = data.draw(st.lists(st.integers(-300, 80).map(lambda k: begin + k * 1111), max_size=14))
    zones = zones_of(np.array([code]), np.zeros(1, np.uint16), [NUMBERS[code]])
    names, main = zones.sets[0]
    rows = rows_at(starts, code)
    hours = contact_hours(np.array([code]), np.array([at]), rows, zones, "Asia/Kolkata")
    found = contact_times(np.array([at]), zones, "Asia/Kolkata", Quiet(*quiet), hours)
    before = [s for s in starts if s < at]
    expected = oracle.contact_at(at, before, names or ["Asia/Kolkata"], main or "Asia/Kolkata", quiet)
    assert found.tolist() == [expected]


def rows_at(starts, code):
    """Interactions of a caller at some moments; nothing else matters."""
    return interactions_of(
        [Record(code, s, 1, "Bank", "US", "VOICE", "ANSWERED", 0, 0, 0, 0) for s in starts]
    )


def test_zones_are_those_of_the_library():
    codes, regions, expected = [], [], []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)[::3]:
        for kind in (0, 1, 2, 3, 6, 7):
            number = phonenumbers.example_number_for_type(region, kind)
            for step in range(3 if number else 0):
                number.national_number += step * 1009
                code = int(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:])
                parsed = phonenumbers.parse(f"+{code}")
                codes.append(code)
                regions.append(phonenumbers.region_code_for_number(parsed) or "ZZ")
                expected.append(tuple(z for z in time_zones_for_number(parsed) if z != "Etc/Unknown"))
    zones = zones_of(np.array(codes), np.arange(len(codes), dtype=np.uint16), regions)
    assert len(codes) > 500
    assert [zones.sets[place][0] for place in zones.place] == expected


def test_the_main_zone_is_one_of_the_numbers_zones():
    sets = [set(zones) for zones in TIMEZONE_DATA.values() if len(zones) > 1]
    for region in ("US", "RU", "AU", "BR", "CA", "MX", "ID", "KZ", "BS", "JE"):
        assert any(main_zone(sorted(zones), region) in zones for zones in sets), region
    assert main_zone(["A/B", "C/D"], "XX") == "A/B"
    assert main_zone([], "US") == ""


def test_hours_of_dropped_interactions_count_for_contact():
    code, region = 12025550123, 1
    context = Context(CONTEXT.words, lambda codes: np.full(len(codes), region, np.uint16))
    rows = rows_at([BEGIN + k * DAY for k in range(9)], code)
    zone_hour = zone_hours(context, "UTC")(rows.caller, rows.start)
    older = nothing_older(5).plus(rows, zone_hour)
    zones = zones_of(np.array([code]), np.zeros(1, np.uint16), ["US"])
    at = np.array([BEGIN + 20 * DAY])
    kept = contact_hours(np.array([code]), at, rows, zones, "UTC")
    assert contact_hours(np.array([code]), at, rows.take(slice(0)), zones, "UTC", older) == kept != -1


def test_promote_gives_rows_of_promotions():
    rules = active([Activation(rule("A", 1, 0, None))])
    firings = firings_of([(0, 12025550123, BEGIN)])
    context = Context(CONTEXT.words, lambda codes: np.full(len(codes), 1, np.uint16))
    gate = Gate(consent=out.Consent(default=True))
    table, contacts = promote(firings, rules, rows_at([], 1), context, gate, out.Contacts())
    (row,) = table.to_pylist()
    assert row["outcome"] == "offered"
    assert (row["rule_id"], row["rule_version"], row["offer_code"]) == ("a", 1, "A")
    assert row["contact_at"] >= row["decided_at"]
    assert contacts.codes.tolist() == [12025550123]
