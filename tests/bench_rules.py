"""Speed of twenty rules, as a ratio to sorting the same interactions' callers with NumPy on the same machine.

    PYTHONPATH=.:tests python tests/bench_rules.py 10000000 [--profile]

One core; shards one after the other, as a worker sees them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import cProfile
import pstats
import time
from itertools import pairwise

import numpy as np

from transforms.columns.directory import BusinessTypes
from transforms.columns.rules.counters import Counters
from transforms.columns.rules.evaluate import evaluate
from transforms.columns.rules.gate import Gate, promote
from transforms.columns.rules.history import History
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.live import decide_live
from transforms.columns.rules.memory import Memory
from transforms.columns.rules.outcomes import Consent, Contacts
from transforms.columns.rules.people import Context, Words
from transforms.rules.language import ActiveRule
from transforms.rules.parse import parse_rules
from transforms.schema import BUSINESS_TYPES, PRIVATE

DAYS = 30
BEGIN = 1_700_000_000 // 86400 * 86400
REGIONS = ("ZZ", "US", "CA", "GB", "DE", "FR", "BR", "IN")


WORDS = Words(BusinessTypes.of(BUSINESS_TYPES, PRIVATE), REGIONS)


def interactions(n: int, subscribers: int) -> Interactions:
    """A month of interactions in order of time: few callers make many, most of the types are Private."""
    rng = np.random.default_rng(1)
    caller = (subscribers * rng.beta(0.7, 1.3, n)).astype(np.int64)
    region = rng.choice(len(REGIONS), n, p=[0.02, 0.86, 0.03, 0.03, 0.02, 0.02, 0.01, 0.01])
    kinds = rng.choice(8, n, p=[0.5, 0.07, 0.07, 0.02, 0.3, 0.01, 0.01, 0.02])
    start = BEGIN + np.sort(rng.integers(0, DAYS * 86400, n))
    types = rng.choice(len(BUSINESS_TYPES), n, p=[*[0.025] * 15, 0.625])
    return Interactions(
        caller=12_000_000_000 + caller * 7919 % (1 << 40),
        called=13_000_000_000 + rng.integers(0, subscribers, n),
        start=start,
        charge=rng.integers(0, 2_000_000, n),
        duration=rng.exponential(120, n).astype(np.int32),
        called_region=region.astype(np.uint16),
        called_type=types.astype(np.uint8),
        kind=kinds.astype(np.uint8),
        hour=(start // 3600 % 24).astype(np.uint8),
        weekday=((start // 86400 + 3) % 7).astype(np.uint8),
    )


def condition(
    field: str, operator: str, value: object, window: str = "", **where: list[object]
) -> dict[str, object]:
    found: dict[str, object] = {"field": field, "operator": operator, "value": value}
    return found | ({"window": window} if window else {}) | ({"where": where} if where else {})


def any_of(*rules: dict[str, object], turned: bool = False) -> dict[str, object]:
    """A group of which one condition has to hold; ``turned``: none may."""
    return {"combinator": "or", "rules": list(rules)} | ({"not": True} if turned else {})


def twenty() -> list[dict[str, object]]:
    """Rules of all kinds, from rare to frequent."""
    of = condition
    whens = [
        [
            of("international", ">=", 5, "30d"),
            of("interactions", ">=", 1, "6h", business_type=["Banking"]),
            of("tag", "in", ["Business"], "30d"),
        ],
        [of("interactions", ">=", 3, "7d", business_type=["Banking"])],
        [
            of("calls", ">=", 3, "7d", business_type=["Food (including takeaway)"]),
            of("messages", "<", 2, "7d"),
        ],
        [of("duration_s", ">=", 7200, "30d"), of("answered", ">=", 20, "30d")],
        [of("charge", ">", 12.5, "7d")],
        [of("distinct_numbers", ">=", 20, "7d")],
        [of("distinct_regions", ">=", 7, "14d")],
        [of("best_hour", "between", [20, 23], "30d"), of("interactions", ">=", 8, "30d")],
        [of("best_weekday", "in", [5, 6], "30d"), of("answered", ">=", 6, "7d")],
        [of("tag", "=", "Health", "30d"), of("interactions", ">=", 3, "30d", tag=["Health"])],
        [of("business_type", "in", ["School"], "14d"), of("calls", ">=", 3, "14d")],
        [of("calls", ">=", 2, "1d", hour=[0, 1, 2, 3, 4], weekday=[5, 6])],
        [of("calls", ">=", 3, "1d", call_result=["BUSY", "NO_ANSWER"])],
        [of("messages", ">=", 5, "1d")],
        [of("subscriber_region", "in", ["CA", "GB", "DE"]), of("international", ">=", 4, "7d")],
        [
            any_of(
                of("interactions", ">=", 2, "30d", region=["BR"]),
                of("interactions", ">=", 2, "30d", region=["IN"]),
                of("distinct_numbers", ">=", 6, "30d", tag=["Education"]),
            ),
            of("calls", ">=", 1, "6h"),
        ],
        [of("interactions", ">=", 20, "30d"), of("interactions", "=", 0, "1d")],
        [of("calls", "between", [5, 8], "12h"), any_of(of("messages", ">=", 1, "12h"), turned=True)],
        [of("duration_s", ">=", 1800, "1d", tag=["AD"]), of("distinct_numbers", ">=", 3, "1d", tag=["AD"])],
        [of("tag", "notIn", ["Private"], "all"), of("interactions", ">=", 20, "30d")],
    ]
    limits = [
        {"repeat": "never"},
        {"repeat": "on_reentry", "cooldown": "7d"},
        {"repeat": "always", "cooldown": "7d"},
    ]
    return [
        {
            "name": f"Rule {k}",
            "when": {"combinator": "and", "rules": rules},
            "offer": {"code": f"R{k}"},
            "limits": limits[k % 3],
        }
        for k, rules in enumerate(whens)
    ]


def shards(rows: Interactions, shards: int) -> list[Interactions]:
    shard = (rows.caller * np.int64(-7046029254386353131)).view(np.uint64) % np.uint64(shards)
    order = np.argsort(shard.astype(np.uint8), kind="stable")
    edges = np.searchsorted(shard[order], np.arange(shards + 1))
    return [rows.take(order[a:b]) for a, b in pairwise(edges)]


def regions_of(codes: np.ndarray) -> np.ndarray:
    return np.array([1] * 18 + [3, 4], np.uint16)[codes % 20]


def batch(parts: list[Interactions], rules: list[ActiveRule], pane: int) -> tuple[float, np.ndarray]:
    """Processor seconds of one call per shard, and the number of firings per rule."""
    context = Context(WORDS, regions_of)
    upto = (BEGIN + DAYS * 86400) // pane * pane
    began, fired = time.process_time(), np.zeros(len(rules), np.int64)
    for part in parts:
        firings, _ = evaluate(rules, part, context, after=0, upto=upto, pane=pane, memory=Memory())
        fired += np.bincount(firings.rule, minlength=len(rules))
    return time.process_time() - began, fired


def gated(parts: list[Interactions], rules: list[ActiveRule], pane: int) -> float:
    """Processor seconds of the same, up to promotions with their moments of contact."""
    context, gate = Context(WORDS, regions_of), Gate(consent=Consent(default=True))
    upto = (BEGIN + DAYS * 86400) // pane * pane
    began = time.process_time()
    for part in parts:
        rows = part.by_caller()
        firings, _ = evaluate(rules, rows, context, after=0, upto=upto, pane=pane, memory=Memory())
        promote(firings, rules, rows, context, gate, Contacts())
    return time.process_time() - began


def live(part: Interactions, rules: list[ActiveRule], pane: int, calls: int) -> tuple[float, float]:
    """Processor seconds per interaction of one shard's stream with the rules, and with none, half the month old."""
    context, took = Context(WORDS, regions_of), []
    for some in (rules, []):
        counters = Counters()
        middle = BEGIN + DAYS * 43200
        history = History(decided=middle).append(part.take(part.start < middle)).after(middle)
        memory = evaluate(
            some, history.everything()[0], context, after=0, upto=middle, pane=pane, memory=Memory()
        )[1]
        rest = part.take(part.start >= middle)
        arrivals = np.array_split(np.arange(len(rest)), calls)
        began = time.process_time()
        for rows in arrivals:
            history = history.append(rest.take(rows))
            upto = int(rest.start[rows[-1]]) // pane * pane
            _, history, memory = decide_live(
                some, history, context, upto=upto, pane=pane, memory=memory, counters=counters
            )
        took.append((time.process_time() - began) / len(rest))
    return took[0], took[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=2_000_000)
    parser.add_argument("--pane", type=int, default=3600)
    parser.add_argument("--each", action="store_true", help="time every rule alone, too")
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--live", type=int, help="a shard's stream in so many calls instead")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    rows = interactions(options.rows, max(options.rows // 10, 1))
    began = time.process_time()
    np.argsort(rows.caller)
    sort = time.process_time() - began
    parts, rules = shards(rows, options.shards), [ActiveRule(rule) for rule in parse_rules(twenty())]
    if options.live:
        took, without = live(parts[0], rules, options.pane, options.live)
        print(f"{len(parts[0])} interactions of a shard, half of them live in {options.live} calls: ", end="")
        print(f"{took * 1e6:.2f} us each, {without * 1e6:.2f} us without rules")
        return
    profile = cProfile.Profile() if options.profile else None
    if profile:
        profile.enable()
    took, fired = batch(parts, rules, options.pane)
    if profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(28)
    print(
        f"{len(rows)} interactions, {len(rules)} rules: {took:.2f} s, {took / sort:.1f} x an argsort ({sort:.2f} s)"
    )
    print(f"with promotions and their moments of contact: {gated(parts, rules, options.pane):.2f} s")
    print(f"{fired.sum()} firings, by rule {fired.tolist()}")
    alone = [batch(parts, [rule], options.pane)[0] for rule in rules] if options.each else []
    print("".join(f"\n  {t:6.2f} s  {r.rule.when.rules}" for t, r in zip(alone, rules, strict=False)))


if __name__ == "__main__":
    main()
