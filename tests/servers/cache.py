"""Where the servers' programs lie: a folder outside the project, filled by `fetch.py`."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

KAFKA_VERSION = "4.1.0"
PRISM_VERSION = "2.77.0"
FLINK_VERSION = "1.19.0"
PYSPARK_VERSION = "4.0.1"
HERE = Path(__file__).parent


class Missing(Exception):
    """A program that a server needs is not on this machine; the message says which and what brings it."""


def root() -> Path:
    """The cache folder: `$CALLBEAM_CACHE`, else `~/.cache/callbeam`."""
    return Path(os.environ.get("CALLBEAM_CACHE") or "~/.cache/callbeam").expanduser()


def digest(files: Iterable[Path]) -> str:
    """Eight hexadecimal digits that change when one of the files does: a stale build is never used."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in sorted(files))).hexdigest()[:8]


def kafka_libs() -> Path:
    """Folder of the broker's jars."""
    return root() / f"kafka-{KAFKA_VERSION}"


def pubsub_emulator() -> Path:
    """The emulator's binary, built from `pubsub_emulator/`."""
    return root() / f"pubsub-emulator-{digest((HERE / 'pubsub_emulator').iterdir())}"


def prism() -> Path:
    """Prism's binary: `$CALLBEAM_PRISM` where set, else the one in the cache."""
    return Path(os.environ.get("CALLBEAM_PRISM") or root() / f"prism-{PRISM_VERSION}")


def flink_home() -> Path:
    """Folder with Flink's `lib/*.jar` and `bash-java-utils.jar`."""
    return root() / f"flink-{FLINK_VERSION}"


def flink_job_server() -> Path:
    """Beam's job server jar for Flink, built from `flink/pom.xml`."""
    return root() / f"flink-job-server-{digest([HERE / 'flink' / 'pom.xml'])}.jar"


def pyspark() -> Path:
    """Folder to put on PYTHONPATH for Spark."""
    return root() / f"pyspark-{PYSPARK_VERSION}"


def need(path: Path, server: str) -> Path:
    """The path, if it is there; else Missing, naming the server and how to get it."""
    if not path.exists():
        raise Missing(f"{server} is not on this machine: `make servers` fetches it (looked for {path})")
    return path


def need_java(server: str) -> str:
    """The `java` command, if there is one."""
    java = shutil.which("java")
    if java is None:
        raise Missing(f"{server} needs Java 17 or newer on the PATH: install it, then `make servers`")
    return java
