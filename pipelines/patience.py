"""Waiting for a result store that is locked, full or away for a moment."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

from callbeam_io.store import mends
from transforms.errors import StoreError

PAUSE: Final = 1.0


def patiently(work: Callable[[], object], pause: float = PAUSE) -> None:
    """Calls until it succeeds.

    Raises:
        StoreError: one that does not mend by itself.
    """
    said = ""
    while True:
        try:
            work()
            return
        except StoreError as error:
            if not mends(error):
                raise
            if str(error) != said:
                said = str(error)
                print(f"callbeam: {said} (trying again)", file=sys.stderr, flush=True)
        time.sleep(pause)


def unless_away(work: Callable[[], object]) -> str | None:
    """Calls once; gives the trouble where the store is locked, full or away.

    Raises:
        StoreError: one that does not mend by itself.
    """
    try:
        work()
    except StoreError as error:
        if not mends(error):
            raise
        return str(error)
    return None
