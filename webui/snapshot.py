"""What the dashboard shows: numbers in words and charts, made once a second for all browsers together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from flask import url_for

from callbeam_io.store import utc_text, web_people, web_promotions, web_queries
from callbeam_io.store.rules import list_rules
from webui import measures, traffic, view, words
from webui.analysis_kinds import ANALYSES
from webui.figures.bars import trend
from webui.figures.style import Figure, Theme
from webui.moments import pane_of
from webui.promotions import described
from webui.services import cached, store
from webui.subscribers import reach

NEWEST: Final = 8
HOUR: Final = timedelta(hours=1)
STEP: Final = timedelta(minutes=5)
SPARKS: Final = 12
HELD: Final = ("no_consent", "capped", "control", "sold_out")


@dataclass
class LastHour:
    """Promotions of the last hour of event time, and of the hour before it.

    Where rules are decided less often than that, it is the time from one decision to the next.

    Attributes:
        span: how long it is.
        step: of the spark.
        until: its end, as text.
        since: its beginning, as text.
        counts: (rule_id, outcome) -> how many in the last hour.
        before: outcome -> how many in the hour before.
        spark: offered per step, oldest first.
    """

    span: timedelta = HOUR
    step: timedelta = STEP
    until: str = ""
    since: str = ""
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    spark: list[int] = field(default_factory=lambda: [0] * SPARKS)

    def of(self, outcome: str, rule_id: str | None = None) -> int:
        """How many of an outcome, of one rule or all."""
        return sum(n for (rule, out), n in self.counts.items() if out == outcome and rule_id in (None, rule))

    def held(self, rule_id: str | None = None) -> int:
        """How many were held back, for whatever reason."""
        return sum(self.of(outcome, rule_id) for outcome in HELD)


def last_hour(run: Mapping[str, Any]) -> LastHour:
    """Reads and counts them; the hour ends where the records have come to."""
    newest = web_promotions.newest_decision(store(), run["run_id"])
    until = max(run["watermark"] or "", newest or "")
    end, apart = words.moment(until), timedelta(seconds=pane_of(run))
    span, step = max(HOUR, apart), max(STEP, apart)
    if newest is None or end is None:
        return LastHour(span, step)
    found = LastHour(span, step, until, utc_text(end - span + timedelta(seconds=1)))
    for row in _minutes(run, end - span, end):
        key = (row["rule_id"], row["outcome"])
        found.counts[key] = found.counts.get(key, 0) + row["count"]
    for row in _minutes(run, end - 2 * span, end - span):
        found.before[row["outcome"]] = found.before.get(row["outcome"], 0) + row["count"]
    for row in _minutes(run, end - SPARKS * step, end):
        back = int((end - (words.moment(f"{row['minute']}:00") or end)) / step)
        if row["outcome"] == web_people.OFFERED:
            found.spark[SPARKS - 1 - min(back, SPARKS - 1)] += row["count"]
    return found


def _minutes(run: Mapping[str, Any], after: datetime, until: datetime) -> list[dict[str, Any]]:
    """Promotions by minute, rule and outcome, the moment ``after`` left out; read once for the same times."""
    between = utc_text(after), utc_text(until)
    read = partial(web_promotions.per_minute, store(), run["run_id"], *between)
    return cached(("minutes", run["run_id"], between), 1, read)


def change(now: int, before: int, span: timedelta = HOUR) -> str:
    """``+12% on the hour before``.

    >>> change(112, 100), change(0, 7), change(5, 0), change(1, 0, 2 * HOUR)
    ('+12% on the hour before', '7 in the hour before', 'none in the hour before', 'none in the 2 hours before')
    """
    if not before or not now:
        return f"{words.number(before) if before else 'none'} in the {long(span)} before"
    return f"{(now - before) / before * 100:+.0f}% on the {long(span)} before".replace("-", "−")


def long(span: timedelta) -> str:
    """How long: ``hour``, ``2 hours``, ``5 minutes``.

    >>> long(HOUR), long(2 * HOUR), long(STEP)
    ('hour', '2 hours', '5 minutes')
    """
    hours, rest = divmod(span, HOUR)
    if rest:
        return f"{span // timedelta(minutes=1)} minutes"
    return "hour" if hours == 1 else f"{hours} hours"


def spark_points(values: Sequence[float]) -> str:
    """The points of a small line in a box of 100 by 30.

    >>> spark_points([0, 5, 10])
    '0,29 50,15 100,1'
    """
    most = max([*values, 1e-9])
    step = 100 / max(1, len(values) - 1)
    return " ".join(f"{i * step:.0f},{29 - v / most * 28:.0f}" for i, v in enumerate(values))


@dataclass(frozen=True)
class Snapshot:
    """All that the dashboard shows of a run but its charts."""

    texts: dict[str, str]
    sparks: dict[str, str]
    rules: list[dict[str, Any]]
    promotions: list[dict[str, Any]]
    held: list[tuple[str, int, str]]  # outcome, how many, the change
    any_consent: bool
    span: dict[str, Any]
    lasting: str  # of the last hour, in words
    step: str  # of the spark

    def link(self, outcome: str, rule_id: str | None = None) -> str:
        """The address of the promotions that a number of the last hour counts."""
        asked: str = url_for("promotions.promotions", outcome=outcome, rule_id=rule_id, **self.span)
        return asked


def snapshot(run: Mapping[str, Any]) -> Snapshot:
    """That of a run, at most a second old."""
    return cached(("snapshot", run["run_id"]), 1, lambda: _snapshot(run))


def _snapshot(run: Mapping[str, Any]) -> Snapshot:
    hour = last_hour(run)
    able, people = reach(run, 10)
    rate = [value for _, value in _reads(run) if value is not None]
    read, rejected = run["records_read"] or 0, run["records_rejected"] or 0
    offered = hour.of(web_people.OFFERED)
    texts = {
        "offered": words.number(offered),
        "offered_change": change(offered, hour.before.get(web_people.OFFERED, 0), hour.span),
        "held": words.number(hour.held()),
        "held_change": change(hour.held(), sum(hour.before.get(o, 0) for o in HELD), hour.span),
        "rate": _rate_now(run),
        "records": words.short(read),
        "records_said": f"{words.percent(rejected, read)} rejected" if read else "none yet",
        "reach": words.short(able),
        "reach_said": _reach_said(able, people),
        "until": words.when(hour.until or run["watermark"]),
    }
    return Snapshot(
        texts,
        {"offered": spark_points(hour.spark), "rate": spark_points(rate)},
        _rules(hour),
        described(web_promotions.newest(store(), run["run_id"], {}, NEWEST), run),
        [(o, hour.of(o), change(hour.of(o), hour.before.get(o, 0), hour.span)) for o in HELD if hour.of(o)],
        able != 0 or not people,
        {"run": run["run_id"], "decided_from": hour.since, "decided_until": hour.until},
        long(hour.span),
        long(hour.step),
    )


def _reads(run: Mapping[str, Any]) -> traffic.Points:
    """Records a second over the last minutes."""
    if run["mode"] != "streaming":
        return []
    return cached(("reads", run["run_id"]), 2, lambda: traffic.reads(traffic.recent(store(), run["run_id"])))


def _rate_now(run: Mapping[str, Any]) -> str:
    """Records a second, as the end of the chart has it; as the run itself says where that has not begun yet."""
    known = [rate for _, rate in _reads(run) if rate is not None]
    rate = known[-1] if known else (run.get("live") or {}).get("rate")
    return words.DASH if rate is None or run["state"] != "running" else words.number(round(rate))


def _reach_said(contactable: int | None, people: int | None) -> str:
    if people == 0:
        return "no subscribers yet"
    if contactable == 0:
        return "nobody may be contacted yet"
    if contactable is None or people is None:
        return "counting"
    return f"of {words.short(people)} subscribers"


def _rules(hour: LastHour) -> list[dict[str, Any]]:
    rows = cached("rules", 2, lambda: list_rules(store()))
    return [
        {
            "name": row["name"],
            "rule_id": row["rule_id"],
            "enabled": row["enabled"],
            "error": row["error"],
            "offered": hour.of(web_people.OFFERED, row["rule_id"]),
            "held": hour.held(row["rule_id"]),
        }
        for row in rows
    ]


def charts(run: Mapping[str, Any], look: Theme) -> dict[str, Figure]:
    """The dashboard's charts, of each analysis' window of now."""
    found = {"trend": trend(_reads(run), look)} if run["mode"] == "streaming" else {}
    for table in ("duration_by_hour", "business_types", "regions"):
        analysis = ANALYSES[table]
        rows = _rows_of_now(table, run)
        drawn = analysis.figures(rows, measures.MEASURES[analysis.default], look)
        found |= {name: figure for name, figure in drawn.items() if name != "top"}
    return found


def _rows_of_now(table: str, run: Mapping[str, Any]) -> list[dict[str, Any]]:
    run_id = run["run_id"]
    window = view.window_of_now(view.windows(table, run_id), run["watermark"])
    if window is None:
        return []
    start = window[0]
    return cached(
        ("rows", table, run_id, start), 1, lambda: web_queries.analysis_rows(store(), table, run_id, start)
    )
