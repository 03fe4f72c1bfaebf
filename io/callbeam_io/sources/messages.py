"""Messages of a broker on their way to a chunk: how many to take, and a parse that no message can break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl
import pyarrow as pa

from callbeam_io.formats.payloads import MessageParser
from transforms.schema import with_origin

CHUNK_ROWS: Final = 50_000
CHUNK_BYTES: Final = 8 << 20
_GROWTH: Final = 4


@dataclass
class Pace:
    """How many messages make a chunk of some 50,000 rows or 8 MB.

    Attributes:
        most: messages that may be asked for at once.
        messages: how many to take next.
    """

    most: int
    messages: int = 64

    def saw(self, messages: int, rows: int, size: int) -> None:
        """Tells what some messages came to."""
        fitting = messages * min(CHUNK_ROWS / max(rows, 1), CHUNK_BYTES / max(size, 1))
        self.messages = max(1, min(int(fitting), _GROWTH * self.messages, self.most))


def parse_messages(
    parser: MessageParser, payloads: Sequence[bytes], ids: Sequence[int | str], source: str
) -> pa.RecordBatch:
    """The records of messages, see `MessageParser.parse`.

    A message on which the parser itself fails is found by halving and becomes a row with ``bad_reason``: read
    again after a restart, it would fail again, and the feed would never get past it.
    """
    try:
        return parser.parse(payloads, ids, source=source)
    except (pl.exceptions.PolarsError, pa.ArrowException, ValueError, LookupError, RecursionError) as error:
        if len(payloads) == 1:
            return _refused(payloads[0], ids[0], source, type(error).__name__)
    half = len(payloads) // 2
    parts = [
        parse_messages(parser, payloads[part], ids[part], source) for part in (slice(half), slice(half, None))
    ]
    tables = [pa.Table.from_batches([part]) for part in parts]
    joined = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    return with_origin(joined.to_batches()[0], source=source)


def _refused(payload: bytes, key: int | str, source: str, error: str) -> pa.RecordBatch:
    columns = {
        "bad_field": pa.array([""], pa.string_view()),
        "bad_reason": pa.array([f"cannot be read ({error})"], pa.string_view()),
        "raw": pa.array([payload], pa.binary_view()),
        "line": pa.array([str(key)]),
    }
    return with_origin(pa.RecordBatch.from_pydict(columns), source=source)
