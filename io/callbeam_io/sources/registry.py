"""Live inputs by their scheme; a broker's client is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

from callbeam_io.sources.feeds import Feed
from transforms.errors import InputError

SCHEMES: Final = ("dir://", "kafka://", "pubsub://", "generator:")
SPOOL: Final = "callbeam.spool"
"""Folder of the spools, if nobody says where."""
_PACKAGES: Final = {"kafka": ("confluent_kafka", "kafka"), "pubsub": ("google.pubsub_v1", "gcp")}


def is_live(text: str) -> bool:
    """Whether an ``--input`` is a live feed."""
    return text.startswith(SCHEMES)


def open_feed(text: str, input_format: str, timezone: str, spool: str = SPOOL) -> Feed:
    """The feed of a live ``--input``; nothing is connected yet.

    Args:
        text: ``dir:///path``, ``kafka://host:9092/topic``, ``pubsub://projects/P/subscriptions/S`` or
            ``generator:``.
        input_format: as ``--input_format``.
        timezone: as ``--timezone``.
        spool: folder beside the store, the same when the run goes on; Pub/Sub's messages lie there between
            their acknowledgement and the snapshot that has them.

    Raises:
        InputError: it is none of these, cannot be read, or a package is missing that reads it.
    """
    scheme = next((s for s in SCHEMES if text.startswith(s)), "")
    if not scheme:
        raise InputError(f"--input {text}", f"one of {', '.join(f'{s}…' for s in SCHEMES)}")
    return _OPENERS[scheme.rstrip(":/")](text, input_format, timezone, spool)


def _folder(text: str, input_format: str, timezone: str, _spool: str) -> Feed:
    from callbeam_io.sources.folder import open_folder

    return open_folder(text, input_format, timezone)


def _kafka(text: str, input_format: str, timezone: str, _spool: str) -> Feed:
    _need("kafka")
    from callbeam_io.sources.kafka import open_kafka

    return open_kafka(text, input_format, timezone)


def _pubsub(text: str, input_format: str, timezone: str, spool: str) -> Feed:
    _need("pubsub")
    from callbeam_io.sources.pubsub import open_pubsub

    return open_pubsub(text, input_format, timezone, Path(spool))


def _generator(text: str, _input_format: str, timezone: str, _spool: str) -> Feed:
    from callbeam_io.sources.generator import open_generator

    return open_generator(text, timezone)


_OPENERS: Final[dict[str, Callable[[str, str, str, str], Feed]]] = {
    "dir": _folder,
    "kafka": _kafka,
    "pubsub": _pubsub,
    "generator": _generator,
}


def _need(scheme: str) -> None:
    package, extra = _PACKAGES[scheme]
    try:
        import_module(package)
    except ImportError as error:
        raise InputError(
            f"--input {scheme}://… needs the package {package.partition('.')[0]} ({error})",
            todo=f"pip install 'callbeam[{extra}]'",
        ) from error
