"""``python -m pipelines.deliver``: sends what waits to be sent, or writes it to a file for another tool."""

from __future__ import annotations

import argparse
import getpass
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

from callbeam_io.delivery.export import export_pages
from callbeam_io.delivery.facts import PAUSED
from callbeam_io.delivery.moments import text_of
from callbeam_io.delivery.sender import Sender
from callbeam_io.delivery.webhook import WEBHOOK, signing_webhook
from callbeam_io.store import Store, deliveries, open_store
from callbeam_io.store.web_accounts import log
from pipelines.signals import draining
from transforms.columns.windows import parse_duration
from transforms.errors import OptionError, RequestError, StoreError

DONE, FAILED, WRONG = 0, 1, 2
_EPILOG: Final = """\
examples:
  python -m pipelines.deliver --store sqlite:///callbeam.db
  python -m pipelines.deliver --once
  python -m pipelines.deliver --export today.csv --ahead 12h

Only what may still be contacted leaves: consent, suppression, pause and quiet hours are asked at that moment.
Exit status: 0 done; 1 the store failed; 2 the request was wrong, nothing was sent.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; gives its exit status."""
    flags = _parser().parse_args(argv)
    try:
        ahead = parse_duration(flags.ahead, "--ahead")
        seconds = parse_duration(flags.stop_after, "--stop_after") if flags.stop_after else None
        store = open_store(flags.store, create=False)
        try:
            _refuse(store, flags)
            if flags.export:
                _export(store, flags.export, ahead, flags.rule)
            else:
                _send(store, seconds, once=flags.once)
        finally:
            store.close()
    except (RequestError, StoreError) as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return WRONG if isinstance(error, RequestError) else FAILED
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.deliver",
        description="Sends the promotions that wait to be sent to the webhook, at the set rate, until it is stopped.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--store", default="sqlite:///callbeam.db", metavar="URL", help="result store (%(default)s)")
    add("--once", action="store_true", help="send what is due now, then end")
    add("--stop_after", default=None, metavar="TIME", help="end after a time")
    add(
        "--export",
        default=None,
        metavar="FILE",
        help="write CSV for a dialler or mail tool instead; - prints it",
    )
    add("--ahead", default="0s", metavar="TIME", help="export also what is due within this time (0s)")
    add("--rule", default=None, metavar="ID", help="export only this rule's")
    return parser


def _refuse(store: Store, flags: argparse.Namespace) -> None:
    """What cannot be done is said before anything is."""
    paused = store.control(PAUSED)
    if paused and (flags.export or flags.once):
        raise OptionError(
            f"all promotions are paused, by {paused.get('by')} since {paused.get('at')}",
            todo="resume them in the web app first",
        )
    if not flags.export and signing_webhook(store, store.control(WEBHOOK)) is None:
        raise OptionError(
            "no webhook is set up",
            "where to send promotions",
            "set one up at /promotions/webhook, or use --export",
        )


def _send(store: Store, seconds: float | None, *, once: bool) -> None:
    sender, stop = Sender(store), threading.Event()
    if once and not sender.has_lock():
        sender.close()
        raise OptionError(
            f"the promotions of {store.name} are being sent by another process", "no other sender"
        )
    before = deliveries.counts(store)
    end = None if seconds is None else time.monotonic() + seconds
    sender.start()
    try:
        with draining(stop.set):
            while not stop.wait(0.2) and (end is None or time.monotonic() < end):
                if once and not _is_due(store):
                    break
    finally:
        sender.close()
    print(_said(before, deliveries.counts(store)))


def _is_due(store: Store) -> bool:
    """Whether something could be sent at this moment."""
    with store.reading() as connection:
        return bool(deliveries.due(connection, text_of(time.time()), 1))


def _said(before: dict[str, int], after: dict[str, int]) -> str:
    changed = [
        f"{after.get(s, 0) - before.get(s, 0):,} {s}" for s in ("sent", "failed", "withdrawn", "expired")
    ]
    return f"callbeam: {', '.join(changed)}; {after.get(deliveries.WAITING, 0):,} wait"


def _export(store: Store, path: str, ahead: int, rule: str | None) -> None:
    by, before = _who(), deliveries.counts(store)
    pages = export_pages(store, time.time, ahead, by, {"rule_id": rule} if rule else None)
    with ExitStack() as stack:
        out: BinaryIO = sys.stdout.buffer if path == "-" else stack.enter_context(_new(Path(path)))
        for page in pages:
            out.write(page)
    count = deliveries.counts(store).get("exported", 0) - before.get("exported", 0)
    log(store, by, "deliveries exported", path, {"rows": count})
    print(f"callbeam: {count:,} promotions exported", file=sys.stderr)


def _who() -> str:
    """Who does it, for the audit log."""
    try:
        return f"command:{getpass.getuser()}"
    except (KeyError, OSError):
        return "command:command line"


def _new(path: Path) -> BinaryIO:
    """A file that only its owner can read: it holds people's phone numbers."""
    try:
        path.touch(mode=0o600, exist_ok=False)
        return path.open("wb")
    except OSError as error:
        raise OptionError(f"--export {path}: {error.strerror}", "a file that is not there yet") from error


if __name__ == "__main__":
    sys.exit(main())
