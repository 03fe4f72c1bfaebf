"""One live shard: everything it knows, fed record by record, asked for what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.analysis import Plan
from transforms.columns.callers import Callers
from transforms.columns.cells import CellSums, Layout, cells_table, from_cells_table
from transforms.columns.decisions import Decider, RuleBook, RuleSettings, first_pane_end_after
from transforms.columns.pace import Pace
from transforms.columns.records import Records, concat, merge_small, records_table
from transforms.columns.seen import SeenRecords
from transforms.columns.subscribers import subscriber_rows
from transforms.columns.templates import Reference
from transforms.columns.windows import Window

_NEVER = -(1 << 40)
FATES = ("read", "good", "rejected", "duplicate", "conflicting", "late")


@dataclass(frozen=True)
class LivePlan:
    """What a live shard keeps and fills.

    Attributes:
        plan: the templates, over ``plan.window`` (T1, T2, T3 and the type graph).
        subscriber_window: of the table of subscribers.
        lateness: seconds that a record may be behind the watermark.
        history: seconds that interactions are kept for rules.
        rules: how rules are decided; None: never.
    """

    plan: Plan
    subscriber_window: Window
    lateness: int
    history: int = 0
    rules: RuleSettings | None = None

    @property
    def retention(self) -> int:
        """How long records are kept, in seconds of event time behind the watermark."""
        # Rules let go of interactions in steps of an eighth of their history, behind what they have decided.
        delay = self.rules.delay if self.rules else 0
        return max(self.lateness + self.subscriber_window.size, self.history + self.history // 8 + delay)


@dataclass
class LiveShard:
    """The state of one shard of subscribers."""

    live: LivePlan
    reference: Reference
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FATES, 0))

    def __post_init__(self) -> None:
        self.layout = Layout.of(self.live.plan.groups, self.reference, self.live.plan.window)
        self.seen = SeenRecords()
        self.cells = CellSums()
        self.callers = Callers(self.reference.types, self.live.subscriber_window)
        self._pace = Pace()
        self.decider: Decider | None = None  # made when the first rule is on
        self._log: list[Records] = []
        self._before: list[Records] = []  # for rules only: the table of subscribers began anew after them
        self._fresh: list[Records] = []
        self.watermark = self.floor = self.greatest = _NEVER
        self.by_type = np.zeros(len(self.reference.types.names), np.int64)  # taken in by this process
        self.marks: dict[str, int | None] = {}
        self.floors: dict[str, int | None] = {}
        self.ends: dict[str, int | None] = {}  # the greatest start of each split that has ended
        self.version = self.entries = self.kept_rows = 0  # of the engine's copy, see `transforms.durable`
        self.loose: list[pa.Table] = []  # records of the log there

    def add(self, records: Records, counts: Mapping[str, int]) -> Records:
        """Takes records in, duplicates among them.

        Args:
            records: of this shard's subscribers, none of them late.
            counts: of the batch they came in (read, rejected, late), where this shard is to count them.

        Returns:
            The records that count.
        """
        for name, n in counts.items():
            self.counts[name] += n
        fresh, conflicting = self.seen.new(records)
        kept = records if fresh.all() else records.take(fresh)
        self.counts["good"] += len(kept)
        self.counts["duplicate"] += len(records) - len(kept)
        self.counts["conflicting"] += conflicting
        self._count(kept)
        self.by_type += np.bincount(kept.called_type, minlength=len(self.by_type))
        if len(kept):
            self._fresh.append(replace(kept))
            if self.decider is not None:
                self.decider.add(kept)
            self.greatest = max(self.greatest, int(kept.seconds.max()))
        return kept

    def _count(self, records: Records) -> None:
        self.cells.add(records, self.layout, self.reference)
        if self.live.plan.with_subscribers:
            self.callers.add(records)
        if len(records):
            self._log.append(replace(records))  # without the columns that were worked out

    def heard(
        self, split: str, watermark: int | None, *, idle: bool, splits: int, floor: int | None = None
    ) -> None:
        """A split's watermark (seconds): the shard's own is the least over the splits that are not idle.

        Nothing moves before every split was heard of. ``floor`` is the least watermark of all that the split
        reads, idle inputs among them: these may still come with records as old as that.
        """
        self.marks[split] = None if idle else watermark
        self.floors[split] = watermark if floor is None else floor
        awake = [m for m in self.marks.values() if m is not None]
        known = [f for f in self.floors.values() if f is not None]
        if len(self.marks) == splits and awake:
            self.advance(min(awake), min(known))

    def advance(self, watermark: int, floor: int | None = None) -> None:
        """Moves to a watermark in seconds, and forgets what is too old to matter at the floor."""
        self.watermark = max(self.watermark, watermark)
        self.floor = self.watermark if floor is None else floor
        self.seen.forget_before(self.floor - self.live.lateness)
        window = self.live.plan.window
        if not window.cumulative:
            oldest = self.floor - self.live.lateness - window.size
            self.cells.drop_before(oldest // self.layout.step)
        if self.live.subscriber_window.cumulative or not self.live.plan.with_subscribers:
            self._trim_log()

    def _trim_log(self) -> None:
        """Lets go of records that are too old; while rows are still to be made of them, all are kept."""
        horizon = self.floor - self.live.retention
        for log in (self._log, self._before):
            while log and log[0].last_second < horizon:
                log.pop(0)

    def greatest_of_all(self, splits: int) -> int | None:
        """The greatest start of all input (seconds) once every split has ended; None before, or without any."""
        known = [second for second in self.ends.values() if second is not None]
        return max(known, default=None) if len(self.ends) == splits else None

    def decide(self, book: RuleBook, *, last: int | None = None) -> pa.Table | None:
        """Promotions that are due, with rests where they cost much; at the end of all input up to its ``last``."""
        if self.live.rules is None or (last is None and self.watermark == _NEVER):
            return None
        if (self.decider is None and not book.rules) or (last is None and self._pace.rests):
            return None
        if last is not None:
            return self._deciding().decide_until(book, first_pane_end_after(last, self.live.rules.pane))
        with self._pace.work():
            return self._deciding().decide(book, self.watermark)

    def redecide(self, decided: int, changes: Mapping[str, pa.Table]) -> None:
        """Decides as it did before, see `Decider.changes`."""
        self._deciding().redo(decided, changes)

    def _deciding(self) -> Decider:
        """The decider; interactions are kept whether or not a rule is on, and a new one sees them all."""
        if self.decider is None:
            self.decider = self._new_decider()
            if log := [*self._before, *self._log]:
                self.decider.add(concat(log))
        return self.decider

    def _new_decider(self) -> Decider:
        settings = self.live.rules or RuleSettings(pane=3600)
        return Decider(settings, self.reference.types, self.live.history)

    def changed_cells(self) -> pa.Table:
        """Cells of T1, T2, T3 and the type graph that changed since the last call, absolute."""
        return cells_table(*self.cells.take_changed())

    @property
    def time(self) -> int | None:
        """The watermark in seconds; None before anything is known."""
        return None if self.watermark == _NEVER else self.watermark

    @property
    def records_held(self) -> int:
        """Records kept in memory."""
        return sum(len(r) for r in (*self._before, *self._log))

    def all_cells(self) -> pa.Table:
        """All cells, absolute."""
        return cells_table(*self.cells.all())

    def subscriber_changes(self, *, everyone: bool = False) -> tuple[pl.DataFrame, NDArray[np.uint32]]:
        """Rows of subscribers that changed since the last call (or of all), and their interactions by hour.

        The rows lack the contact columns, which depend on everybody.
        """
        at = self.callers.everyone() if everyone else self.callers.changed()
        if not len(at):
            return pl.DataFrame(), np.zeros((0, 24), np.uint32)
        self.callers.written(at)
        if not self.live.subscriber_window.cumulative:
            self._log = merge_small(self._log)
        counts = self.callers.counts(at, self._log)
        self._trim_log()
        rows = subscriber_rows(counts, self.reference.types, self.live.subscriber_window)
        return rows, self.callers.hours(self.callers.positions_of(counts.caller))

    def delta(self, *, light: bool = False) -> dict[str, pa.Table]:
        """What changed since the last call: new records and absolute values of subscribers.

        ``light``: only the records, from which the rest follows when all deltas since the last
        `everything` are put together.
        """
        fresh, self._fresh = self._fresh, []
        tables = {} if light else self._absolute(self.callers.saved())
        if self.decider is not None and not light:
            tables |= self.decider.saved()
        return {**tables, **records_table(fresh)}

    def everything(self) -> dict[str, pa.Table]:
        """The whole state, in place of all deltas so far."""
        self._fresh = []
        rules = {} if self.decider is None else self.decider.saved()
        return {**self._absolute(self.callers.saved(everything=True)), **rules, **records_table(self._log)}

    def _absolute(self, callers: pa.Table) -> dict[str, pa.Table]:
        tables = {"callers": callers}
        if self.live.plan.window.cumulative:
            tables["cells"] = cells_table(*self.cells.all())
        return tables

    def restore(
        self,
        callers: list[pa.Table],
        cells: pa.Table | None,
        log: Records,
        counts: Mapping[str, int],
        watermark: int,
        rules: Mapping[str, pa.Table] | None = None,
        since: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> None:
        """Sets an empty shard to what was saved.

        Args:
            callers: absolute values of subscribers, later tables overwrite earlier ones.
            cells: absolute values of the cells of a cumulative window.
            log: the records that were kept; all of them are counted in the other values.
            counts: records by fate.
            watermark: the floor that it was at, in seconds (see `heard`).
            rules: what `Decider.saved` gave; None where there was no decider.
            since: of a table that began anew in the middle of the run, which records of the log count in it.
        """
        since = {**(since or {})}
        for table in callers:
            self.callers.restore(table)
        self.seen.new(log)
        if cells is not None:
            self.cells.put(*from_cells_table(cells))
        elif not self.live.plan.window.cumulative:
            self._restore_cells(log, watermark, since)
        if len(log):
            mine = since.get("subscribers", np.ones(len(log), np.bool_))
            self._before, self._log = ([log.take(m)] if m.any() else [] for m in (~mine, mine))
            self.greatest = int(log.seconds.max())
        if rules:
            self.decider = self._new_decider()
            self.decider.restore(rules, log)
        self.shown()
        self.counts = {**dict.fromkeys(FATES, 0), **counts}
        self.advance(watermark)

    def _restore_cells(self, log: Records, watermark: int, since: Mapping[str, NDArray[np.bool_]]) -> None:
        """Cells of the records of a log; older panes may be incomplete there, and can change no more."""
        window, step = self.live.plan.window, self.layout.step
        recent = log.seconds >= (watermark - self.live.lateness - window.size) // step * step
        rows = {name: mask[recent] for name, mask in since.items()}
        self.cells.add_since(log.take(recent), self.layout, self.reference, rows)

    def shown(self) -> None:
        """Nothing counts as changed: the store has it all."""
        self.cells.take_changed()
        self.callers.written(self.callers.everyone())

    def recount(self, log: Records) -> None:
        """Counts records again that were taken in before, none of them a duplicate."""
        self.seen.new(log)
        self._count(log)
        if self.decider is not None:
            self.decider.add(log)
        if len(log):
            self.greatest = max(self.greatest, int(log.seconds.max()))
