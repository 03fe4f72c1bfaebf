"""Parallel work inside one worker: Polars, NumPy and Arrow release the interpreter's lock."""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, TypeVar

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

_Result = TypeVar("_Result")

_TRIM_THRESHOLD: Final = -1  # names of glibc's malloc.h
_MMAP_THRESHOLD: Final = -3
_LARGEST: Final = 32 << 20  # bytes of an array that is not mapped by itself; glibc takes no more
_MOST_FREE: Final = 256 << 20


def thread_count() -> int:
    """Threads that work inside a step: ``CALLBEAM_THREADS``, else the cores, at most 8."""
    return int(os.environ.get("CALLBEAM_THREADS", 0)) or min(8, os.cpu_count() or 1)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    # One per process: some runners set a DoFn up anew for every bundle.
    _keep_memory()
    return ThreadPoolExecutor(thread_count(), thread_name_prefix="callbeam")


def together(works: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """Does some works at once, the last of them on this thread; gives what they give, in order."""
    *others, mine = works
    flying = [_pool().submit(work) for work in others]
    own = mine()
    return [*(one.result() for one in flying), own]


def _keep_memory() -> None:
    """Tells glibc to use freed memory again at once: else every larger array is mapped and cleared anew."""
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, _MOST_FREE)


class ThreadedDoFn(beam.DoFn):
    """A DoFn whose ``work`` runs on threads, a few elements at once; outputs keep the order of inputs.

    For steps whose elements are in the global window and carry no timestamp of their own.
    """

    def start_bundle(self) -> None:
        """Nothing is in flight."""
        self._flying: deque[Future[list[Any]]] = deque()

    def process(self, element: Any, side: Any = None) -> Iterator[Any]:
        """Starts the element's work and passes on what is done."""
        self._flying.append(_pool().submit(self._listed, element, side))
        while len(self._flying) > 2 * thread_count():
            yield from self._flying.popleft().result()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Waits for the rest."""
        while self._flying:
            for value in self._flying.popleft().result():
                yield WindowedValue(value, MIN_TIMESTAMP, [GlobalWindow()])

    def _listed(self, element: Any, side: Any) -> list[Any]:
        return list(self.work(element, side))

    def work(self, element: Any, side: Any) -> Iterable[Any]:
        """What to do with one element, on any thread: no state of the DoFn may be changed.

        Args:
            element: one of the step's elements.
            side: the step's side input, if it has one.
        """
        raise NotImplementedError
