"""What hypothesis writes: a small world of types and regions, interactions in it, and rules about them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from rules_oracle import Activation, Record, World

from transforms.columns.directory import BusinessTypes
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.people import Context, Words
from transforms.rules.problems import instant_text
from transforms.schema import CALL_RESULTS, CALL_TYPES

PANE = 600
BEGIN = 1_700_000_400 // PANE * PANE
PANES = 30
TYPES = (
    ("Bank", "Money"),
    ("Broker", "Money"),
    ("School", "Learning"),
    ("Clinic", "Health"),
    ("Private", "Private"),
)
REGIONS = ("ZZ", "US", "CA", "GB")
CALLERS = {100: "US", 200: "GB", 300: "ZZ"}
WORLD = World(list(TYPES), CALLERS, PANE)


def regions_of(codes):
    return np.array([REGIONS.index(CALLERS[int(c)]) for c in codes], np.uint16)


CONTEXT = Context(Words(BusinessTypes.of(TYPES, "Private"), REGIONS), regions_of)


def a_record(arrivals):
    return st.builds(
        Record,
        caller=st.sampled_from(sorted(CALLERS)),
        start=st.integers(0, PANES).map(lambda k: BEGIN + k * PANE)  # at the very edges of panes
        | st.integers(BEGIN, BEGIN + PANES * PANE),
        called=st.integers(1, 4),
        business_type=st.sampled_from([name for name, _ in TYPES]),
        region=st.sampled_from(REGIONS),
        call_type=st.sampled_from(CALL_TYPES),
        call_result=st.sampled_from(CALL_RESULTS),
        hour=st.sampled_from([0, 9, 10, 23]),
        weekday=st.integers(0, 6),
        duration=st.sampled_from([0, 1, 30, 60]),
        charge=st.sampled_from([0, 1, 250_000, 1_000_000]),
        arrival=st.integers(0, arrivals),
    )


def interactions_of(records):
    """The records as columns."""
    types = [name for name, _ in TYPES]

    def column(read, dtype):
        return np.array([read(r) for r in records], dtype)

    return Interactions(
        caller=column(lambda r: r.caller, np.int64),
        called=column(lambda r: r.called, np.int64),
        start=column(lambda r: r.start, np.int64),
        charge=column(lambda r: r.charge, np.int64),
        duration=column(lambda r: r.duration, np.int32),
        called_region=column(lambda r: REGIONS.index(r.region), np.uint16),
        called_type=column(lambda r: types.index(r.business_type), np.uint8),
        kind=column(
            lambda r: CALL_TYPES.index(r.call_type) * 4 + CALL_RESULTS.index(r.call_result), np.uint8
        ),
        hour=column(lambda r: r.hour, np.uint8),
        weekday=column(lambda r: r.weekday, np.uint8),
    )


def lists(values):
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)


WHERES = st.fixed_dictionaries(
    {},
    optional={
        "business_type": lists([name for name, _ in TYPES]),
        "tag": lists(["Money", "Learning", "Private"]),
        "region": lists(REGIONS),
        "call_type": lists(CALL_TYPES),
        "call_result": lists(CALL_RESULTS),
        "hour": lists([0, 9, 10, 12]),
        "weekday": lists([0, 1, 5, 6]),
    },
) | st.just({})
WINDOWS = st.sampled_from(["10m", "20m", "30m", "1h", "2h", "6h"])
COUNTS = (
    "calls",
    "answered",
    "messages",
    "interactions",
    "international",
    "distinct_numbers",
    "distinct_regions",
)
NUMBERS = {
    **dict.fromkeys(COUNTS, st.integers(0, 4) | st.sampled_from([1, 2, 1.5])),
    "duration_s": st.sampled_from([0, 1, 30, 31, 60, 90, 120.5]),
    "charge": st.sampled_from([0, 0.000001, 0.25, 0.5, 1, 1.250001, 2]),
}
PROFILES = {
    "tag": st.sampled_from(["Money", "Learning", "Health", "Private"]),
    "business_type": st.sampled_from([name for name, _ in TYPES]),
    "best_hour": st.sampled_from([0, 9, 10, 23]),
    "best_weekday": st.integers(0, 6),
}


@st.composite
def conditions(draw):
    kind = draw(st.sampled_from(["number", "number", "number", "profile", "own"]))
    if kind == "own":
        return compared(draw, "subscriber_region", st.sampled_from(REGIONS), text=True)
    if kind == "profile":
        name = draw(st.sampled_from(sorted(PROFILES)))
        condition = compared(draw, name, PROFILES[name], text=name in ("tag", "business_type"))
        return {**condition, "window": draw(WINDOWS | st.just("all"))}
    name = draw(st.sampled_from(sorted(NUMBERS)))
    return {**compared(draw, name, NUMBERS[name]), "window": draw(WINDOWS), "where": draw(WHERES)}


def compared(draw, name, value, text=False):
    order = [] if text else ["<", "<=", ">", ">=", ">=", ">=", "between"]
    operator = draw(st.sampled_from(["=", "!=", "in", "notIn", *order]))
    if operator == "between":
        wanted = sorted([draw(value), draw(value)])
    elif operator in ("in", "notIn"):
        wanted = draw(st.lists(value, min_size=1, max_size=3))
    else:
        wanted = draw(value)
    return {"field": name, "operator": operator, "value": wanted}


def groups(children):
    return st.fixed_dictionaries(
        {
            "combinator": st.sampled_from(["and", "or"]),
            "not": st.sampled_from([False, False, True]),
            "rules": st.lists(children, min_size=1, max_size=3),
        }
    )


WHENS = groups(conditions() | groups(conditions() | groups(conditions())))
MOMENTS = st.none() | st.integers(-PANE, PANES * PANE).map(lambda s: instant_text(BEGIN + s))


@st.composite
def rules(draw, name):
    repeat = draw(st.sampled_from(["never", "on_reentry", "on_reentry", "always"]))
    cooldowns = ["1h", "70m", "61m"] if repeat == "always" else ["0s", "0s", "15m", "1h"]
    first, last = draw(MOMENTS), draw(MOMENTS)
    if first and last and first >= last:
        first = None
    return {
        "name": name,
        "priority": draw(st.integers(1, 3)),
        "start": draw(st.sampled_from(["now", "entering"])),
        "when": draw(WHENS),
        "offer": {"code": name[:2]},
        "limits": {
            "repeat": repeat,
            "cooldown": draw(st.sampled_from(cooldowns)),
            "max_per_subscriber": draw(st.none() | st.integers(1, 3)),
            "max_total": draw(st.none() | st.integers(1, 3)),
        },
        "control_share": draw(st.sampled_from([0, 0, 0.5])),
        "valid_from": first,
        "valid_to": last,
    }


@st.composite
def activations(draw):
    """One to three rules, one of them with two versions that follow each other."""
    found = [Activation(draw(rules(f"Rule {k}"))) for k in range(draw(st.integers(1, 2)))]
    if draw(st.booleans()):
        edge = BEGIN + draw(st.integers(0, PANES)) * PANE
        later = edge + draw(st.sampled_from([0, 0, PANE, 5 * PANE]))
        end = draw(st.none() | st.just(later + 4 * PANE))
        found.append(Activation(draw(rules("Changed!")), 1, None, edge))
        found.append(Activation(draw(rules("Changed!")), 2, later, end))
    return found


@st.composite
def splits(draw):
    """Where calls begin and end, from before everything to past the last record; sometimes at every pane end."""
    few = st.lists(st.integers(0, PANES + 12), max_size=4, unique=True)
    inner = draw(few | few | st.just(list(range(PANES + 13))))
    return [BEGIN - 2 * PANE, *(BEGIN + k * PANE for k in sorted(inner)), BEGIN + (PANES + 14) * PANE]


@st.composite
def worlds(draw, late=False):
    """Activations, records and calls; only with ``late`` do records arrive after the call that they belong to."""
    calls = draw(splits())
    least = draw(st.sampled_from([0, 4, 9]))  # left to itself, hypothesis seldom writes many
    records = draw(st.lists(a_record(len(calls) - 2 if late else 0), min_size=least, max_size=18))
    return draw(activations()), records, calls
