"""What the web app is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class WebConfig:
    """Settings of one web app.

    Attributes:
        store: SQLAlchemy URL of the result store.
        secret_key: signs the session cookies; None: the one that all web processes of a store share, so
            that a restart signs nobody out.
        session_hours: how long a sign-in lasts, whatever happens meanwhile.
        max_upload: bytes of one upload.
        max_file: bytes of a file of records that an administrator uploads.
        data_folders: folders of this machine whose files an administrator may have read.
        background: whether a thread watches the store for the status line; without it the store is
            asked when a page is drawn.
    """

    store: str
    secret_key: str | None = None
    session_hours: float = 12.0
    max_upload: int = 64 * MEGABYTE
    max_file: int = 2048 * MEGABYTE
    data_folders: tuple[str, ...] = ()
    background: bool = False
