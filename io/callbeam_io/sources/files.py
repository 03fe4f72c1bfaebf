"""Files as a source: blocks of bytes, read in parallel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from callbeam_io.inputs import Block, line_numbers, read_cut


@dataclass(frozen=True)
class FileSource:
    """The blocks of some planned files.

    Attributes:
        blocks: in input order, see `callbeam_io.inputs.plan_inputs`.
    """

    blocks: tuple[Block, ...]

    def read(self) -> beam.PTransform:
        """``Pipeline -> PCollection[Block]``, spread over the workers."""
        return beam.Create(list(self.blocks), reshuffle=len(self.blocks) > 1).with_output_types(Block)

    def load(self, element: Block) -> Iterator[pa.RecordBatch]:
        """The parsed batches of a block."""
        return read_cut(element)

    def lines(self, element: Block, batch: pa.RecordBatch, rows: NDArray[np.int64]) -> list[str]:
        """Line numbers from 1."""
        if "line" in batch.schema.names:
            return [str(batch.column("line")[row].as_py()) for row in rows.tolist()]
        return [str(n) for n in line_numbers(element, rows, batch)]

    def size(self, element: Block) -> int:
        """Bytes of the block."""
        return element.size
