"""Uploaded files: lists that wait for a word in a folder of this user alone, for an hour; records beside the store."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from flask import Flask, Request, request
from werkzeug.datastructures import FileStorage
from werkzeug.utils import secure_filename

from webui.config import WebConfig
from webui.roles import ADMIN, VIEWER, may
from webui.services import jobs

KEPT: Final = 3600
SMALL: Final = 512 << 10
"""Bytes of an upload that are kept in memory while it is received; strangers may send no more in all."""
BIG: Final = frozenset({"new_run.new_run", "api drafts.begin"})
"""Endpoints that take files of records."""
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")


class StreamingRequest(Request):
    """A request whose uploads go to the disk that the store is on while they are received."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        if total_content_length is not None and total_content_length <= SMALL:
            return BytesIO()
        folder = jobs().folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)


def install(app: Flask, config: WebConfig) -> None:
    """Lets administrators send files of records, and strangers none; must stand before whatever reads a form."""
    app.request_class = StreamingRequest

    def allow() -> None:
        if request.endpoint in BIG and may(ADMIN):
            request.max_content_length = config.max_file
        elif request.method not in ("GET", "HEAD") and not may(VIEWER):
            request.max_content_length = SMALL

    app.before_request(allow)


def keep(upload: FileStorage) -> str:
    """Keeps an upload; gives the token by which `kept` finds it."""
    _forget_old()
    token = secrets.token_hex(16)
    folder = _folder() / token
    folder.mkdir(mode=0o700)
    upload.save(folder / (secure_filename(upload.filename or "") or "list.csv"))
    return token


def kept(token: str) -> Path | None:
    """The file of a token, under the name that it was uploaded with; None where it is gone."""
    if _TOKEN.fullmatch(token) is None:
        return None
    return next((p for p in (_folder() / token).glob("*") if p.is_file()), None)


def forget(token: str) -> None:
    """Removes the file of a token."""
    path = kept(token)
    if path is not None:
        path.unlink(missing_ok=True)
        path.parent.rmdir()


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"callbeam-uploads-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.is_symlink():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder


def _forget_old() -> None:
    for place in _folder().glob("*"):
        if _TOKEN.fullmatch(place.name) and time.time() - place.stat().st_mtime > KEPT:
            forget(place.name)
