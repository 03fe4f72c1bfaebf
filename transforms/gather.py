"""Bringing the packets of all shards together."""

from __future__ import annotations

from collections.abc import Iterable

import apache_beam as beam

from transforms.packets import Packet


class GatherPackets(beam.CombineFn):
    """Keeps packets as they are until all are there; `together` makes one of them."""

    def create_accumulator(self) -> list[Packet]:
        """Nothing yet."""
        return []

    def add_input(self, mutable_accumulator: list[Packet], element: Packet) -> list[Packet]:
        """One more packet."""
        mutable_accumulator.append(self.kept(element))
        return mutable_accumulator

    def merge_accumulators(self, accumulators: Iterable[list[Packet]]) -> list[Packet]:
        """Those of several workers."""
        return [packet for packets in accumulators for packet in packets]

    def extract_output(self, accumulator: list[Packet]) -> Packet:
        """One packet of all."""
        return self.together(accumulator)

    def kept(self, packet: Packet) -> Packet:
        """What is needed of a packet."""
        return packet

    def together(self, packets: list[Packet]) -> Packet:
        """One packet of all."""
        raise NotImplementedError
