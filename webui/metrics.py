"""``/metrics`` for Prometheus: from this machine, or with an API token."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from typing import Any, Final

from flask import Blueprint, Flask, Response, abort, g, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from callbeam_io.store.rules import run_outcomes
from webui import words
from webui.pulse import ALIVE, Pulse
from webui.services import Services, ShortCache

bp = Blueprint("metrics", __name__)
FATES: Final = ("read", "good", "rejected", "duplicate", "conflicting", "late")
_FORWARDED: Final = ("X-Forwarded-For", "Forwarded", "X-Real-IP")
_REGISTRY: Final = "callbeam-metrics"


@bp.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Records, rejects, lag, freshness, promotions by outcome, request times."""
    if not (from_here() or current_user.is_authenticated):
        abort(401)
    return Response(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)


def from_here() -> bool:
    """Whether the request comes from this machine itself and not through a proxy on it."""
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


class StoreCollector:
    """What the store says about the run that the status is about."""

    def __init__(self, found: Services) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        pulse = self._found.pulse
        status = pulse.status()
        yield GaugeMetricFamily(
            "callbeam_store_up", "1 while the result store can be read", int(status.kind != "unreachable")
        )
        live = int(status.kind in ALIVE)
        yield GaugeMetricFamily("callbeam_pipeline_up", "1 while a pipeline works on the run", live)
        run = pulse.run()
        if run is None or status.kind == "unreachable":
            return
        records = CounterMetricFamily("callbeam_records", "Records of the run by fate", labels=["fate"])
        for fate in FATES:
            records.add_metric([fate], run[f"records_{fate}"] or 0)
        yield records
        yield from _ages(run)
        yield from _shown(run)
        yield self._promotions(run["run_id"], pulse)

    def _promotions(self, run_id: str, _: Pulse) -> Metric:
        kept: ShortCache = self._found.cache
        counts = kept.get(("metrics", run_id), 5, lambda: run_outcomes(self._found.store, run_id))
        found = CounterMetricFamily(
            "callbeam_promotions", "Promotions of the run by outcome", labels=["outcome"]
        )
        for outcome, count in counts.items():
            found.add_metric([outcome], count)
        return found


def _ages(run: dict[str, object]) -> Iterator[Metric]:
    now = time.time()
    watermark, heartbeat = (words.moment(str(run[n])) if run[n] else None for n in ("watermark", "heartbeat"))
    if watermark is not None:
        yield GaugeMetricFamily(
            "callbeam_lag_seconds",
            "This machine's clock less the run's event time",
            now - watermark.timestamp(),
        )
    if heartbeat is not None:
        yield GaugeMetricFamily(
            "callbeam_freshness_seconds",
            "Seconds since the run's last sign of life",
            now - heartbeat.timestamp(),
        )


def _shown(run: dict[str, Any]) -> Iterator[Metric]:
    """How old records are when the tables show them, as the run itself measures it."""
    live = run["live"] or {}
    known = {q: live[f"freshness_p{q}"] for q in (50, 99) if live.get(f"freshness_p{q}") is not None}
    if known and run["state"] == "running":
        found = GaugeMetricFamily(
            "callbeam_shown_seconds", "Age of records when the tables show them", labels=["quantile"]
        )
        for percent, seconds in known.items():
            found.add_metric([f"{percent / 100:g}"], seconds)
        yield found


def install(app: Flask) -> None:
    """Times every request of this app."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(app.extensions["callbeam"]))
    app.extensions[_REGISTRY] = registry
    times = Histogram(
        "callbeam_request_seconds",
        "Time of requests by page",
        ["page"],
        registry=registry,
        buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    )

    def begin() -> None:
        g.begun = time.perf_counter()

    def end(response: Response) -> Response:
        if request.endpoint and "begun" in g:
            times.labels(request.endpoint).observe(time.perf_counter() - g.begun)
        return response

    app.before_request(begin)
    app.after_request(end)


def _registry() -> CollectorRegistry:
    from flask import current_app

    registry: CollectorRegistry = current_app.extensions[_REGISTRY]
    return registry
