"""Work on shards beside each other: NumPy and Arrow release the interpreter's lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

A = TypeVar("A")
B = TypeVar("B")

_COUNT: Final = int(os.environ.get("CALLBEAM_THREADS", 0)) or min(8, os.cpu_count() or 1)
_POOL: Final = ThreadPoolExecutor(_COUNT, thread_name_prefix="shard")


def on_threads(work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Results in the order of the items. Where one fails the others are not begun any more.

    Few are begun ahead: the first answer to a new question does not wait for the whole of an older one.
    """
    begun: deque[Future[B]] = deque()
    try:
        for item in items:
            if len(begun) > _COUNT:
                yield begun.popleft().result()
            begun.append(_POOL.submit(work, item))
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
