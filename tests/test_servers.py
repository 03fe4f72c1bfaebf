"""The servers' own tests: that they come up, die, come back with what they had, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from servers import cache, fetch
from servers.processes import ServerFailed, ServerProcess, free_port, wait_until

if TYPE_CHECKING:
    from servers.flink import FlinkCluster
    from servers.kafka import KafkaBroker
    from servers.pubsub import PubSubEmulator

PARENT = """
import sys, time
from pathlib import Path
from servers.processes import ServerProcess
process = ServerProcess(["sh", "-c", "sleep 600 & echo $!; wait"], Path(sys.argv[1]))
process.start()
time.sleep(600)
"""


def gone(pid: int) -> bool:
    """Whether the process has ended (one that nobody has waited for yet counts as ended)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def says(process: ServerProcess, words: str) -> Callable[[], bool]:
    return lambda: process.tail() == words


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes through /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_servers_and_their_children_end_with_the_test_run(tmp_path: Path, end: signal.Signals) -> None:
    log = tmp_path / "log"
    folder = str(Path(__file__).parent)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, log], cwd=folder, stderr=subprocess.DEVNULL)
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"), "the child's child", 20)
    grandchild = int(log.read_text())
    assert not gone(grandchild)
    parent.send_signal(end)
    parent.wait(10)
    wait_until(lambda: gone(grandchild), "the end of the child's child", 10)


def test_process_starts_again_and_appends_to_its_log(tmp_path: Path) -> None:
    process = ServerProcess(["sh", "-c", "echo up; exec sleep 600"], tmp_path / "log", {"NAME": "value"})
    for words, end in (("up", process.kill), ("up\nup", process.terminate)):
        process.start()
        wait_until(says(process, words), "the words", 10, process)
        with pytest.raises(ServerFailed, match="runs already"):
            process.start()
        end()
        assert not process.alive


def test_terminate_kills_what_does_not_listen(tmp_path: Path) -> None:
    process = ServerProcess(
        ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"], tmp_path / "log"
    )
    process.start()
    wait_until(says(process, "up"), "the word", 10, process)
    process.terminate(timeout=0.2)
    assert not process.alive


def test_waiting_for_a_process_that_died_says_its_last_words(tmp_path: Path) -> None:
    process = ServerProcess(["sh", "-c", "echo no memory"], tmp_path / "log")
    process.start()
    with pytest.raises(ServerFailed, match=r"the server: the process ended early(.|\n)*no memory"):
        wait_until(lambda: False, "the server", 20, process)


def test_waiting_in_vain_says_the_last_error() -> None:
    def refused() -> bool:
        raise ConnectionRefusedError("connection refused")

    with pytest.raises(ServerFailed, match=r"the server: not within 0\.1 s \(connection refused\)"):
        wait_until(refused, "the server", 0.1)


def test_free_ports_are_not_those_that_clients_get() -> None:
    assert all(15000 <= free_port() < 32000 for _ in range(20))


# ---- fetch


@pytest.fixture
def fetch_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs fetch.py with these names and an empty cache; returns its exit status."""
    monkeypatch.setenv("CALLBEAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "PAUSES_S", (0,))

    def run(*names: str) -> int:
        monkeypatch.setattr(sys, "argv", ["fetch.py", *names])
        return fetch.main()

    return run


def test_fetch_leaves_alone_what_is_there(
    fetch_servers: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    cache.kafka_libs().mkdir(parents=True)
    cache.pubsub_emulator().touch()
    start = time.monotonic()
    assert fetch_servers("kafka", "pubsub") == 0
    assert time.monotonic() - start < 1
    assert capsys.readouterr().out.count("there already") == 2


def test_fetch_runs_as_a_script() -> None:
    done = subprocess.run(
        [sys.executable, fetch.__file__, "--help"], capture_output=True, text=True, check=True
    )
    assert "of chromium, flink, kafka, postgres, prism, pubsub, spark" in done.stdout


def test_fetch_names_what_failed_and_leaves_nothing_half_done(
    fetch_servers: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "go").write_text("#!/bin/sh\necho no route to the registry\nexit 1\n")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert fetch_servers("pubsub") == 1
    shown = capsys.readouterr()
    assert "no route to the registry" in shown.out
    assert shown.err == "not fetched: Pub/Sub emulator\n"
    assert [path.name for path in cache.root().iterdir()] == [".lock"]


def test_fetch_says_which_tool_is_missing(
    fetch_servers: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetch_servers("kafka") == 1
    assert "mvn is not on this machine" in capsys.readouterr().out


def test_fetch_refuses_unknown_names(
    fetch_servers: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        fetch_servers("redis")
    assert "unknown: redis; expected names of chromium, flink, kafka" in capsys.readouterr().err


# ---- skipping


@pytest.mark.parametrize("required", ["0", "1"])
def test_missing_server_skips_by_name_or_fails(tmp_path: Path, required: str) -> None:
    environment = {**os.environ, "CALLBEAM_CACHE": str(tmp_path), "CALLBEAM_REQUIRE_SERVERS": required}
    environment.pop("CALLBEAM_PRISM", None)
    test = f"{__file__}::test_prism_says_its_flags"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test]
    folder = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    section, count = ("ERRORS", "1 error") if required == "1" else ("not run on this machine", "1 skipped")
    _, found, words = done.stdout.partition(section)
    assert found
    assert "Prism is not on this machine: `make servers` fetches it" in words
    assert "test_prism_says_its_flags" in words
    assert count in words


# ---- the servers


def test_prism_says_its_flags(prism_binary: Path) -> None:
    done = subprocess.run([prism_binary, "--help"], capture_output=True, text=True, check=False, timeout=20)
    assert "-job_port" in done.stderr


def test_pubsub_hands_out_until_acknowledged(pubsub_emulator: "PubSubEmulator") -> None:
    topic = pubsub_emulator.new_topic()
    subscription = pubsub_emulator.new_subscription(topic)
    assert len(set(pubsub_emulator.publish(topic, [b"%d" % number for number in range(2500)]))) == 2500
    seen = set()
    while messages := pubsub_emulator.pull(subscription):
        seen |= {data for _, data in messages}
        pubsub_emulator.acknowledge(subscription, [ack_id for ack_id, _ in messages])
    assert seen == {b"%d" % number for number in range(2500)}


def test_pubsub_takes_a_message_as_big_as_the_real_one(pubsub_emulator: "PubSubEmulator") -> None:
    topic = pubsub_emulator.new_topic()
    subscription = pubsub_emulator.new_subscription(topic)
    pubsub_emulator.publish(topic, [b"x" * 9_500_000])
    assert [len(data) for _, data in pubsub_emulator.pull(subscription)] == [9_500_000]


def test_pubsub_outage_keeps_all_and_a_kill_keeps_nothing(pubsub_emulator: "PubSubEmulator") -> None:
    from google.api_core.exceptions import GoogleAPICallError, NotFound

    topic = pubsub_emulator.new_topic()
    subscription = pubsub_emulator.new_subscription(topic)
    pubsub_emulator.publish(topic, [b"one"])
    with pubsub_emulator.outage(), pytest.raises(GoogleAPICallError):
        pubsub_emulator.pull(subscription)
    assert [data for _, data in pubsub_emulator.pull(subscription)] == [b"one"]
    pubsub_emulator.kill()
    pubsub_emulator.start()
    with pytest.raises(NotFound):
        pubsub_emulator.pull(subscription)


def test_pubsub_forgets_messages(pubsub_emulator: "PubSubEmulator") -> None:
    topic = pubsub_emulator.new_topic()
    subscription = pubsub_emulator.new_subscription(topic)
    pubsub_emulator.publish(topic, [b"one"] * 10)
    pubsub_emulator.forget_messages()
    wait_until(lambda: pubsub_emulator.pull(subscription) == [], "an empty subscription", 10)


def test_kafka_keeps_what_it_acknowledged_through_kill_and_stop(kafka_broker: "KafkaBroker") -> None:
    from confluent_kafka import Consumer, TopicPartition

    topic = kafka_broker.new_topic(partitions=3)
    kafka_broker.produce(topic, [b"%d" % number for number in range(3000)])
    kafka_broker.kill()
    kafka_broker.start()
    kafka_broker.produce(topic, [b"last"], partition=2)
    kafka_broker.terminate()
    kafka_broker.start()
    consumer = Consumer({"bootstrap.servers": kafka_broker.bootstrap, "group.id": "unused", "log_level": 0})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(3)])
    messages = consumer.consume(3001, 20)
    consumer.close()
    values = [[m.value() for m in messages if m.partition() == partition] for partition in range(3)]
    expected = [[b"%d" % number for number in range(first, 3000, 3)] for first in range(3)]
    assert values == [expected[0], expected[1], [*expected[2], b"last"]]


def test_flink_gets_a_lost_task_manager_back(flink_cluster: "FlinkCluster") -> None:
    flink_cluster.kill_task_manager()
    flink_cluster.start_task_manager()
    assert flink_cluster.running_jobs() == []
