"""A brute-force evaluator of rules: every pane end, every subscriber, every record, in plain Python.

It reads rules as JSON objects and shares no code with callbeam: it is what the columnar evaluator is held against.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text):
    return int(text[:-1]) * UNITS[text[-1]]


def instant(text):
    return None if text is None else int(datetime.fromisoformat(text).timestamp())


@dataclass(frozen=True)
class Record:
    """One interaction; ``charge`` in millionths, ``arrival`` the number of the call that first sees it."""

    caller: int
    start: int
    called: int
    business_type: str
    region: str
    call_type: str
    call_result: str
    hour: int
    weekday: int
    duration: int
    charge: int
    arrival: int = 0


@dataclass
class World:
    """Business types with tags in order, own regions, and the length of a pane."""

    types: list[tuple[str, str]]
    own_region: dict[int, str]
    pane: int

    @property
    def tag_of(self):
        return dict(self.types)

    @property
    def tags(self):
        return list(dict.fromkeys(tag for _, tag in self.types))


@dataclass
class Activation:
    """A version of a rule (its JSON object) and the seconds between which it is on."""

    rule: dict
    version: int = 1
    active_from: int | None = None
    active_to: int | None = None

    def on(self, t):
        low = max(
            x for x in (self.active_from, instant(self.rule.get("valid_from")), -(10**12)) if x is not None
        )
        high = min(x for x in (self.active_to, instant(self.rule.get("valid_to")), 10**12) if x is not None)
        return low <= t < high


@dataclass
class Story:
    """What has happened to one subscriber and one rule so far."""

    times: list[int] = field(default_factory=list)
    held: bool = False
    barred: bool = False


def passes(world, record, where):
    found = {
        "business_type": record.business_type,
        "tag": world.tag_of[record.business_type],
        "region": record.region,
        "call_type": record.call_type,
        "call_result": record.call_result,
        "hour": record.hour,
        "weekday": record.weekday,
    }
    return all(found[key] in values for key, values in where.items())


def value(world, condition, subscriber, records, t):
    """The value of a condition's field at ``t``; records are the subscriber's."""
    name = condition["field"]
    if name == "subscriber_region":
        return world.own_region[subscriber]
    since = -(10**12) if condition["window"] == "all" else t - seconds(condition["window"])
    rows = [r for r in records if since <= r.start < t and passes(world, r, condition.get("where", {}))]
    calls = [r for r in rows if r.call_type == "VOICE"]
    answered = [r for r in calls if r.call_result == "ANSWERED"]
    match name:
        case "calls":
            return len(calls)
        case "answered":
            return len(answered)
        case "messages":
            return len(rows) - len(calls)
        case "interactions":
            return len(rows)
        case "duration_s":
            return sum(r.duration for r in answered)
        case "charge":
            return Decimal(sum(r.charge for r in rows)) / 1000000
        case "international":
            return sum(r.region not in ("ZZ", world.own_region[subscriber]) for r in rows)
        case "distinct_numbers":
            return len({r.called for r in rows})
        case "distinct_regions":
            return len({r.region for r in rows})
        case "business_type":
            return most(Counter(r.business_type for r in rows), [name for name, _ in world.types])
        case "tag":
            return most(Counter(world.tag_of[r.business_type] for r in rows), world.tags)
        case "best_hour":
            return most(Counter(r.hour for r in rows), list(range(24)))
        case "best_weekday":
            return most(Counter(r.weekday for r in rows), list(range(7)))
    raise ValueError(name)


def most(counts, order):
    if not counts:
        return None
    return max(order, key=lambda x: (counts[x], -order.index(x)))


def exact(x):
    return x if isinstance(x, str) else Decimal(str(x))


def true(condition, found):
    if found is None:
        return False
    wanted, found = condition["value"], exact(found)
    match condition["operator"]:
        case "in":
            return found in [exact(w) for w in wanted]
        case "notIn":
            return found not in [exact(w) for w in wanted]
        case "between":
            return exact(wanted[0]) <= found <= exact(wanted[1])
        case "=":
            return found == exact(wanted)
        case "!=":
            return found != exact(wanted)
        case "<":
            return found < exact(wanted)
        case "<=":
            return found <= exact(wanted)
        case ">":
            return found > exact(wanted)
        case ">=":
            return found >= exact(wanted)
    raise ValueError(condition["operator"])


def holds(world, node, subscriber, records, t):
    if "rules" not in node:
        return true(node, value(world, node, subscriber, records, t))
    results = [holds(world, child, subscriber, records, t) for child in node["rules"]]
    result = all(results) if node["combinator"] == "and" else any(results)
    return result != node.get("not", False)


def values(world, node, subscriber, records, t, path="when"):
    """Every condition's value by path."""
    if "rules" not in node:
        return {path: value(world, node, subscriber, records, t)}
    found = {}
    for k, child in enumerate(node["rules"]):
        found |= values(world, child, subscriber, records, t, f"{path}.rules[{k}]")
    return found


def slug(name):
    kept = "".join(c if c in "abcdefghijklmnopqrstuvwxyz0123456789" else " " for c in name.lower())
    return "-".join(kept.split())


def firings(world, activations, records, calls):
    """All firings, pane end by pane end.

    Args:
        activations: in the order of the list of rules.
        records: of everybody.
        calls: ascending upto of each call; the first element is where the first call begins (``after``). A record
            is seen by the calls from number ``arrival`` on.

    Returns:
        Rows (position of the rule, subscriber, decided_at, values by path).
    """
    stories: dict[tuple[str, int], Story] = {}
    begun: dict[str, tuple] = {}
    found = []
    for number, (after, upto) in enumerate(pairwise(calls)):
        seen = [r for r in records if r.arrival <= number]
        by_caller = {c: [r for r in seen if r.caller == c] for c in sorted({r.caller for r in seen})}
        t = after // world.pane * world.pane + world.pane
        while t <= upto:
            for position, active in enumerate(activations):
                if active.on(t):
                    found += look(world, position, active, by_caller, t, stories, begun)
            t += world.pane
    return sorted(found, key=lambda row: (row[2], row[1], row[0]))


def look(world, position, active, by_caller, t, stories, begun):
    """One rule at one pane end, for everybody."""
    rule, rule_id = active.rule, slug(active.rule["name"])
    begins = begun.get(rule_id) != (active.version, active.active_from)
    begun[rule_id] = (active.version, active.active_from)
    repeat = rule.get("limits", {}).get("repeat", "never")
    found = []
    for caller, records in by_caller.items():
        story = stories.setdefault((rule_id, caller), Story())
        first = min(r.start for r in records)

        def held(at, caller=caller, records=records, first=first):
            return first < at and holds(world, rule["when"], caller, records, at)

        if begins:
            before = rule.get("start", "now") == "entering" and held(t - world.pane)
            story.held, story.barred = before, before and repeat != "on_reentry"
        now = held(t)
        if repeat == "always":  # barred until it has stopped holding
            story.barred = story.barred and now
        if now and may_fire(rule, repeat, story, t):
            story.times.append(t)
            found.append((position, caller, t, values(world, rule["when"], caller, records, t)))
        story.held = now
    return found


def may_fire(rule, repeat, story, t):
    limits = rule.get("limits", {})
    if story.barred or (repeat == "never" and story.times):
        return False
    if repeat == "on_reentry" and story.held:
        return False
    if story.times and t - story.times[-1] < seconds(limits.get("cooldown", "0s")):
        return False
    most_times = limits.get("max_per_subscriber")
    return most_times is None or len(story.times) < most_times


def share(rule_id, subscriber_text):
    """A number from 0 to 1 that decides on the control group."""
    digest = hashlib.sha256(f"{rule_id}|{subscriber_text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def outcomes(activations, firings, said, suppressed, default, cap, earlier, text):
    """The outcome of each firing (position of the rule, subscriber, decided_at), in the order given.

    Args:
        said: rows (subscriber, at, opted_in); suppressed: rows (subscriber, at).
        cap: None or (most, seconds).
        earlier: contacts before, rows (subscriber, at).
        text: text of a subscriber.
    """
    contacts = list(earlier)
    result = {}

    def turn(k):
        position, _, t = firings[k][:3]
        rule = activations[position].rule
        return t, rule.get("priority", 100), slug(rule["name"])

    for k in sorted(range(len(firings)), key=turn):
        position, subscriber, t = firings[k][:3]
        rule = activations[position].rule
        rows = [(at, n, opted_in) for n, (s, at, opted_in) in enumerate(said) if s == subscriber and at <= t]
        agreed = max(rows)[2] if rows else default
        if not agreed or any(s == subscriber and at <= t for s, at in suppressed):
            result[k] = "no_consent"
            continue
        recent = [at for s, at in contacts if s == subscriber and cap and t - cap[1] < at <= t]
        if cap and len(recent) >= cap[0]:
            result[k] = "capped"
            continue
        contacts.append((subscriber, t))
        in_control = share(slug(rule["name"]), text(subscriber)) < rule.get("control_share", 0)
        result[k] = "control" if in_control else "offered"
    offered: Counter = Counter()
    for k in sorted(range(len(firings)), key=lambda k: (firings[k][2], text(firings[k][1]))):
        rule = activations[firings[k][0]].rule
        limit = rule.get("limits", {}).get("max_total")
        if result[k] == "offered" and limit is not None and offered[slug(rule["name"])] >= limit:
            result[k] = "sold_out"
        offered[slug(rule["name"])] += result[k] == "offered"
    return [result[k] for k in range(len(firings))]


def contact_at(t, starts, zones, main, quiet):
    """The first moment from ``t`` on at which a subscriber may be reached, by trying quarter after quarter.

    Args:
        starts: seconds of the subscriber's interactions before ``t``.
        zones: all that the subscriber may be in; main: the one whose hours are its own.
        quiet: first quiet hour and the first one after.
    """

    def hour(moment, zone):
        return datetime.fromtimestamp(moment, ZoneInfo(zone)).hour

    def is_quiet(h):
        first, end = quiet
        return first <= h < end if first <= end else h >= first or h < end

    counts = Counter(hour(s, main) for s in starts)
    windows = [{h, (h + 1) % 24, (h + 2) % 24} for h in range(24)]
    best = max(windows, key=lambda w: sum(counts[h] for h in w))  # the first of several
    if len(starts) < 8:
        best = set(range(24))
    tries = [t, *((t // 900 + k) * 900 for k in range(1, 192))]
    for inside, where in ((best, zones), (set(range(24)), zones), (set(range(24)), [main])):
        for moment in tries:
            if hour(moment, main) in inside and not any(is_quiet(hour(moment, z)) for z in where):
                return moment
    return t
