"""Windows: what the flag may say, and which windows a pane or a last record belongs to."""

from __future__ import annotations

import numpy as np
import pytest
from cdr_oracle import windows_with
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.columns.windows import (
    Window,
    first_ending_window,
    pane_of,
    parse_duration,
    parse_window,
    time_text,
    window_bounds_text,
    windows_of_panes,
)
from transforms.errors import OptionError


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400), (" 7s ", 7)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1.5h", "1w", "1h30m", "10001d", "s5"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(OptionError, match=r"--pane .* s, m, h or d"):
        parse_duration(text, "--pane")


@pytest.mark.parametrize(
    ("text", "window", "shown"),
    [
        ("all", Window(), "all"),
        ("fixed:1d", Window(86_400, 86_400), "fixed:86400s"),
        ("sliding:60s/5s", Window(60, 5), "sliding:60s/5s"),
        ("sliding:12h/5h", Window(43_200, 18_000), "sliding:43200s/18000s"),
        ("sliding:1h/1h", Window(3600, 3600), "fixed:3600s"),
    ],
)
def test_windows(text: str, window: Window, shown: str) -> None:
    assert parse_window(text) == window
    assert str(window) == shown
    assert parse_window(str(window)) == window


@pytest.mark.parametrize(
    "text",
    ["", "7x", "all:1d", "fixed", "fixed:", "fixed:0s", "fixed:1d/1h", "sliding:1h", "sliding:5s/60s",
     "sliding:1h/0s", "sliding:1h/5m/1s", "session:1h", "fixed:99999d"],
)  # fmt: skip
def test_windows_that_are_none(text: str) -> None:
    with pytest.raises(OptionError, match="--window"):
        parse_window(text)


window = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda p: Window(max(p), min(p)))
seconds = st.lists(st.integers(-200, 200), min_size=1, max_size=20)


@settings(max_examples=100, deadline=None)
@given(window, seconds)
def test_the_windows_of_a_record_are_those_of_its_pane(window: Window, given_seconds: list[int]) -> None:
    panes = pane_of(np.array(given_seconds), window)
    assert (panes % window.pane == 0).all()
    position, starts = windows_of_panes(panes, window)
    for row, second in enumerate(given_seconds):
        assert 0 <= second - panes[row] < window.pane
        assert sorted(starts[position == row]) == naive_windows(second, window)


@settings(max_examples=100, deadline=None)
@given(window, seconds)
def test_the_first_window_to_end(window: Window, last: list[int]) -> None:
    got = first_ending_window(np.array(last), window)
    assert got.tolist() == [min(naive_windows(s, window)) for s in last]


def naive_windows(second: int, window: Window) -> list[int]:
    """Starts of the windows that hold a second, by trying all."""
    starts = range(-20 * 40, 20 * 40)
    return [s for s in starts if s % window.slide == 0 and s <= second < s + window.size]


@settings(max_examples=50, deadline=None)
@given(window, st.integers(-200, 200))
def test_the_oracle_agrees(window: Window, second: int) -> None:
    assert windows_with(second, (window.size, window.slide)) == naive_windows(second, window)


def test_the_whole_run_as_one_window() -> None:
    seconds = np.array([-5, 0, 1_767_225_600])
    assert pane_of(seconds, Window()).tolist() == [0, 0, 0]
    position, starts = windows_of_panes(np.array([0]), Window())
    assert (position.tolist(), starts.tolist()) == ([0], [0])
    assert (first_ending_window(seconds, Window()) < seconds).all()
    begin, end = window_bounds_text(seconds, Window())
    assert set(begin) == {"1970-01-01 00:00:00"}
    assert set(end) == {"9999-12-31 00:00:00"}


def test_texts_of_times() -> None:
    assert time_text(np.array([0, -1, 1_767_225_600, 0])).to_list() == [
        "1970-01-01 00:00:00",
        "1969-12-31 23:59:59",
        "2026-01-01 00:00:00",
        "1970-01-01 00:00:00",
    ]
    assert len(time_text(np.empty(0, np.int64))) == 0
    begin, end = window_bounds_text(np.array([3600]), Window(7200, 3600))
    assert (begin.to_list(), end.to_list()) == (["1970-01-01 01:00:00"], ["1970-01-01 03:00:00"])
