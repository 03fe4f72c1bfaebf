"""The last live step: absolute messages of shards, in any order and as often as they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from record_sets import BEGIN, DAY, One, by_key, expected, records_of, small_reference

from transforms.columns.analysis import Plan
from transforms.columns.live import LivePlan, LiveShard
from transforms.columns.live_tables import LiveTables
from transforms.columns.windows import Window
from transforms.live import cells_packet
from transforms.live_collect import collect, remember
from transforms.packets import Packet

REFERENCE = small_reference()
RECORDS = [One(caller=c, second=BEGIN + n * 3600, id=str(n)) for n, c in enumerate(("100", "sip:a") * 3)]


def live_plan(window: Window) -> LivePlan:
    return LivePlan(Plan(window=window), window, lateness=0)


def messages(window: Window) -> list[Packet]:
    """What two shards say, in two parts each."""
    said = []
    for number, caller in enumerate(("100", "sip:a")):
        shard = LiveShard(live_plan(window), REFERENCE)
        mine = [r for r in RECORDS if r.caller == caller]
        for end, part in ((None, mine[:2]), ("0", mine[2:])):
            shard.add(records_of(part), {"read": len(part)})
            shard.heard("0", part[-1].second, idle=False, splits=1)
            said.append(cells_packet(number, shard, end=end, subscribers=True))
    return said


def rows_of(tables: LiveTables, said: list[Packet]) -> dict[str, dict[tuple, dict[str, Any]]]:
    rows: dict[str, dict[tuple, dict[str, Any]]] = {}
    for packet in said:
        for out in collect(tables, packet):
            for name, table in out.tables.items():
                rows.setdefault(name, {}).update(by_key(name, table))
    return rows


@pytest.mark.parametrize("window", [Window(), Window(7200, 3600)])
def test_messages_may_come_twice_and_shards_in_any_order(window: Window) -> None:
    want = expected(RECORDS, (window.size, window.slide)).tables
    a, b, c, d = messages(window)
    for said in ([a, b, c, d], [a, a, b, b, c, d, d], [c, a, d, b], [c, d, a, b, b]):
        tables = LiveTables(live_plan(window), REFERENCE, shards=2)
        assert rows_of(tables, said) == want
        assert tables.total_counts()["good"] == len(RECORDS)
        assert tables.total_counts()["read"] == len(RECORDS)
        assert tables.ended


def test_only_windows_with_a_changed_cell_are_written() -> None:
    tables = LiveTables(live_plan(Window(3600, 3600)), REFERENCE, shards=2)
    a, b, *_ = messages(Window(3600, 3600))
    assert len(rows_of(tables, [a])["regions"]) == 2
    assert len(rows_of(tables, [b])["regions"]) == 1
    assert rows_of(tables, [Packet({"shard": 1, "end": None})]) == {}


def test_remembered_quietly_nothing_is_written() -> None:
    tables = LiveTables(live_plan(Window()), REFERENCE, shards=2)
    for packet in messages(Window()):
        remember(tables, packet, quiet=True)
    assert tables.rows() == {}
    again = LiveTables(live_plan(Window()), REFERENCE, shards=2)
    for shard in (0, 1):
        remember(again, Packet(tables.header_of(shard), {"cells": tables.cells_of(shard)}), quiet=True)
        assert again.cells_of(shard).equals(tables.cells_of(shard))
    assert again.total_counts() == tables.total_counts()


def test_old_windows_are_kept_until_every_shard_is_past_them() -> None:
    tables = LiveTables(live_plan(Window(3600, 3600)), REFERENCE, shards=2)
    rows_of(tables, messages(Window(3600, 3600)))
    tables.advance(0, BEGIN + 9 * DAY)
    assert tables.cells_of(0).num_rows
    tables.advance(1, BEGIN + 8 * DAY)
    assert tables.cells_of(0).num_rows == tables.cells_of(1).num_rows == 0


def test_contact_hours_follow_from_everybody() -> None:
    tables = LiveTables(live_plan(Window()), REFERENCE, shards=2)
    hours = np.zeros((1, 24), np.uint32)
    hours[0, 12] = 1
    everybody = [0] * 24
    tables.put_counts(0, {}, everybody)
    row = pl.DataFrame({"subscriber": ["100"]})
    assert tables.subscriber_rows(row, hours).row(0) == ("100", 10, 13)
    tables.put_counts(1, {}, [*everybody[:13], 3, *everybody[14:]])
    assert tables.subscriber_rows(row, hours).row(0) == ("100", 11, 14)
    assert tables.subscriber_rows(pl.DataFrame(), hours[:0]).height == 0
