"""Packets: Arrow tables with a header, as bytes and back."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest
from apache_beam import coders

from transforms.packets import Packet, PacketCoder

CODER = PacketCoder()
TABLES = {
    "numbers": pa.table({"n": pa.array([1, None, 3], pa.int64())}),
    "texts": pa.table({"t": pa.array(["ä", "", None], pa.large_string())}),
    "empty": pa.table({"n": pa.array([], pa.uint32())}),
    "chunks": pa.concat_tables([pa.table({"n": [1]}), pa.table({"n": [2]})]),
}


@pytest.mark.parametrize(
    "packet",
    [
        Packet(),
        Packet({"order": "0001", "counts": {"read": 3}, "end": None, "tick": True}),
        Packet({"watermark": -(1 << 40)}, TABLES),
        Packet({}, {"slice": TABLES["numbers"].slice(1, 1)}),
    ],
)
def test_there_and_back(packet: Packet) -> None:
    again = CODER.decode(CODER.encode(packet))
    assert again.header == packet.header
    assert list(again.tables) == list(packet.tables)
    assert all(again.tables[n].equals(t) for n, t in packet.tables.items())


def test_beam_takes_the_coder_for_packets() -> None:
    assert isinstance(coders.registry.get_coder(Packet), PacketCoder)
    assert not CODER.is_deterministic()
    assert isinstance(pickle.loads(pickle.dumps(CODER)), PacketCoder)


def test_the_size_is_estimated_without_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    packet = Packet({"x": 1}, {"numbers": pa.table({"n": pa.array(range(100_000))})})
    encoded = len(CODER.encode(packet))
    monkeypatch.setattr(PacketCoder, "encode", lambda *_: pytest.fail("encoded"))
    assert CODER.estimate_size(packet) == pytest.approx(encoded, rel=0.05)
    assert packet.nbytes == 800_000
