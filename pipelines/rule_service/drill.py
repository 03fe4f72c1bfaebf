"""The records behind a number of an analysis, and what one person did: looked up in the kept interactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.reference import ReferenceSpec
from pipelines.rule_service.memory import Kept, KeptHistory, Shard
from pipelines.rule_service.reasons import moment_text, party_of, seconds_of
from pipelines.rule_service.wire import Asked, Operation
from pipelines.shard_threads import on_threads
from transforms.columns.numbers import party_texts
from transforms.columns.records import ANSWERED_VOICE, FIRST_SMS
from transforms.columns.regions import REGIONS, region_names
from transforms.columns.rules.interactions import Interactions, concat
from transforms.columns.templates import Reference
from transforms.columns.windows import time_text
from transforms.errors import OptionError
from transforms.schema import ALL_END, ALL_START, CALL_RESULTS, CALL_TYPES

Json = dict[str, Any]
Rows = NDArray[np.bool_]
MOST: Final = 1000
NOTHING: Final[Json] = {"run_id": None}
_END: Final = np.iinfo(np.int64).max
_MEASURES: Final[Mapping[str, Callable[[Interactions], Rows]]] = {
    "records": lambda rows: np.ones(len(rows), np.bool_),
    "calls": lambda rows: rows.kind < FIRST_SMS,
    "answered": lambda rows: rows.kind == ANSWERED_VOICE,
    "messages": lambda rows: rows.kind >= FIRST_SMS,
    "duration_s": lambda rows: (rows.kind == ANSWERED_VOICE) & (rows.duration > 0),
}
"""Which records a measure counts."""


@dataclass(frozen=True)
class Wanted:
    """Some of the interactions.

    Attributes:
        first, end: seconds: start in [first, end).
        key: columns of the analysis with the value that they must have.
        measure: one of records, calls, answered, messages, duration_s.
    """

    first: int
    end: int
    key: Mapping[str, Any]
    measure: str = "records"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Wanted:
        """From a question's ``window_start``, ``window_end``, ``key`` and ``measure``."""
        measure = str(values.get("measure") or "records")
        if measure not in _MEASURES:
            raise OptionError(f"measure {measure!r}", f"one of {', '.join(_MEASURES)}")
        key = dict(values.get("key") or {})
        unknown = sorted(key.keys() - _KEYS.keys())
        if unknown:
            raise OptionError(f"key {unknown[0]!r}", f"one of {', '.join(_KEYS)}")
        return cls(_second(values.get("window_start")), _second(values.get("window_end"), _END), key, measure)


@dataclass(frozen=True)
class Drill:
    """Answers questions about records.

    Attributes:
        history: what the newest run kept.
    """

    history: KeptHistory

    def operations(self) -> dict[str, Operation]:
        """What answers each ``op``."""
        return {"records": self._records, "person": self._person}

    def _records(self, asked: Asked) -> Json:
        kept = self.history.now()
        return NOTHING if kept is None else records(kept, reference_of(kept.run), asked.values)

    def _person(self, asked: Asked) -> Json:
        kept = self.history.now()
        return NOTHING if kept is None else person(kept, reference_of(kept.run), asked.values["subscriber"])


def reference_of(run: Mapping[str, Any]) -> Reference:
    """Business types and directory of a run, as its options name them.

    Raises:
        OptionError: the files are gone, or are no longer what they were.
    """
    options = run["options"] or {}
    named = options.get("reference") or {}
    region = named.get("default_region") or options.get("default_region")
    return ReferenceSpec(named.get("directory"), named.get("business_types"), region)()


def records(kept: Kept, reference: Reference, values: Mapping[str, Any]) -> Json:
    """The records that a number of an analysis counts, the newest first.

    Args:
        kept: the interactions.
        reference: business types and directory of their run.
        values: what is asked: ``window_start`` and ``window_end`` (texts), ``key`` (such as ``{"hour": 17}``),
            ``measure``, ``offset`` and ``limit``.

    Returns:
        ``run_id``; ``counted``: every measure over the records that the key and the window leave; ``whole``:
        whether all records of the window are kept; ``since``: from when on; ``total``: records that the
        measure counts; ``rows``: those of the page.
    """
    wanted = Wanted.of(values)
    limit, offset = min(int(values.get("limit") or 100), MOST), int(values.get("offset") or 0)
    found = list(on_threads(lambda shard: _found(shard, wanted, reference), kept.parts))
    every = concat([rows for rows in found if len(rows)])
    counted = every.take(_MEASURES[wanted.measure](every))
    order = np.lexsort((counted.caller, -counted.start))[offset : offset + limit]
    return {
        "run_id": kept.run["run_id"],
        "whole": wanted.first >= kept.since or not kept.cut,
        "since": moment_text(kept.since),
        "counted": counts(every),
        "total": len(counted),
        "rows": listed(counted.take(order), reference, kept),
    }


def person(kept: Kept, reference: Reference, subscriber: str) -> Json:
    """What a subscriber did: ``week`` (7 x 24 counts of interactions), ``records``, ``since``, newest ``rows``."""
    code, _ = party_of(subscriber, (kept.run["options"] or {}).get("default_region"))
    rows = kept.of(code)
    week = np.zeros((7, 24), np.int64)
    np.add.at(week, (rows.weekday, rows.hour), 1)
    newest = rows.take(np.argsort(-rows.start, kind="stable")[:20])
    return {
        "run_id": kept.run["run_id"],
        "since": moment_text(kept.since),
        "records": len(rows),
        "week": week.tolist(),
        "rows": listed(newest, reference, kept),
    }


def counts(rows: Interactions) -> dict[str, int]:
    """Every measure over some interactions."""
    found = {name: int(which(rows).sum()) for name, which in _MEASURES.items()}
    return {**found, "duration_s": int(rows.duration[rows.kind == ANSWERED_VOICE].sum(dtype=np.int64))}


def listed(rows: Interactions, reference: Reference, kept: Kept) -> list[Json]:
    """Interactions as they are shown; a called party that is no number is null."""
    names = pl.Series([kept.texts.get(int(code)) for code in rows.caller], dtype=pl.String)
    frame = pl.DataFrame(
        {
            "start": pl.Series(time_text(rows.start), dtype=pl.String),
            "hour": rows.hour,
            "weekday": rows.weekday,
            "caller": party_texts(rows.caller, names),
            "called": party_texts(rows.called, None),
            "business_type": pl.Series(reference.types.names, dtype=pl.String).gather(rows.called_type),
            "region": region_names(rows.called_region),
            "call_type": pl.Series(CALL_TYPES, dtype=pl.String).gather(rows.kind // 4),
            "call_result": pl.Series(CALL_RESULTS, dtype=pl.String).gather(rows.kind % 4),
            "duration_s": rows.duration,
            "charge": rows.charge / 1e6,
        }
    )
    return frame.to_dicts()


def _found(shard: Shard, wanted: Wanted, reference: Reference) -> Interactions:
    rows = shard.rows
    mask = (rows.start >= wanted.first) & (rows.start < wanted.end)
    for name, value in wanted.key.items():
        mask &= _KEYS[name](rows, reference, value)
    return rows.take(mask)


def _type(reference: Reference, name: Any) -> int:
    if name not in reference.types.names:
        raise OptionError(f"business type {name!r}", f"one of {', '.join(reference.types.names)}")
    return reference.types.names.index(name)


def _of_types(positions: NDArray[np.uint8], reference: Reference, tag: Any) -> Rows:
    """Whether types have a tag."""
    tags = np.array([reference.types.tags[t] == tag for t in reference.types.tag_of])
    return tags[positions]


def _region(name: Any) -> int:
    if name not in REGIONS:
        raise OptionError(f"region {name!r}", "ISO 3166, 001 or ZZ")
    return REGIONS.index(name)


def _callers(rows: Interactions, reference: Reference) -> NDArray[np.uint8]:
    return reference.directory.types_of(rows.caller)


_KEYS: Final[Mapping[str, Callable[[Interactions, Reference, Any], Rows]]] = {
    "hour": lambda rows, _, value: rows.hour == int(value),
    "business_type": lambda rows, known, value: rows.called_type == _type(known, value),
    "called_type": lambda rows, known, value: rows.called_type == _type(known, value),
    "caller_type": lambda rows, known, value: _callers(rows, known) == _type(known, value),
    "tag": lambda rows, known, value: _of_types(rows.called_type, known, value),
    "called_tag": lambda rows, known, value: _of_types(rows.called_type, known, value),
    "caller_tag": lambda rows, known, value: _of_types(_callers(rows, known), known, value),
    "region": lambda rows, _, value: rows.called_region == _region(value),
}
"""Which interactions have a value in a column of an analysis."""


def _second(text: str | None, otherwise: int = 0) -> int:
    return otherwise if not text or text in (ALL_START, ALL_END) else seconds_of(text)
