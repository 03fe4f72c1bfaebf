"""Secrets that the store keeps for others (a mail server's password, a webhook's): sealed with a key outside of it.

The key is the text in ``CALLBEAM_KEY``, else the file that ``CALLBEAM_KEY_FILE`` names, else, for a SQLite store,
``<file>.key`` beside it. A file is made with the first secret. Several keys, one a line or with commas, are a change
of keys under way: the first one seals, all of them open.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from callbeam_io.store.base import StoreBase
from callbeam_io.store.engines import is_sqlite
from transforms.errors import OptionError

KEY: Final = "CALLBEAM_KEY"
KEY_FILE: Final = "CALLBEAM_KEY_FILE"
_MARK: Final = "sealed:1:"
_MAKE: Final = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())" makes one'
)


class NoKey(OptionError):
    """There is no key, or it is not the one that a secret was sealed with."""


def is_sealed(text: str) -> bool:
    """Whether a text of the store is sealed; what was written by older versions is not."""
    return text.startswith(_MARK)


def seal(store: StoreBase, text: str, purpose: str) -> str:
    """A secret as it may stand in the store; nothing stays nothing.

    Args:
        store: where it is to be kept.
        text: the secret.
        purpose: what it is for, such as ``mail user@host``: it opens for nothing else.

    Raises:
        NoKey: there is none, and none can be made.
    """
    if not text:
        return ""
    return _MARK + _fernet(store, make=True).encrypt(f"{purpose}\0{text}".encode()).decode()


def opened(store: StoreBase, text: str, purpose: str) -> str:
    """The secret in a text of the store; one that is not sealed is it.

    Raises:
        NoKey: the key is missing or another one, or the secret is for something else.
    """
    if not is_sealed(text):
        return text
    try:
        plain = _fernet(store, make=False).decrypt(text.removeprefix(_MARK).encode()).decode()
    except InvalidToken:
        raise NoKey(
            f"a secret of {store.name} does not open with the key in {_place(store)}",
            "the key that it was sealed with",
            "bring that back, or give the secret anew",
        ) from None
    said, _, secret = plain.partition("\0")
    if said != purpose:
        raise NoKey(
            f"a secret of {store.name} was sealed for something else", purpose, "give the secret anew"
        )
    return secret


def derived_key(store: StoreBase, purpose: str) -> str | None:
    """Another key for one purpose, always the same; None where no key is named for a store that is no file.

    Raises:
        NoKey: it cannot be read or made.
    """
    if not os.environ.get(KEY) and _path(store) is None:
        return None
    return hmac.new(_keys(store, make=True)[0].encode(), purpose.encode(), hashlib.sha256).hexdigest()


def _fernet(store: StoreBase, *, make: bool) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in _keys(store, make=make)])


def _keys(store: StoreBase, *, make: bool) -> list[str]:
    """The keys, at least one."""
    path, text = _path(store), os.environ.get(KEY)
    if not text and path is None:
        todo = f"set {KEY_FILE} to a file, the same for all processes of the store"
        raise NoKey(f"there is no key for the secrets of {store.name}", f"{KEY_FILE} or {KEY}", todo)
    if not text and path is not None:
        text = _read(path, make=make)
    keys = (text or "").replace(",", " ").split()
    try:
        if [Fernet(key) for key in keys]:
            return keys
    except ValueError:
        pass
    raise NoKey(f"the key in {_place(store)} is none", "32 bytes in URL-safe base64", _MAKE)


def _place(store: StoreBase) -> str:
    return KEY if os.environ.get(KEY) else str(_path(store))


def _path(store: StoreBase) -> Path | None:
    named = os.environ.get(KEY_FILE)
    if named:
        return Path(named)
    return Path(f"{store.engine.url.database}.key") if is_sqlite(store.engine.url) else None


def _read(path: Path, *, make: bool) -> str:
    try:
        if make and not path.exists():
            _make(path)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        todo = "bring it back from a backup, or give the secrets of the store anew"
        raise NoKey(
            f"the key {path} cannot be read: {reason}", f"the file, or the key in {KEY}", todo
        ) from None


def _make(path: Path) -> None:
    """A new key that only its owner can read: whole from its beginning, and of several writers the first one's."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
