"""The data's shapes: record fields, Arrow schemas, business types and result columns.

Three shapes follow each other on the data's way:

``parsed``
    What a reader gives: a RecordBatch with one row per record, in input order, whose columns are a subset of
    `RECORD_FIELDS`. Text columns hold what stood in the source, unchecked (null where the field is missing or
    empty); typed columns (numbers, timestamps) are taken as they are. Optional extra columns: ``raw``
    (binary or binary_view: the line as it stood, for rejects), ``line`` (text: line number, offset or message
    id), ``row_line`` (int64: physical line of each row), ``bad_field`` and ``bad_reason`` (text: null where the
    line has the right shape, else what is wrong with it), ``cuts`` (in place of the text columns: per field a
    struct of ``at`` and ``size``, its place in the block that ``raw`` shows). The schema's metadata says where it
    comes from, see `Origin`.
``records``
    What cleaning makes of it: `RECORDS`, all columns set, nothing in text but what has to be.
``tables``
    Rows of the result tables, see `TABLES`.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

RECORD_FIELDS: Final = (
    "id",
    "calling_number",
    "called_number",
    "start_time",
    "duration",
    "call_type",
    "charge",
    "call_result",
    "account_id",
)
"""The fields of a record, in the order of the canonical CSV header (``account_id`` is optional)."""

CALL_TYPES: Final = ("VOICE", "SMS")
CALL_RESULTS: Final = ("ANSWERED", "BUSY", "NO_ANSWER", "FAILED")

BUSINESS_TYPES: Final[tuple[tuple[str, str], ...]] = (
    ("Business", "Business"),
    ("Banking", "Business"),
    ("Financial agency", "Business"),
    ("Job", "Business"),
    ("Legal agency", "Agency"),
    ("Housekeeping and property management", "Agency"),
    ("School", "Education"),
    ("Extracurricular training camp", "Education"),
    ("Hospital (including health care)", "Health"),
    ("Clinic (including dentist)", "Health"),
    ("Food (including takeaway)", "AD"),
    ("Dress code (booking and buying)", "AD"),
    ("Housing (including rental)", "AD"),
    ("Traveling", "AD"),
    ("Emergency", "Emergency"),
    ("Private", "Private"),
)
"""The default business types with their tags, in order; a number that no directory lists is ``Private``."""

PRIVATE: Final = "Private"
SHARDS: Final = 64
"""Shards in batch: a subscriber's shard is `columns.hashing.shard_of` its code, the same everywhere."""

RECORDS: Final = pa.schema(
    [
        pa.field("caller", pa.int64(), nullable=False),  # party code, see below
        pa.field("called", pa.int64(), nullable=False),
        pa.field(
            "id_hash", pa.uint64(), nullable=False
        ),  # of the id, of the whole record where there is none
        pa.field("start", pa.int64(), nullable=False),  # microseconds since 1970 UTC
        pa.field("offset", pa.int32(), nullable=False),  # seconds to add to UTC for the record's local time
        pa.field("duration", pa.int32(), nullable=False),  # whole seconds
        pa.field("charge", pa.int64(), nullable=False),  # millionths
        pa.field(
            "kind", pa.uint8(), nullable=False
        ),  # call_type * 4 + call_result (positions in the tuples above)
        pa.field("called_type", pa.uint8(), nullable=False),  # position in the list of business types
        pa.field("called_region", pa.uint16(), nullable=False),  # position in columns.regions.REGIONS
        # Text only where it is needed, null (or the column absent) elsewhere:
        pa.field("id", pa.large_string()),
        pa.field("account_id", pa.large_string()),
        pa.field("caller_text", pa.large_string()),  # of parties that are no numbers
        pa.field("called_text", pa.large_string()),
    ]
)
"""A cleaned record. A party code is the digits of the E.164 number (positive) or, for what is no phone
number, a negative 63-bit hash of its text."""

REJECTS: Final = pa.schema(
    [
        pa.field("source", pa.large_string(), nullable=False),
        pa.field("line", pa.large_string(), nullable=False),
        pa.field("field", pa.large_string(), nullable=False),
        pa.field("reason", pa.large_string(), nullable=False),
        pa.field("raw", pa.large_string(), nullable=False),
    ]
)
"""Rejected records as columns: the fields of `errors.BadRecord`."""

ALL_START: Final = "1970-01-01 00:00:00"
ALL_END: Final = "9999-12-31 00:00:00"
TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"

_WINDOW = (("window_start", "time"),)
_COUNTS = (
    ("window_end", "time"),
    ("calls", "int"),
    ("answered", "int"),
    ("messages", "int"),
    ("duration_s", "int"),
)

TABLE_KEYS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "duration_by_hour": (*_WINDOW, ("hour", "int")),
    "business_types": (*_WINDOW, ("business_type", "text")),
    "type_graph": (*_WINDOW, ("caller_type", "text"), ("called_type", "text")),
    "regions": (*_WINDOW, ("region", "text")),
    "subscribers": (("subscriber", "text"),),
    "rejects": (("source", "text"), ("line", "text")),
}
"""Per result table the key columns after ``run_id``, with their kinds (``time int float text json``)."""

TABLE_VALUES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "duration_by_hour": _COUNTS,
    "business_types": (("window_end", "time"), ("tag", "text"), *_COUNTS[1:]),
    "type_graph": _COUNTS,
    "regions": _COUNTS,
    "subscribers": (
        ("account_id", "text"),
        ("window_start", "time"),
        *_COUNTS,
        ("charge", "float"),
        ("international", "int"),
        ("first_seen", "time"),
        ("last_seen", "time"),
        ("business_type", "text"),
        ("business_type_count", "int"),
        ("tag", "text"),
        ("tag_count", "int"),
        ("best_weekday", "int"),
        ("best_weekday_count", "int"),
        ("best_hour", "int"),
        ("best_hour_count", "int"),
        ("contact_from", "int"),
        ("contact_to", "int"),
        ("contact_hit_rate", "float"),
        ("cluster", "int"),
    ),
    "rejects": (("field", "text"), ("reason", "text"), ("raw", "text")),
}
"""Per result table the other columns. Times are text ``YYYY-MM-DD HH:MM:SS`` (UTC)."""

TEMPLATES: Final = ("duration_by_hour", "business_types", "regions", "subscribers", "type_graph")
EXTRA_TEMPLATES: Final = ("clusters",)


def origin(schema: pa.Schema) -> dict[str, str]:
    """Where a parsed batch comes from: the schema's metadata as text.

    Keys: ``source`` (path, topic/partition, subscription), ``order`` (text that sorts as the input order:
    file name order and position), ``first_line`` (line number of row 0, where there is no ``line`` column;
    absent where only the reader can count it).
    """
    return {k.decode(): v.decode() for k, v in (schema.metadata or {}).items()}


def with_origin(batch: pa.RecordBatch, **origin: str) -> pa.RecordBatch:
    """The same batch with these texts added to its schema's metadata."""
    old = batch.schema.metadata or {}
    return batch.replace_schema_metadata({**old, **{k.encode(): v.encode() for k, v in origin.items()}})
