"""Live numbers of a streaming run: in the store every two seconds, and on the screen."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from callbeam_io.sources.live import LiveReader
from callbeam_io.store import BackgroundWriter, Store
from pipelines.freshness import Freshness
from pipelines.patience import unless_away
from pipelines.samples import Samples, totals_of
from pipelines.snapshots import Snapshots
from transforms.registry import LiveRun

BEAT_EVERY: Final = 2.0
LOG_EVERY: Final = 30.0
_MICROS: Final = 1_000_000


@dataclass
class LiveStatus:
    """Watches a run.

    Attributes:
        store: takes the heartbeat.
        run_id: of the run.
        reader: says what was read, and how far behind it is.
        state: says how large the state is.
        snapshots: says when it was saved last.
        writer: of the results.
        fresh: says how old records are when they are in the tables.
        max_bad_ratio: above this share of rejects among the newest records the run is degraded.
    """

    store: Store
    run_id: str
    reader: LiveReader
    state: LiveRun
    snapshots: Snapshots
    writer: BackgroundWriter
    fresh: Freshness
    max_bad_ratio: float = 1.0

    def __post_init__(self) -> None:
        self._beat = self._log = time.monotonic()
        self._rows = 0
        self._away: str | None = None
        self._last: str | None = None
        self._shown: str | None = None
        self.rate = 0.0
        self.samples = Samples(self.store, self.run_id, lambda: totals_of(self.state))

    @property
    def trouble(self) -> str | None:
        """What keeps results from being stored right now, in words."""
        return self.writer.trouble or self.snapshots.trouble or self._away

    def _say(self) -> None:
        """A word when trouble begins and when it is over."""
        now = self.trouble
        if now == self._shown:
            return
        self._last, self._shown = now or self._last, now
        text = f"{now} (trying again; nothing is lost)" if now else "the results are being stored again"
        print(f"callbeam: {text}", file=sys.stderr, flush=True)

    def tick(self) -> None:
        """Called often; does something when it is time."""
        now = time.monotonic()
        self._say()
        if now - self._beat >= BEAT_EVERY:
            self.rate = (self.reader.rows - self._rows) / (now - self._beat)
            self._beat, self._rows = now, self.reader.rows
            self.beat()
            if self.samples.due:
                self.sample()
            if sys.stderr.isatty():
                print(f"\r\033[K{self.line()}", end="", file=sys.stderr, flush=True)
        if not sys.stderr.isatty() and now - self._log >= LOG_EVERY:
            self._log = now
            print(self.line(), file=sys.stderr, flush=True)

    def beat(self) -> None:
        """Heartbeat, watermark and live numbers into the run's row."""
        mark = self.reader.watermark
        values: dict[str, Any] = {"live": self.numbers()}
        if mark is not None:
            values["watermark"] = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(mark // _MICROS))
        self._away = unless_away(lambda: self.store.update_run(self.run_id, **values))

    def sample(self) -> None:
        """A row of ``run_samples`` for what came since the one before."""
        (freshness,) = self.fresh.age(0.99)
        self._away = self.samples.take(self.behind, freshness) or self._away

    @property
    def behind(self) -> float | None:
        """Seconds that the watermark is behind the clock; None where stamps run ahead of it by design."""
        mark = self.reader.watermark
        if mark is None or any(f.feed.accelerated for f in self.reader.feeds):
            return None
        return round(time.time() - mark / _MICROS, 1)

    def numbers(self) -> dict[str, Any]:
        """What a page or a metric shows; JSON values."""
        mark = self.reader.watermark
        fresh = self.fresh.age(0.5, 0.99)
        splits = [{k: v for k, v in s.items() if k != "feed"} for s in self.reader.status()]
        return {
            "rate": round(self.rate, 1),
            "rows": self.reader.rows,
            "under_way": self.state.flow.under_way,
            "watermark_age": None if mark is None else round(time.time() - mark / _MICROS, 1),
            "freshness_p50": fresh[0],
            "freshness_p99": fresh[1],
            "snapshot_age": round(time.monotonic() - self.snapshots.saved_at, 1),
            "subscribers": sum(len(s.callers) for s in list(self.state.shards.values())),
            "records_held": sum(s.records_held for s in list(self.state.shards.values())),
            "bad_ratio": round(self.reader.bad_ratio, 4),
            "degraded": self.reader.bad_ratio > self.max_bad_ratio,
            "splits": splits,
            "trouble": self.trouble,
            "last_trouble": self._last,
        }

    def line(self) -> str:
        """All of it in one line."""
        n = self.numbers()
        lag = [s["lag"] for s in n["splits"] if s["lag"] is not None]
        trouble = self.trouble or next((s["trouble"] for s in n["splits"] if s["trouble"]), "")
        parts = [f"{n['rows']:,} records", f"{n['rate']:,.0f}/s"]
        if lag:
            parts.append(f"lag {sum(lag):,}")
        if n["freshness_p99"] is not None:
            parts.append(f"shown within {n['freshness_p99']:.1f} s")
        if n["degraded"]:
            parts.append(f"DEGRADED: {n['bad_ratio']:.1%} rejects")
        parts.append(f"saved {n['snapshot_age']:.0f} s ago")
        return ", ".join(parts) + (f" | {trouble}" if trouble else "")
