"""Ctrl-C and SIGTERM of a streaming run: the first one drains, the second one cancels."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def draining(drain: Callable[[], None]) -> Iterator[None]:
    """Calls ``drain`` at the first signal and raises KeyboardInterrupt at the next one, inside the block."""
    count = 0

    def heard(_: int, __: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt
        print("callbeam: draining; once more to cancel", file=sys.stderr, flush=True)
        drain()

    previous = [signal.signal(number, heard) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(_SIGNALS, previous, strict=True):
            signal.signal(number, handler)
