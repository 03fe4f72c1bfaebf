"""A shard's state where the engine keeps it: a log of changes in Beam's state, a live copy in the process.

Two bags: the log since the last compaction, which begins with what all before it comes to, and the records that
were compacted. Most writes are as small as what a packet brought; records are written twice, seldom three times.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import pyarrow as pa

from transforms.columns.decisions import Decider
from transforms.columns.live import LiveShard
from transforms.columns.records import Records, from_batches
from transforms.columns.rules.memory import Memory
from transforms.packets import Packet
from transforms.registry import LiveRun

_COMPACT_AFTER = 200
_TOKEN_BITS: Final = 24


class Bags(NamedTuple):
    """A shard's state cells: the log, the compacted records, and the version of both."""

    log: Any
    kept: Any
    version: Any


class DurableCells:
    """One shard, for the time of one call.

    This process's copy counts only if its version is the one in the engine's state; a restored or moved key is
    built again.
    """

    def __init__(self, make: Callable[[], LiveShard], bags: Bags, run: LiveRun, number: int) -> None:
        self._bags = bags
        self.shard = run.shard(number, make)
        expected = bags.version.read() or 0
        if self.shard.version != expected:
            self.shard = make()
            replay(self.shard, bags.log.read(), bags.kept.read())
            self.shard.version = expected
            run.shards[number] = self.shard
        self._before = _Decided.of(self.shard.decider)

    def save(self, packet: Packet) -> None:
        """Writes what the last packet changed."""
        shard, bags = self.shard, self._bags
        shard.version = next_version(shard.version)
        bags.version.write(shard.version)
        header = {**_header(shard), "tick": bool(packet.header.get("tick"))}
        tables = shard.delta(light=True)
        if "records" in tables:
            shard.loose.append(tables["records"])
        shard.entries += 1
        if shard.entries >= _COMPACT_AFTER and header["tick"]:
            self._compact(header)
            return
        decided = _Decided.of(shard.decider)
        if shard.decider is not None and decided.until != self._before.until:
            header["decided"] = decided.until
            tables |= shard.decider.changes(self._before.memory, self._before.until)
        bags.log.add(Packet(header, tables))

    def _compact(self, header: dict[str, Any]) -> None:
        """Begins the log anew; of the kept records those that matter no more go when they are the half."""
        shard, bags = self.shard, self._bags
        whole = shard.everything()
        records = whole.pop("records", None)
        if shard.kept_rows + sum(t.num_rows for t in shard.loose) > 2 * shard.records_held:
            bags.kept.clear()
            shard.kept_rows, shard.loose = 0, [] if records is None else [records]
        if shard.loose:
            more = pa.concat_tables(shard.loose, promote_options="default")
            bags.kept.add(Packet({"n": shard.version}, {"records": more}))
            shard.kept_rows += more.num_rows
        bags.log.clear()
        bags.log.add(Packet(header, whole))
        shard.loose, shard.entries = [], 1


class _Decided(NamedTuple):
    """What rules had done before a call."""

    until: int
    memory: Memory

    @classmethod
    def of(cls, decider: Decider | None) -> _Decided:
        return cls(_NEVER, Memory()) if decider is None else cls(decider.decided, decider.memory)


_NEVER: Final = -(1 << 62)


def next_version(version: int) -> int:
    """A greater version that nobody else gives: after a restart another process counts on from the same one."""
    return (((version >> _TOKEN_BITS) + 1) << _TOKEN_BITS) + secrets.randbits(_TOKEN_BITS)


def _header(shard: LiveShard) -> dict[str, Any]:
    """The small values, all absolute."""
    return {
        "n": shard.version,
        "counts": shard.counts,
        "watermark": shard.floor,
        "time": shard.watermark,
        "marks": shard.marks,
        "floors": shard.floors,
        "ends": shard.ends,
    }


def replay(shard: LiveShard, log: Iterable[Packet], kept: Iterable[Packet] = ()) -> None:
    """Builds a shard from its log and its kept records; entries come in any order."""
    entries = sorted(log, key=lambda p: int(p.header["n"]))
    if not entries:
        return
    last, first = entries[-1].header, entries[0].tables
    base = int("callers" in first)
    if base:
        records = _records(sorted(kept, key=lambda p: int(p.header["n"])))
        rules = {name: table for name, table in first.items() if name.startswith("rule_")}
        counts, mark = entries[0].header["counts"], entries[0].header["watermark"]
        shard.kept_rows = len(records)
        records = records.take(records.seconds >= mark - shard.live.retention)
        shard.restore([first["callers"]], first.get("cells"), records, counts, mark, rules)
    shown = max((i for i, p in enumerate(entries) if p.header["tick"]), default=-1)
    for number, packet in enumerate(entries[base:], base):
        if "records" in packet.tables:
            shard.recount(_records([packet]))
            shard.loose.append(packet.tables["records"])
        if "decided" in packet.header:
            shard.redecide(packet.header["decided"], packet.tables)
        if number == shown:
            shard.shown()  # what came later is counted, but not shown yet
    shard.counts, shard.marks, shard.floors, shard.ends = (
        dict(last[name]) for name in ("counts", "marks", "floors", "ends")
    )
    shard.advance(last["time"], last["watermark"])
    shard.entries = len(entries)


def _records(packets: Iterable[Packet]) -> Records:
    return from_batches(
        [b for p in packets if "records" in p.tables for b in p.tables["records"].to_batches()]
    )
