"""What is printed of a rule tried on history: as text for people, as JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipelines.simulate import History, Why
from transforms.columns.numbers import mask
from transforms.columns.rules.summary import Summary
from transforms.rules.language import Rule, conditions
from transforms.rules.problems import duration_text, instant_text
from transforms.rules.sentences import condition_sentence, sentence

_HELD_BACK: Final = {
    "no_consent": "no consent",
    "capped": "capped",
    "control": "control",
    "sold_out": "sold out",
}


@dataclass(frozen=True)
class Report:
    """A rule and what became of it.

    Attributes:
        rule: that was tried, as ``version``.
        summary: of its promotions.
        history: that it was tried on; ``source`` says which.
        pane: seconds.
        why: for one subscriber, if that was asked.
        show_numbers: whether subscribers may be shown as they are.
        notes: what else is to be said.
    """

    rule: Rule
    version: int
    summary: Summary
    history: History
    source: str
    pane: int
    why: Why | None = None
    show_numbers: bool = False
    notes: tuple[str, ...] = ()


def outcome_line(by_outcome: Mapping[str, int]) -> str:
    """The firings and what held them back: ``312 match, 40 no consent, 25 control -> 247 offered``."""
    held = [f"{by_outcome[k]:,} {words}" for k, words in _HELD_BACK.items() if by_outcome.get(k)]
    return (
        ", ".join([f"{sum(by_outcome.values()):,} match", *held])
        + f" -> {by_outcome.get('offered', 0):,} offered"
    )


def as_json(report: Report) -> dict[str, Any]:
    """The report as JSON values; times are ISO 8601 in UTC."""
    found, history = report.summary, report.history
    values: dict[str, Any] = {
        "rule_id": report.rule.rule_id,
        "version": report.version,
        "sentence": sentence(report.rule),
        "source": report.source,
        "pane": duration_text(report.pane),
        "records": history.records,
        "rejected": history.rejected,
        "duplicates": history.duplicates,
        "first": instant_text(history.first),
        "last": instant_text(history.last),
        "subscribers": found.subscribers,
        "firings": found.firings,
        "by_outcome": dict(found.by_outcome),
        "per_day": dict(found.per_day),
        "overlap": dict(found.overlap),
        "examples": [_example(row, _shown(report)) for row in found.examples],
        "notes": list(report.notes),
    }
    return values if report.why is None else {**values, "why": _why_json(report.why)}


def _shown(report: Report) -> Callable[[str], str]:
    return str if report.show_numbers else mask


def _example(row: Mapping[str, Any], shown: Callable[[str], str]) -> dict[str, Any]:
    at = row["decided_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**row, "subscriber": shown(row["subscriber"]), "decided_at": at}


def _why_json(why: Why) -> dict[str, Any]:
    entries = [
        {"path": c.path, "condition": c.sentence, "value": c.value, "held": c.held} for c in why.conditions
    ]
    return {"at": instant_text(why.at), "known": why.known, "holds": why.holds, "conditions": entries}


def as_text(report: Report) -> str:
    """The report as lines for people."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    found, history = report.summary, report.history
    yield f"{report.rule.rule_id}: {sentence(report.rule)}"
    yield (
        f"tried as version {report.version} on {history.records:,} records of {report.source}, "
        f"{instant_text(history.first)} to {instant_text(history.last)}, pane {duration_text(report.pane)}"
    )
    if history.rejected or history.duplicates:
        yield f"left out: {history.rejected:,} rejected, {history.duplicates:,} duplicates"
    yield from report.notes
    yield outcome_line(found.by_outcome)
    yield f"{found.subscribers:,} subscribers"
    yield from _table("firings per day", found.per_day)
    yield from _table("subscribers shared with", found.overlap)
    if found.examples:
        words = {path: condition_sentence(c) for path, c in conditions(report.rule.when)}
        yield "examples"
        for row in found.examples:
            yield from _example_lines(_example(row, _shown(report)), words)
    if report.why is not None:
        yield from _why_lines(report.why)


def _table(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    if counts:
        width = max(len(name) for name in counts)
        yield title
        yield from (f"  {name:<{width}} {count:>9,}" for name, count in counts.items())


def _example_lines(row: Mapping[str, Any], words: Mapping[str, str]) -> Iterator[str]:
    yield f"  {row['subscriber']}  {row['decided_at']}  {row['outcome']}"
    for path, value in row["features"].items():
        yield f"      {_value(value)}: {words.get(path, path)}"


def _why_lines(why: Why) -> Iterator[str]:
    yield f"why, at {instant_text(why.at)}: the rule {'holds' if why.holds else 'does not hold'}"
    if not why.known:
        yield "  there is no record of this subscriber"
    for entry in why.conditions:
        yield f"  {'yes' if entry.held else 'no ':<4}{entry.path}  {_value(entry.value)}: {entry.sentence}"


def _value(value: object) -> str:
    return "none" if value is None else str(value)
