"""The live steps, event by event: on time, early, late, too late, nothing at all, and state that is lost."""

from __future__ import annotations

import random

import pytest
from live_stream import FORGET, OUT, ByHand, folded, history
from record_sets import BEGIN, CALLED, CALLERS, DAY, One, expected

from transforms.columns.windows import Window
from transforms.packets import Packet

HOUR = 3600
HOURLY = Window(HOUR, HOUR)
H0, H1, H3 = (f"2026-01-05 0{h}:00:00" for h in (0, 1, 3))


def at(seconds: int, caller: str = CALLERS[0], **more: str) -> One:
    return One(caller=caller, second=BEGIN + seconds, id=f"{seconds}", **more)


def outputs(hand: ByHand, run_id: str, *, durable: bool = False) -> list[Packet]:
    OUT.pop(run_id, None)
    hand.run(run_id, durable=durable)
    return OUT.pop(run_id, [])


def test_on_time() -> None:
    """A window is shown when the watermark passes its end, without any tick."""
    hand = ByHand(HOURLY, lateness=HOUR)
    hand.read(at(600), at(700))
    hand.read(at(HOUR + 60))
    assert history(outputs(hand, "on time", durable=True)) == [{H0: 2, H1: 1}]


def test_early() -> None:
    """A tick shows a window that is still open; nothing new, nothing shown."""
    hand = ByHand(HOURLY, lateness=HOUR)
    hand.read(at(600))
    hand.tick()
    hand.tick()
    hand.read(at(700))
    hand.tick()
    assert history(outputs(hand, "early")) == [{H0: 1}, {H0: 2}]


def test_late_within_what_is_allowed() -> None:
    hand = ByHand(HOURLY, lateness=2 * HOUR)
    hand.read(at(600))
    hand.read(at(2 * HOUR + 60))
    hand.read(at(601))
    hand.tick()
    packets = outputs(hand, "late within")
    assert history(packets)[-1][H0] == 2
    assert packets[-1].header["counts"]["late"] == 0


def test_too_late() -> None:
    """The source judged it: it is a reject, and in no table."""
    hand = ByHand(HOURLY, lateness=HOUR)
    hand.read(at(600))
    hand.read(at(3 * HOUR))
    hand.read(at(700), at(2 * HOUR))
    hand.end()
    packets = outputs(hand, "too late")
    assert folded(packets) == expected([at(600), at(3 * HOUR), at(2 * HOUR)], (HOUR, HOUR)).tables
    rejects = [r for p in packets if "rejects" in p.tables for r in p.tables["rejects"].to_pylist()]
    assert [(r["field"], r["reason"]) for r in rejects] == [("start_time", "late")]
    counts = packets[-1].header["counts"]
    assert (counts["read"], counts["good"], counts["late"], counts["rejected"]) == (4, 3, 1, 0)


def test_a_window_without_records_has_no_row() -> None:
    hand = ByHand(HOURLY, lateness=HOUR)
    hand.read(at(600))
    hand.read(at(3 * HOUR))
    hand.end()
    assert sorted({w for w, _ in folded(outputs(hand, "empty"))["duration_by_hour"]}) == [H0, H3]


@pytest.mark.parametrize("durable", [False, True])
def test_a_jump_over_many_panes_fires_once(durable: bool) -> None:
    """A month of panes of 5 minutes passes at once; rows before it are complete all the same."""
    hand = ByHand(Window(HOUR, 300), lateness=60)
    before = [at(k * 400, caller) for k, caller in enumerate(CALLERS)]
    after = at(30 * DAY)
    hand.read(*before)
    hand.read(after)
    hand.end()
    packets = outputs(hand, f"jump {durable}", durable=durable)
    assert folded(packets) == expected([*before, after], (HOUR, 300)).tables
    assert len(packets) <= 10


def test_the_end_shows_all_subscribers_and_says_so() -> None:
    hand = ByHand(Window(), lateness=HOUR)
    hand.read(at(600), at(700, "100"))
    hand.tick()
    hand.end()
    packets = outputs(hand, "end")
    assert [p.header["ended"] for p in packets][-1]
    assert not packets[0].header["ended"]
    shown = [p.tables["subscribers"].num_rows for p in packets if "subscribers" in p.tables]
    assert sum(shown) == 4, "each subscriber at the tick and at the end"


def stream_of(seed: int, window: Window, forget_at: set[int]) -> tuple[ByHand, list[One]]:
    """Nine batches of a few records, out of order within the lateness, repeats among them; some ticks."""
    rng, hand, records = random.Random(seed), ByHand(window, lateness=DAY), []
    for step in range(9):
        batch = [
            at(
                step * 9000 + rng.randrange(9000) - rng.randrange(2) * 7200 + 7200,
                rng.choice(CALLERS),
                called=rng.choice(CALLED),
                account=rng.choice(["", "A1"]),
            )
            for _ in range(6)
        ]
        batch += rng.sample(records, min(2, len(records)))
        records += batch
        hand.read(*batch)
        if step % 2:
            hand.tick(**{FORGET: step in forget_at})
    hand.end()
    return hand, records


@pytest.mark.parametrize("window", [Window(), Window(DAY, 7200)])
def test_durable_or_not_and_with_state_that_is_lost(window: Window) -> None:
    hand, records = stream_of(3, window, set())
    want = expected(records, (window.size, window.slide)).tables
    assert folded(outputs(hand, "plain")) == want
    lossy, _ = stream_of(3, window, {1, 5, 7})
    assert folded(outputs(lossy, "lossy", durable=True)) == want


def test_compaction_of_what_the_engine_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The logs in the engine's state are replaced by what they come to, and rebuilt from it."""
    monkeypatch.setattr("transforms.durable._COMPACT_AFTER", 2)
    monkeypatch.setattr("transforms.live_collect._COMPACT_AFTER", 2)
    for window in (Window(), Window(DAY, 7200)):
        hand, records = stream_of(4, window, {3, 7})
        packets = outputs(hand, "compacted", durable=True)
        assert folded(packets) == expected(records, (window.size, window.slide)).tables
        counts = packets[-1].header["counts"]
        assert counts["good"] == expected(records).fates["good"]
        assert packets[-1].header["ended"]
