"""The one element type that flows between steps: a few Arrow tables with a small header."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
from apache_beam import coders

COUNTED: Final = ("read", "rejected", "late")
"""What the header of a source's packet counts."""


@dataclass(frozen=True)
class Packet:
    """Arrow tables by name, with a header of JSON values.

    A packet is 1-10 MB in the steady state; it is never changed once it is made.
    """

    header: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of its columns."""
        return sum(t.nbytes for t in self.tables.values())


def joined(packets: Sequence[Packet]) -> Packet:
    """Packets of one source as one: rows one after the other, numbers of records added up, else the last header."""
    if len(packets) == 1:
        return packets[0]
    tables: dict[str, list[pa.Table]] = {}
    for packet in packets:
        for name, table in packet.tables.items():
            tables.setdefault(name, []).append(table)
    counts = {n: sum(p.header.get(n, 0) for p in packets) for n in COUNTED}
    whole = {n: pa.concat_tables(t, promote_options="permissive") for n, t in tables.items()}
    return Packet({**packets[-1].header, **counts}, whole)


class PacketCoder(coders.Coder):
    """A packet as bytes: the header as JSON, then an Arrow IPC stream per table.

    ``estimate_size`` is cheap on purpose: without it Beam encodes samples of every step's output.
    """

    def encode(self, value: Packet) -> bytes:
        """Bytes of a packet."""
        parts = [json.dumps({"header": dict(value.header), "tables": list(value.tables)}).encode()]
        parts += [_ipc(table) for table in value.tables.values()]
        return b"".join(struct.pack("<Q", len(part)) + part for part in parts)

    def decode(self, encoded: bytes) -> Packet:
        """The packet of some bytes; its columns are views of them."""
        parts, at = [], 0
        view = memoryview(encoded)
        while at < len(encoded):
            (size,) = struct.unpack_from("<Q", encoded, at)
            parts.append(view[at + 8 : at + 8 + size])
            at += 8 + size
        head = json.loads(bytes(parts[0]))
        tables = [pa.ipc.open_stream(pa.py_buffer(part)).read_all() for part in parts[1:]]
        return Packet(head["header"], dict(zip(head["tables"], tables, strict=True)))

    def estimate_size(self, value: Packet) -> int:
        """Roughly the bytes that encoding would give."""
        return value.nbytes + 256

    def is_deterministic(self) -> bool:
        """Never a key."""
        return False

    def to_type_hint(self) -> type[Packet]:
        """The type that this coder is for."""
        return Packet


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


coders.registry.register_coder(Packet, PacketCoder)
