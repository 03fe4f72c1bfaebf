"""``callbeam doctor``: what this machine can do, and how to get what is missing."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pipelines.engines import BEAM_VERSION, find_prism
from transforms.errors import OptionError


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for: found or not, in words; what to do where it is missing."""

    name: str
    found: bool
    detail: str
    todo: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the findings; the exit status is 0 when a batch run is possible."""
    if argv:
        print("callbeam doctor takes no arguments", file=sys.stderr)
        return 2
    findings = [check() for check in CHECKS]
    width = max(len(f.name) for f in findings)
    for f in findings:
        print(f"{'ok  ' if f.found else '--  '}{f.name:<{width}}  {f.detail}")
        if f.todo and not f.found:
            print(f"    {'':<{width}}  {f.todo}")
    return 0 if all(f.found for f in findings[:2]) else 1


def _python() -> Finding:
    return Finding(
        "Python", sys.version_info >= (3, 11), f"{platform.python_version()}, {os.cpu_count()} cores"
    )


def _beam() -> Finding:
    try:
        found = version("apache-beam")
    except PackageNotFoundError:
        return Finding("Apache Beam", False, "not installed", "make setup")
    detail = f"{found}: DirectRunner in batch and streaming, in this process"
    return Finding("Apache Beam", found == BEAM_VERSION, detail, f"callbeam is tested with {BEAM_VERSION}")


def _prism() -> Finding:
    try:
        return Finding("PrismRunner", True, str(find_prism()))
    except OptionError as error:
        return Finding("PrismRunner", False, "no binary found", error.todo)


def _java() -> Finding:
    java = shutil.which("java")
    if java is None:
        return Finding("Java (FlinkRunner)", False, "not found", "install a Java runtime, version 11 or 17")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr.splitlines()
    return Finding("Java (FlinkRunner)", True, said[0] if said else java)


def _module(name: str, module: str, extra: str) -> Callable[[], Finding]:
    def check() -> Finding:
        try:
            found = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            found = False
        detail = "client installed" if found else "client not installed"
        return Finding(name, found, detail, f"pip install 'callbeam[{extra}]'")

    return check


def _emulator() -> Finding:
    host = os.environ.get("PUBSUB_EMULATOR_HOST")
    if not host:
        return Finding(
            "Pub/Sub emulator", True, "PUBSUB_EMULATOR_HOST is not set: Google's own service is used"
        )
    name, _, port = host.partition(":")
    try:
        socket.create_connection((name, int(port or 8085)), timeout=2).close()
    except (OSError, ValueError):
        return Finding(
            "Pub/Sub emulator", False, f"{host} does not answer", "start it, or unset PUBSUB_EMULATOR_HOST"
        )
    return Finding("Pub/Sub emulator", True, host)


CHECKS: tuple[Callable[[], Finding], ...] = (
    _python,
    _beam,
    _prism,
    _java,
    _module("Kafka", "confluent_kafka", "kafka"),
    _module("Pub/Sub", "google.cloud.pubsub_v1", "gcp"),
    _emulator,
    _module("Dataflow", "apitools", "gcp"),
    _module("PostgreSQL", "psycopg", "postgres"),
)


if __name__ == "__main__":
    sys.exit(main())
