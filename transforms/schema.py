"""The data's shapes: record fields, Arrow schemas, business types and result columns.

Three shapes follow each other on the data's way:

``parsed``
    What a reader gives: a RecordBatch with one row per record, in input order, whose columns are a subset of
    `RECORD_FIELDS`. Text columns hold what stood in the source, unchecked (null where the field is missing or
    empty); typed columns (numbers, timestamps) are taken as they are. Optional extra columns: ``raw``
    (large_binary: the line as it stood, for rejects), ``line`` (int64: line number or offset, from the
    source's own counting), ``structure`` (string: null where the line has the right shape, else what is
    wrong with it). The schema's metadata says where it comes from, see `Origin`.
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
