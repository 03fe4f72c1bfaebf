"""Parallel work inside one worker: Polars, NumPy and Arrow release the interpreter's lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

_Result = TypeVar("_Result")


def thread_count() -> int:
    """Threads that work inside a step: ``CALLBEAM_THREADS``, else the cores, at most 8."""
    return int(os.environ.get("CALLBEAM_THREADS", 0)) or min(8, os.cpu_count() or 1)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    # One per process: some runners set a DoFn up anew for every bundle.
    return ThreadPoolExecutor(thread_count(), thread_name_prefix="callbeam")


def together(works: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """Does some works at once, the last of them on this thread; gives what they give, in order."""
    *others, mine = works
    flying = [_pool().submit(work) for work in others]
    own = mine()
    return [*(one.result() for one in flying), own]


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
