"""What the pages about a run have in common: which run, which window, how a list is sorted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import abort, request, url_for

from callbeam_io.store import web_queries
from webui.services import cached, store

Run = dict[str, Any]
_FOR_GOOD: Final = 600.0


def chosen_run() -> Run | None:
    """The run of ``?run=``, else the newest that is done, or running if streaming; None where there is none.

    404 for a run that is not there.
    """
    asked = request.args.get("run")
    if asked:
        return cached(("run", asked), 2, lambda: web_queries.run_row(store(), asked)) or abort(404)
    return cached("newest run", 1, _newest)


def _newest() -> Run | None:
    run_id = store().newest_run()
    return None if run_id is None else web_queries.run_row(store(), run_id)


def lasting(run: Mapping[str, Any], seconds: float) -> float:
    """For how many seconds that was read of a run is good: of one that is done nothing changes any more."""
    return seconds if run["finished_at"] is None else _FOR_GOOD


def recent_runs() -> list[Run]:
    """The runs that a page offers to choose from, the newest first."""
    return cached("runs", 2, lambda: [r for r in store().runs(12) if _has_results(r)])


def _has_results(run: Run) -> bool:
    return bool(run["state"] == "done" or run["mode"] == "streaming")


def windows(table: str, run_id: str) -> list[tuple[str, str]]:
    """The windows of a table of a run, the newest first."""
    return cached(("windows", table, run_id), 2, lambda: web_queries.windows(store(), table, run_id))


def chosen_window(found: list[tuple[str, str]], run: Run) -> tuple[str, str] | None:
    """The window of ``?window=`` (its start; 404: no such window), else that of now; None: there are none."""
    asked = request.args.get("window")
    if asked:
        return next((w for w in found if w[0] == asked), None) or abort(404)
    return window_of_now(found, run["watermark"])


def window_of_now(found: list[tuple[str, str]], now: str | None) -> tuple[str, str] | None:
    """Of the windows (the newest first) that are still open at ``now`` the one that holds most, else the newest.

    >>> days = [("2026-03-02 06:00:00", "2026-03-03 06:00:00"), ("2026-03-02 00:00:00", "2026-03-03 00:00:00")]
    >>> window_of_now(days, "2026-03-02 18:00:00")[0]
    '2026-03-02 00:00:00'
    """
    still_open = [w for w in found if now is not None and w[0] <= now < w[1]]
    return min(still_open, key=lambda w: w[1], default=found[0] if found else None)


def sort_of(allowed: dict[str, Any], default: str) -> tuple[str, bool]:
    """Column and whether it descends, of ``?sort=-calls``; what cannot be sorted by is the default."""
    asked = request.args.get("sort", default)
    if asked.lstrip("-") not in allowed:
        asked = default
    return asked.lstrip("-"), asked.startswith("-")


def address(endpoint: str, **changes: Any) -> str:
    """The address of a page with the parameters of this request, some of them changed (None: without)."""
    asked = {k: v for k, v in request.args.to_dict().items() if not k.startswith("_") and k != "endpoint"}
    wanted = {**asked, **changes}
    return url_for(endpoint, **{name: value for name, value in wanted.items() if value not in (None, "")})
