"""Results as downloads: CSV that streams with flat memory, JSON packed for the way."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from flask import Response, request, stream_with_context
from werkzeug.wrappers import Request

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_PACK_FROM: Final = 1024


def csv_response(name: str, columns: Sequence[str], pages: Iterable[Sequence[Mapping[str, Any]]]) -> Response:
    """A CSV download.

    Args:
        name: of the file, without ``.csv``.
        columns: the header, and the keys of each row.
        pages: rows, some at a time: a page is sent before the next one is read.
    """
    return csv_download(name, _lines(columns, pages))


def csv_download(name: str, lines: Iterator[bytes]) -> Response:
    """A CSV download of lines that are ready, some at a time."""
    response = Response(stream_with_context(lines), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _lines(columns: Sequence[str], pages: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for page in pages:
        writer.writerows([safe_cell(row[name]) for name in columns] for row in page)
        yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return text


def safe_cell(value: Any) -> Any:
    """A cell that no spreadsheet runs as a formula; numbers with their plus sign stay as they are.

    >>> safe_cell("=1+1"), safe_cell("+12025550123"), safe_cell(-3)
    ("'=1+1", '+12025550123', -3)
    """
    if isinstance(value, str) and value.startswith(_FORMULA) and not value[1:].isdigit():
        return f"'{value}"
    return value


def packed(response: Response) -> Response:
    """The same JSON, packed where the browser takes that; pages stay as they are (they hold secrets)."""
    whole = not response.is_streamed and response.mimetype == "application/json"
    if not whole or "Content-Encoding" in response.headers or not accepts_gzip(request):
        return response
    body = response.get_data()
    if len(body) >= _PACK_FROM:
        response.set_data(gzip.compress(body, 5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        response.vary.add("Accept-Encoding")
    return response


def accepts_gzip(asked: Request) -> bool:
    """Whether the browser takes packed answers."""
    return "gzip" in asked.headers.get("Accept-Encoding", "")
