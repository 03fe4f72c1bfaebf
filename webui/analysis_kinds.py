"""The analyses that have a page each: what they are about, what narrows them, how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import url_for

from callbeam_io.store.web_queries import BUSINESS_TYPES
from webui.figures import bars, graphs, maps
from webui.figures.style import TAG_COLOURS, Figure, Theme
from webui.geo import world
from webui.geo.countries import name_of
from webui.measures import Measure
from webui.words import hour_span, short_type

Rows = list[dict[str, Any]]
Options = Mapping[str, str]
_ORDER: Final = {name: i for i, (name, _) in enumerate(BUSINESS_TYPES)}
TAGS: Final = tuple(dict.fromkeys(tag for _, tag in BUSINESS_TYPES))
TOP: Final = 10


@dataclass(frozen=True)
class Column:
    """A column of an analysis' table: name of the value, heading, how it is written, CSS class."""

    name: str
    label: str
    text: Callable[[Any], str] = str
    css: str = ""


@dataclass(frozen=True)
class Filter:
    """Something that an analysis can be narrowed to: parameter, label, choices (value, text)."""

    name: str
    label: str
    choices: Callable[[Rows], Sequence[tuple[str, str]]]
    everything: str = "All"


@dataclass(frozen=True)
class Analysis:
    """One page.

    Attributes:
        table: of the store.
        title: of the page.
        icon: in the menu.
        meaning: what is counted, in a line.
        default: name of the measure that is shown first.
        columns: that name a row.
        order: of the rows, as a column's name, ``-`` descends, ``value`` is the measure.
        shape: rows as the table shows them, after the filters; those of ``type_graph`` also have
            ``caller_tag`` and ``called_tag``.
        figures: name -> chart, from these rows.
        charts: names of the charts with the CSS class of their boxes.
        filters: what the rows can be narrowed to.
    """

    table: str
    title: str
    icon: str
    meaning: str
    default: str
    columns: tuple[Column, ...]
    order: str
    shape: Callable[[Rows, Options], Rows]
    figures: Callable[[Rows, Measure, Theme], dict[str, Figure]]
    charts: tuple[tuple[str, str], ...]
    filters: tuple[Filter, ...] = ()


def _hours(rows: Rows, what: Measure, look: Theme) -> dict[str, Figure]:
    return {"hours": bars.hours(rows, what, look)}


def _as_they_are(rows: Rows, _: Options) -> Rows:
    return rows


def _of_tag(rows: Rows, options: Options) -> Rows:
    return [r for r in rows if options.get("tag") in (None, "", r["tag"])]


def _types(rows: Rows, what: Measure, look: Theme) -> dict[str, Figure]:
    pairs = _greatest([(r["business_type"], what.of(r)) for r in rows])
    short = [(short_type(name), value) for name, value in pairs]
    return {"types": bars.ranked(short, what, look, bars.top_of(pairs, what))}


def _greatest(pairs: list[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def _tags_in(rows: Rows) -> list[tuple[str, str]]:
    found = {r["tag"] for r in rows}
    return [(t, t) for t in sorted(found, key=tag_place)]


def tag_place(tag: str) -> tuple[int, str]:
    """Where a tag stands among others: those that are known first, in their order."""
    return (TAGS.index(tag) if tag in TAGS else len(TAGS), tag)


def tag_number(tag: str) -> int:
    """The number of a tag's colour."""
    return tag_place(tag)[0] % len(TAG_COLOURS)


def type_place(name: str) -> tuple[int, str]:
    """Where a business type stands among others."""
    return (_ORDER.get(name, len(_ORDER)), name)


def _graph_shape(rows: Rows, options: Options) -> Rows:
    """Pairs of types; with ``by=tag`` pairs of their groups."""
    if options.get("by") != "tag":
        return rows
    summed: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        pair = (row["caller_tag"], row["called_tag"])
        known = summed.setdefault(pair, {**row, "caller_type": pair[0], "called_type": pair[1]} | _ZEROS)
        for name in _ZEROS:
            known[name] += row[name] or 0
    return list(summed.values())


_ZEROS: Final = {"calls": 0, "answered": 0, "messages": 0, "duration_s": 0}


def _graph(rows: Rows, what: Measure, look: Theme) -> dict[str, Figure]:
    flows = [(r["caller_type"], r["called_type"], what.of(r)) for r in rows]
    names = {name for caller, called, _ in flows for name in (caller, called)}
    tagged: dict[tuple[str, str], int] = {}
    for row in rows:
        pair = (row["caller_tag"], row["called_tag"])
        tagged[pair] = tagged.get(pair, 0) + what.of(row)
    tags = sorted({t for pair in tagged for t in pair}, key=tag_place)
    return {
        "heat": graphs.heat(flows, sorted(names, key=_graph_place), what, look),
        "flows": graphs.sankey([(a, b, v) for (a, b), v in tagged.items()], tags, what, look),
    }


def _graph_place(name: str) -> tuple[int, str]:
    return type_place(name) if name in _ORDER else tag_place(name)


def _regions_shape(rows: Rows, options: Options) -> Rows:
    return [r for r in rows if r["region"] != options.get("without")]


def _most_called(rows: Rows) -> list[tuple[str, str]]:
    greatest = sorted(rows, key=lambda r: -((r["calls"] or 0) + (r["messages"] or 0)))[:TOP]
    return [(r["region"], name_of(r["region"])) for r in greatest]


def _regions(rows: Rows, what: Measure, look: Theme) -> dict[str, Figure]:
    values = {r["region"]: what.of(r) for r in rows}
    pairs = _greatest([(name_of(code), v) for code, v in values.items()])
    found = {"top": bars.ranked(pairs[:TOP], what, look, bars.top_of(pairs, what))}
    edition = world.edition()
    if edition is not None:
        outlines = url_for("outlines.outlines", edition=edition)
        found["world"] = maps.world(values, what, look, outlines, world.codes(), world.dots())
    return found


ANALYSES: Final = {
    a.table: a
    for a in (
        Analysis(
            "duration_by_hour",
            "Talk time by hour",
            "clock-history",
            "Hours of the day as the caller's clock shows them; talk time is that of answered calls.",
            "duration_s",
            (Column("hour", "Hour", hour_span),),
            "hour",
            _as_they_are,
            _hours,
            (("hours", "tall"),),
        ),
        Analysis(
            "business_types",
            "Business types",
            "building",
            "What kind of place the called number belongs to, as the directory says.",
            "records",
            (Column("business_type", "Business type"), Column("tag", "Tag", css="phone-hide")),
            "-value",
            _of_tag,
            _types,
            (("types", "tall"),),
            (Filter("tag", "Tag", _tags_in),),
        ),
        Analysis(
            "type_graph",
            "Who calls whom",
            "diagram-3",
            "The business type of the caller and that of the called number; people are Private.",
            "records",
            (Column("caller_type", "Caller"), Column("called_type", "Called")),
            "-value",
            _graph_shape,
            _graph,
            (("heat", "tall"), ("flows", "tall")),
            (Filter("by", "Rows are", lambda _: [("tag", "Tags")], "Types"),),
        ),
        Analysis(
            "regions",
            "Countries",
            "globe-americas",
            "The country that the called number belongs to. Borders as they are held in fact.",
            "calls",
            (Column("region", "Country", name_of), Column("region", "Code", css="phone-hide")),
            "-value",
            _regions_shape,
            _regions,
            (("world", "map"), ("top", "tall")),
            (Filter("without", "Leave out", _most_called, "Nothing"),),
        ),
    )
}
"""By the name of the store's table."""
