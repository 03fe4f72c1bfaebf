"""How the pipeline did over the last day: a band of states, and what an outage meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from callbeam_io.store import Store, utc_text
from callbeam_io.store.states import Change, count_expired, samples, state_changes
from webui import words
from webui.statebook import NAMES, STOPPED, STREAMING, TONES, UNREACHABLE

DAY: Final = timedelta(hours=24)
SHORTEST: Final = timedelta(seconds=20)
"""Of an outage that is worth a card."""
_HEIGHTS: Final = {"live": 40, "catching_up": 30, "quiet": 20, STOPPED: 12, UNREACHABLE: 6}
"""Of 40: the states differ by height too, not by colour alone."""


@dataclass(frozen=True)
class Stretch:
    """A time in one state."""

    start: datetime
    end: datetime
    state: str
    detail: str = ""
    run_id: str | None = None

    @property
    def name(self) -> str:
        """The state in words."""
        return NAMES.get(self.state, self.state)

    @property
    def tone(self) -> str:
        """As of a status."""
        return TONES.get(self.state, "idle")

    @property
    def lasted(self) -> str:
        """How long, in words."""
        return words.talk((self.end - self.start).total_seconds())


def stretches(changes: Sequence[Change], runs: Sequence[dict[str, Any]], now: datetime) -> list[Stretch]:
    """The last day in stretches, in order; times before anything was noted are those of the runs themselves.

    Args:
        changes: in order, the newest one before the day included.
        runs: rows of streaming runs.
        now: end of the day.
    """
    begin = now - DAY
    points = [(max(begin, at), c) for c in changes if (at := words.moment(c.at)) is not None and at < now]
    ends = [*(at for at, _ in points), now][1:]
    noted = [
        Stretch(at, end, c.state, c.detail, c.run_id)
        for (at, c), end in zip(points, ends, strict=True)
        if at < end
    ]
    first = points[0][0] if points else now
    return [*_of_runs(runs, begin, first), *noted]


def _of_runs(runs: Sequence[dict[str, Any]], begin: datetime, until: datetime) -> list[Stretch]:
    found = []
    for run in sorted(runs, key=lambda r: str(r["started_at"])):
        start, end = words.moment(run["started_at"]), words.moment(run["finished_at"] or run["heartbeat"])
        if start is not None and end is not None and max(start, begin) < min(end, until):
            found.append(Stretch(max(start, begin), min(end, until), "live", "", run["run_id"]))
            begin = found[-1].end
    return found


def bars(found: Sequence[Stretch], now: datetime) -> list[dict[str, Any]]:
    """The stretches as bars of a picture that is 1440 wide, a minute each, and 40 high."""
    made = []
    for one in found:
        left = (one.start - (now - DAY)) / DAY * 1440
        height = _HEIGHTS.get(one.state, 20)
        width = max(1.0, (one.end - one.start) / DAY * 1440)
        made.append(
            {"x": round(left, 1), "width": round(width, 1), "y": 40 - height, "height": height, "of": one}
        )
    return made


def hours(now: datetime) -> list[tuple[float, str]]:
    """Marks of the picture: place and label, every six hours."""
    first = now.replace(minute=0, second=0, microsecond=0)
    marks = [first - timedelta(hours=h) for h in range(24) if (first.hour - h) % 6 == 0]
    return [(round((at - (now - DAY)) / DAY * 100, 2), f"{at:%H:%M}") for at in reversed(marks)]


@dataclass(frozen=True)
class Outage:
    """The newest outage of the day that is over.

    Attributes:
        start, end: of it.
        state: stopped or unreachable.
        caught_up: records that were read from its end until the pipeline was live again, or until now.
        late: promotions that were decided meanwhile.
        expired: deliveries that came too late to be sent.
        over: whether it has caught up.
    """

    start: datetime
    end: datetime
    state: str
    caught_up: int
    late: int
    expired: int
    over: bool


def newest_outage(store: Store, found: Sequence[Stretch], now: datetime) -> Outage | None:
    """What the newest outage of the day meant; None where there was none, or where it lasts."""
    for place in range(len(found) - 2, -1, -1):
        one = found[place]
        if (
            one.state not in STREAMING
            and one.end - one.start >= SHORTEST
            and found[place + 1].state in STREAMING
        ):
            return _outage(store, one, found[place + 1 :], now)
    return None


def _outage(store: Store, one: Stretch, after: Sequence[Stretch], now: datetime) -> Outage:
    live = next((s.start for s in after if s.state == "live"), None)
    until = live or now
    run_id = after[0].run_id
    found = [] if run_id is None else samples(store, run_id, utc_text(one.end))
    counted = [figures for at, figures in found if at <= utc_text(until + SHORTEST)]
    late = sum(
        n for f in counted for of_rule in (f.get("promotions") or {}).values() for n in of_rule.values()
    )
    expired = count_expired(store, utc_text(one.end), utc_text(until + timedelta(minutes=1)))
    read = sum(int(f.get("read") or 0) for f in counted)
    return Outage(one.start, one.end, one.state, read, late, expired, live is not None)


def of_day(store: Store) -> dict[str, Any]:
    """What the page shows of the last day: ``stretches, bars, hours, outage``."""
    now = datetime.now(UTC)
    runs = [run for run in store.runs(20) if run["mode"] == "streaming"]
    found = stretches(state_changes(store, utc_text(now - DAY)), runs, now)
    return {
        "stretches": found,
        "bars": bars(found, now),
        "hours": hours(now),
        "outage": newest_outage(store, found, now),
    }
