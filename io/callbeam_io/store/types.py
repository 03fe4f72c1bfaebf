"""Column types that give the same text in the database and the same value in Python on every engine."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import pyarrow as pa
from sqlalchemy import BigInteger, Boolean, Double, LargeBinary, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from transforms.schema import TIME_FORMAT


def utc_text(moment: datetime | None = None) -> str:
    """A moment (default: now) as text ``YYYY-MM-DD HH:MM:SS`` in UTC; one without a zone is taken as UTC."""
    moment = datetime.now(UTC) if moment is None else moment
    return (moment if moment.tzinfo is None else moment.astimezone(UTC)).strftime(TIME_FORMAT)


def json_text(value: object) -> str:
    """The one JSON text of a value: compact, keys in their given order, letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class KeyText(TypeDecorator[str]):
    """Text that sorts by code point on every engine, as Python sorts it."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """PostgreSQL would sort by the database's locale."""
        return dialect.type_descriptor(Text(collation="C") if dialect.name == "postgresql" else Text())


class TimeText(KeyText):
    """A time as text ``YYYY-MM-DD HH:MM:SS`` (UTC); takes the text or a datetime, gives the text."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """One text per time: a datetime becomes UTC without fractions."""
        return utc_text(value) if isinstance(value, datetime) else value


class JsonText(TypeDecorator[Any]):
    """A JSON value, stored as text on PostgreSQL too, so that what was written is what is read."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """None stays null."""
        return None if value is None else json_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """The value that the text stands for; None for one that is no JSON: somebody else wrote it."""
        try:
            return None if value is None else json.loads(value)
        except (ValueError, RecursionError):
            return None


class Kind(NamedTuple):
    """How a kind of column is declared, and in which Arrow type its values are written and read."""

    sql: type[TypeEngine[Any]]
    arrow: pa.DataType


KINDS: Final[dict[str, Kind]] = {
    "text": Kind(KeyText, pa.large_string()),
    "time": Kind(TimeText, pa.large_string()),
    "json": Kind(JsonText, pa.large_string()),
    "int": Kind(BigInteger, pa.int64()),
    "float": Kind(Double, pa.float64()),
    "bool": Kind(Boolean, pa.bool_()),
    "bytes": Kind(LargeBinary, pa.large_binary()),
}
"""The kinds of columns, named as in `transforms.schema.TABLE_KEYS`."""
