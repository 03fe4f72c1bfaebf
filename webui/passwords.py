"""Passwords and tokens: made, hashed, checked. Nothing of them is stored but hashes."""

from __future__ import annotations

import hashlib
import secrets
import string
from functools import lru_cache
from typing import Final

from werkzeug.security import check_password_hash, generate_password_hash

SHORTEST: Final = 8
_ALPHABET: Final = "".join(c for c in string.ascii_letters + string.digits if c not in "0O1lI")


def problem(password: str, username: str = "") -> str | None:
    """What is wrong with a new password, or None."""
    if len(password) < SHORTEST:
        return f"At least {SHORTEST} characters."
    if username and password.lower() == username.lower():
        return "The user name is no password."
    if len(set(password)) < 4:
        return "At least four different characters."
    return None


def hashed(password: str) -> str:
    """The slow, salted hash that is stored."""
    return generate_password_hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether it is the password; without a hash (no such user) it takes as long and is False."""
    right = check_password_hash(password_hash or _nobody(), password)
    return right and password_hash is not None


@lru_cache
def _nobody() -> str:
    return generate_password_hash(secrets.token_hex())


def fingerprint(password_hash: str) -> str:
    """Stands for a password in sessions, so that they end when it is changed."""
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16]


def generated() -> str:
    """A new password of 16 characters that are hard to confuse (93 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def new_token() -> str:
    """A new secret for an API token or a sign-in link."""
    return secrets.token_urlsafe(32)


def token_hash(secret: str) -> str:
    """The hash by which a token is known; tokens are random and long, so a fast one will do."""
    return hashlib.sha256(secret.encode()).hexdigest()
