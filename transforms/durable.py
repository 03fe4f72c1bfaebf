"""A shard's state where the engine keeps it: a log of changes in Beam's state, a live copy in the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from transforms.columns.live import LiveShard
from transforms.columns.records import from_batches
from transforms.packets import Packet
from transforms.registry import LiveRun

_COMPACT_AFTER = 200


class DurableCells:
    """One shard, for the time of one call.

    On an engine without durable state (``state`` is None) it is this process's own. Otherwise the process's
    copy counts only if its version is the one in the engine's state; a restored or moved key is built again
    from the log.
    """

    def __init__(
        self, key: str, make: Callable[[], LiveShard], state: Any, version: Any, run: LiveRun, number: int
    ) -> None:
        self._state, self._version, self._run, self._number = state, version, run, number
        self.shard = run.shard(number, make)
        if state is None:
            return
        expected = version.read() or 0
        if self.shard.version != expected:
            self.shard = make()
            replay(self.shard, state.read())
            self.shard.version = expected
            run.shards[number] = self.shard

    def save(self, packet: Packet) -> None:
        """Writes what the last packet changed."""
        if self._state is None:
            return
        shard = self.shard
        header: dict[str, Any] = {"counts": shard.counts, "watermark": shard.floor, "marks": shard.marks}
        self.shard.version += 1
        self._version.write(self.shard.version)
        header |= {"n": self.shard.version, "tick": bool(packet.header.get("tick"))}
        self.shard.entries += 1
        if self.shard.entries >= _COMPACT_AFTER and header["tick"]:
            self._state.clear()
            self._state.add(Packet(header, self.shard.everything()))
            self.shard.entries = 1
        else:
            self._state.add(Packet(header, self.shard.delta(light=True)))


def replay(shard: LiveShard, log: Iterable[Packet]) -> None:
    """Builds a shard from its log; entries come in any order."""
    entries = sorted(log, key=lambda p: int(p.header["n"]))
    if not entries:
        return
    last = entries[-1].header
    first = entries[0].tables
    base = int("callers" in first)
    if base:
        kept = from_batches(first["records"].to_batches() if "records" in first else [])
        shard.restore([first["callers"]], first.get("cells"), kept, last["counts"], last["watermark"])
    shown = max((i for i, p in enumerate(entries) if p.header["tick"]), default=-1)
    for number, packet in enumerate(entries[base:], base):
        if "records" in packet.tables:
            shard.recount(from_batches(packet.tables["records"].to_batches()))
        if number == shown:
            shard.shown()  # what came later is counted, but not shown yet
    shard.counts, shard.marks = dict(last["counts"]), dict(last["marks"])
    shard.advance(last["watermark"])
    shard.entries = len(entries)
