"""What a person reads at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from callbeam_io.busiest import busiest
from callbeam_io.store import Store
from callbeam_io.store.rules import run_outcomes
from pipelines.config import RunConfig, hide_password
from transforms.columns.numbers import mask

TOP: int = 5
_FATES = ("records_read", "records_good", "records_rejected", "records_duplicate", "records_late")
_MEASURES = ("calls", "answered", "messages", "duration_s")


def hours_text(seconds: float) -> str:
    """``616 h 6 min`` or ``4 min 2 s``."""
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600:,} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s"


def fates(run: dict[str, Any]) -> str:
    """The records of a run by fate, in one line."""
    parts = [f"{run[name] or 0:,} {name.removeprefix('records_')}" for name in _FATES]
    if run.get("records_conflicting"):
        parts[3] += f" ({run['records_conflicting']:,} conflicting)"
    return f"{parts[0]} = " + " + ".join(parts[1:])


def table_lines(title: str, rows: Sequence[dict[str, Any]], key: Sequence[str]) -> list[str]:
    """A small table as text: the key columns, then the measures."""
    if not rows:
        return [f"{title}: no records"]
    body = [
        [str(r[k]) for k in key] + [f"{r[m]:,}" for m in _MEASURES[:3]] + [hours_text(r["duration_s"])]
        for r in rows
    ]
    head = [k.replace("_", " ") for k in key] + [*_MEASURES[:3], "talk time"]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    lines = [title]
    for line in [head, *body]:
        cells = [
            c.ljust(w) if i < len(key) else c.rjust(w)
            for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells))
    return lines


def subscriber_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The busiest subscribers, numbers masked: a summary ends up in logs."""
    lines = ["Subscribers with the most calls"]
    for r in rows:
        hour = r["best_hour"]
        lines.append(
            f"  {mask(r['subscriber']):<18} {r['calls']:>8,} calls  {r['tag']} ({r['business_type']}), "
            f"mostly {_WEEKDAYS[r['best_weekday']]}, {hour:02d}-{(hour + 1) % 24:02d} h"
        )
    return lines if rows else [lines[0] + ": none"]


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TABLES = {
    "duration_by_hour": ("Busiest hours", ("window_start", "hour")),
    "business_types": ("Business types called most", ("window_start", "business_type", "tag")),
    "regions": ("Countries called most", ("window_start", "region")),
    "type_graph": ("Who calls whom", ("window_start", "caller_type", "called_type")),
}


def outcomes(counted: Mapping[str, int]) -> str:
    """``312 firings: 40 no_consent, 12 capped, 25 control, 235 offered``; empty where there are none."""
    if not counted:
        return ""
    parts = ", ".join(f"{n:,} {outcome.replace('_', ' ')}" for outcome, n in sorted(counted.items()))
    return f"Promotions: {sum(counted.values()):,} firings: {parts}"


def summary(
    store: Store, run: dict[str, Any], config: RunConfig, notes: Sequence[str], engine: str, seconds: float
) -> str:
    """The whole text.

    Args:
        store: to read the results from.
        run: the run's row.
        config: of the run.
        notes: what was assumed or left out.
        engine: which runner, and why.
        seconds: how long it took.
    """
    run_id = run["run_id"]
    lines = [f"Run {run_id} {run['state']} in {seconds:.1f} s: {fates(run)}", ""]
    windowed = not config.plan.window.cumulative
    for table, (title, key) in _TABLES.items():
        if table in config.plan.templates:
            rows = store.rows(table, run_id, order_by="-calls", limit=TOP)
            lines += [*table_lines(title, rows, key if windowed else key[1:]), ""]
    if config.plan.with_subscribers:
        lines += [*subscriber_lines(busiest_subscribers(store, run_id)), ""]
    promotions = outcomes(run_outcomes(store, run_id))
    lines += [promotions, ""] if promotions else []
    lines.append(f"Results: {hide_password(config.output)} (run_id {run_id})")
    lines.append(f"Engine: {engine}")
    lines += [f"Note: {note}" for note in notes]
    return "\n".join(lines)


def busiest_subscribers(store: Store, run_id: str) -> list[dict[str, Any]]:
    """Those with the most calls: as this process noted them, if it wrote all of them."""
    seen, rows = busiest(run_id, TOP)
    if seen and seen == store.count("subscribers", run_id):
        return rows
    return store.rows("subscribers", run_id, order_by="-calls", limit=TOP)


def assumptions(config: RunConfig) -> list[str]:
    """What the run took for granted because no flag said it."""
    notes = []
    if config.timezone_assumed:
        notes.append("time zone of stamps without one: UTC was assumed (--timezone)")
    if config.default_region is None:
        notes.append("numbers without + were kept as they are; no region was assumed (--default_region)")
    if config.reference.directory is None:
        notes.append("no --directory: every number counts as Private")
    return notes
