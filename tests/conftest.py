"""What all tests share: real servers, started when a test first asks, and a word about what was skipped."""

import os
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from servers import cache

if TYPE_CHECKING:
    from servers.flink import FlinkCluster
    from servers.kafka import KafkaBroker
    from servers.pubsub import PubSubEmulator

MARKS = {
    "prism_binary": "prism",
    "pubsub_emulator": "pubsub",
    "kafka_broker": "kafka",
    "flink_cluster": "flink",
}
SERVERS = ("postgres", "browser", *MARKS.values())  # in the order of the tests: the heaviest last
REQUIRED = os.environ.get("CALLBEAM_REQUIRE_SERVERS") == "1"


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator["KafkaBroker"]:
    """A running Kafka broker; a test that kills it starts it again."""
    kafka = pytest.importorskip(
        "servers.kafka", reason="needs `pip install -e '.[kafka]'`", exc_type=ImportError
    )
    try:
        broker = kafka.KafkaBroker(tmp_path_factory.mktemp("kafka"))
    except cache.Missing as missing:
        pytest.skip(str(missing))
    with broker:
        yield broker


@pytest.fixture(scope="session")
def pubsub_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator["PubSubEmulator"]:
    """A running Pub/Sub emulator; PUBSUB_EMULATOR_HOST is not set."""
    pubsub = pytest.importorskip(
        "servers.pubsub", reason="needs `pip install -e '.[gcp]'`", exc_type=ImportError
    )
    try:
        emulator = pubsub.PubSubEmulator(tmp_path_factory.mktemp("pubsub"))
    except cache.Missing as missing:
        pytest.skip(str(missing))
    with emulator:
        yield emulator


@pytest.fixture(scope="session")
def prism_binary() -> Path:
    """Path of Beam's Prism runner."""
    try:
        return cache.need(cache.prism(), "Prism")
    except cache.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def flink_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator["FlinkCluster"]:
    """A running Flink cluster of 4 slots; a test cancels its own jobs."""
    from servers.flink import FlinkCluster

    try:
        cluster = FlinkCluster(tmp_path_factory.mktemp("flink"))
    except cache.Missing as missing:
        pytest.skip(str(missing))
    with cluster:
        yield cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by the servers they use, and puts them last, server by server: quick tests first.

    Tests in several processes: those of one server are one group, so that each server is started once.
    """
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKS:
                item.add_marker(MARKS[fixture])
        if (place := _place(item)) >= 0 and SERVERS[place] != "browser":
            item.add_marker(pytest.mark.xdist_group(SERVERS[place]))
    items.sort(key=_place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CALLBEAM_REQUIRE_SERVERS=1 a test that skips for want of a server fails."""
    report = yield
    if REQUIRED and report.skipped and not hasattr(report, "wasxfail") and _place(item) >= 0:
        report.outcome = "failed"
        report.longrepr = f"CALLBEAM_REQUIRE_SERVERS=1, but: {_reason(report)}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says by name which tests did not run, and why."""
    skipped = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        skipped[_reason(report)].append(report.nodeid)
    if skipped:
        terminalreporter.section("not run on this machine")
    for reason, names in sorted(skipped.items()):
        terminalreporter.write_line(f"{reason}:")
        for name in names:
            terminalreporter.write_line(f"  {name}")


def _place(item: pytest.Item) -> int:
    """Number of the last of the item's servers in SERVERS, -1 without one."""
    return max((SERVERS.index(mark.name) for mark in item.iter_markers() if mark.name in SERVERS), default=-1)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
