"""How long an exact count of a rule takes: interactions made up in memory, twelve rules on beside it.

    PYTHONPATH=.:io python tests/bench_rule_desk.py [--records 10000000]

Ten interactions a person over thirty days; half of the people consent.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from pipelines.rule_service.counted import told
from pipelines.rule_service.counting import Case, tally
from pipelines.rule_service.firings import Others
from pipelines.rule_service.memory import Kept, Shard
from pipelines.rule_service.wire import Asked
from pipelines.rule_service.world import Setting
from transforms.columns.decisions import RuleSettings
from transforms.columns.directory import BusinessTypes
from transforms.columns.hashing import shard_of
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.outcomes import ALWAYS, Cap, Consent, ledger
from transforms.rules.language import ActiveRule
from transforms.rules.parse import parse_rule
from transforms.schema import BUSINESS_TYPES, SHARDS

DAY = 86_400
BEGIN = 1_772_323_200
ASKED = Asked({}, lambda _: None)


def shard(number: int, people: Any, rng: np.random.Generator) -> Shard:
    """Ten interactions of each of some people."""
    n = len(people) * 10

    def some(end: int, dtype: Any, first: int = 0) -> Any:
        return rng.integers(first, end, n).astype(dtype)

    rows = Interactions(
        caller=rng.choice(people, n),
        called=some(12_029_999_999, np.int64, 12_020_000_000),
        start=some(BEGIN + 30 * DAY, np.int64, BEGIN),
        charge=some(500_000, np.int64),
        duration=some(300, np.int32),
        called_region=some(200, np.uint16),
        called_type=some(16, np.uint8),
        kind=some(8, np.uint8),
        hour=some(24, np.uint8),
        weekday=some(7, np.uint8),
    )
    return Shard(number, rows.take(np.lexsort((rows.start, rows.caller))))


def rule(name: str, least: int, window: str, limits: dict[str, Any], **where: Any) -> ActiveRule:
    """A rule on the number of interactions."""
    condition = {"field": "interactions", "operator": ">=", "value": least, "window": window, "where": where}
    when = {"combinator": "and", "rules": [condition]}
    written = {"name": name, "when": when, "offer": {"code": "X"}, "limits": limits, "control_share": 0.1}
    return ActiveRule(parse_rule(written))


def main() -> None:
    """Prints firings and seconds of some rules."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=10_000_000)
    rng, count = np.random.default_rng(1), parser.parse_args().records // 10
    people = 12_020_000_000 + rng.choice(9_000_000, count, replace=False).astype(np.int64)
    number = shard_of(people, SHARDS)
    kept = Kept({"run_id": "made up"}, [shard(k, people[number == k], rng) for k in range(SHARDS)])
    settings = RuleSettings(3600, cap=Cap(2, 7 * DAY))
    others = Others(kept, Setting(settings, BusinessTypes.of(BUSINESS_TYPES, "Private")))
    yes = [people[number == k][::2] for k in range(SHARDS)]
    consents = [Consent(ledger(codes, np.full(len(codes), ALWAYS))) for codes in yes]
    again, types = {"repeat": "on_reentry"}, [name for name, _ in BUSINESS_TYPES]
    on = [rule(f"On {k}", 2 + k % 3, f"{1 + k % 7}d", again, business_type=[types[k]]) for k in range(12)]
    for part in kept.parts:
        others.of(on, part)
    for tried in (
        rule("Once", 4, "3d", {"repeat": "never"}),
        rule("Again", 2, "1d", {"repeat": "on_reentry", "cooldown": "1d"}),
        rule("Often", 1, "6h", {"repeat": "always", "cooldown": "1d"}),
    ):
        case = Case(tried, tuple(on), (), others, consents, others.upto - 30 * DAY)
        begun = time.perf_counter()
        found = told(case, tally(case, kept.parts, ASKED), exact=True)
        took = time.perf_counter() - begun
        print(f"{tried.rule.name}: {found['funnel']['matched']:,} firings in {took:.2f} s")


if __name__ == "__main__":
    main()
