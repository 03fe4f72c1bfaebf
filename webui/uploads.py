"""Uploaded files that wait for a word: kept in a folder of this user alone, for an hour."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
from pathlib import Path
from typing import Final

from werkzeug.datastructures import FileStorage
from werkzeug.utils import secure_filename

KEPT: Final = 3600
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")


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
