"""Fetches and builds the real servers for the tests: `make servers`, or this file with some names.

    python tests/servers/fetch.py [NAME ...]

Names: kafka pubsub prism flink postgres chromium (these by default) and spark. What is there already is left
alone; what is new appears under its final name only when it is whole. Needs Go, Maven and Java 17, and for
PostgreSQL and Chromium the right to install Debian packages. Exit status 1 names what failed.
"""

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # run as a script: not this folder, its modules have the names of well-known packages
    sys.path[0] = str(Path(__file__).parents[1])

from servers import cache

STAGE = ".fetching-"
PAUSES_S = (2, 5)  # before another try: registries fail now and then
DEFAULT = ("kafka", "pubsub", "prism", "flink", "postgres", "chromium")


class FetchFailed(Exception):
    """A step failed; the message says which command, with the last lines it printed."""


@dataclass(frozen=True)
class Item:
    """One thing to have: `found` says where it is, or None; `fetch` gets it; a lane goes one by one."""

    name: str
    lane: str
    title: str
    found: Callable[[], Path | None]
    fetch: Callable[[], None]


def run(*command: str | Path, folder: Path | None = None, **environment: str) -> None:
    """Runs a command to its end, again after a failure; its output is shown only when the last try fails."""
    if shutil.which(str(command[0])) is None:
        raise FetchFailed(f"{command[0]} is not on this machine: install it and try again")
    for pause in (*PAUSES_S, 0):
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return
        time.sleep(pause)
    words = "\n".join(done.stdout.splitlines()[-15:])
    raise FetchFailed(f"`{' '.join(map(str, command))}` ended with {done.returncode}:\n{words}")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A fresh folder beside `target`; its entry `whole` becomes `target` when the block ends well."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=STAGE) as folder:
        whole = Path(folder) / "whole"
        yield whole
        whole.replace(target)


def fetch_kafka() -> None:
    """The broker's jars, by Maven."""
    with staged(cache.kafka_libs()) as whole:
        maven = ("mvn", "-q", "-B", "-f", cache.HERE / "kafka" / "pom.xml")
        settings = (f"-Dkafka.version={cache.KAFKA_VERSION}", f"-DoutputDirectory={whole}")
        run(*maven, "dependency:copy-dependencies", *settings)


def fetch_pubsub() -> None:
    """The emulator, from its Go source in this folder."""
    with staged(cache.pubsub_emulator()) as whole:
        run("go", "build", "-buildvcs=false", "-o", whole, ".", folder=cache.HERE / "pubsub_emulator")


def fetch_prism() -> None:
    """Beam's Prism runner, by Go."""
    with staged(cache.prism()) as whole:
        package = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{cache.PRISM_VERSION}"
        run("go", "install", package, GOBIN=str(whole.parent))
        (whole.parent / "prism").rename(whole)


def fetch_flink() -> None:
    """Flink's own jars, from the source package that carries them."""
    with staged(cache.flink_home()) as whole:
        package = f"apache-flink-libraries=={cache.FLINK_VERSION}"
        pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:")
        run(*pip, "-d", whole.parent, package)
        (archive,) = whole.parent.glob("*.tar.gz")
        (whole / "lib").mkdir(parents=True)
        with tarfile.open(archive) as members:
            for member in members:
                folder, _, name = member.name.partition("/deps/")[2].rpartition("/")
                if folder in ("lib", "bin") and name.endswith(".jar"):
                    member.name = f"lib/{name}" if folder == "lib" else name
                    members.extract(member, whole, filter="data")


def fetch_flink_job_server() -> None:
    """Beam's job server for Flink with all it needs in one jar, by Maven."""
    with staged(cache.flink_job_server()) as whole:
        shutil.copy(cache.HERE / "flink" / "pom.xml", whole.parent)
        run("mvn", "-q", "-B", "package", folder=whole.parent)
        (jar,) = (whole.parent / "target").glob("beam-flink-job-server-*.jar")
        jar.rename(whole)


def fetch_pyspark() -> None:
    """Spark with its Python API, in a folder of its own."""
    with staged(cache.pyspark()) as whole:
        run(
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--target",
            whole,
            f"pyspark=={cache.PYSPARK_VERSION}",
        )


def fetch_debian(package: str) -> None:
    """A Debian package."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise FetchFailed(f"install {package} by hand, for example: sudo apt-get install -y {package}")
    run("apt-get", "-qq", "update")
    run(
        "apt-get",
        "-qq",
        "install",
        "-y",
        "--no-install-recommends",
        package,
        DEBIAN_FRONTEND="noninteractive",
    )


def found_postgres() -> Path | None:
    """A PostgreSQL server's `initdb`, on the PATH or where Debian keeps it."""
    return _command("initdb") or next(Path("/usr/lib/postgresql").glob("*/bin/initdb"), None)


def _command(*names: str) -> Path | None:
    return next((Path(path) for path in map(shutil.which, names) if path), None)


def _cached(place: Callable[[], Path]) -> Callable[[], Path | None]:
    return lambda: place() if place().exists() else None


ITEMS = (
    Item("prism", "go", f"Prism {cache.PRISM_VERSION}", _cached(cache.prism), fetch_prism),
    Item("pubsub", "go", "Pub/Sub emulator", _cached(cache.pubsub_emulator), fetch_pubsub),
    Item("flink", "maven", "Flink job server", _cached(cache.flink_job_server), fetch_flink_job_server),
    Item("kafka", "maven", f"Kafka {cache.KAFKA_VERSION}", _cached(cache.kafka_libs), fetch_kafka),
    Item("flink", "pip", f"Flink {cache.FLINK_VERSION}", _cached(cache.flink_home), fetch_flink),
    Item("spark", "pip", f"Spark {cache.PYSPARK_VERSION}", _cached(cache.pyspark), fetch_pyspark),
    Item("postgres", "apt", "PostgreSQL", found_postgres, lambda: fetch_debian("postgresql")),
    Item(
        *("chromium", "apt", "Chromium"),
        lambda: _command("chromium", "chromium-browser", "google-chrome"),
        lambda: fetch_debian("chromium"),
    ),
)


def say(text: str) -> None:
    """One whole line on the screen: lanes print side by side."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def have(item: Item) -> bool:
    """Makes sure that the item is there and says what it did; False when it failed."""
    path = item.found()
    if path is not None:
        say(f"{item.title}: there already, {path}")
        return True
    start = time.monotonic()
    say(f"{item.title}: fetching ...")
    try:
        item.fetch()
    except (FetchFailed, OSError, ValueError, tarfile.TarError) as error:
        say(f"{item.title}: FAILED. {error}")
        return False
    say(f"{item.title}: done in {time.monotonic() - start:.0f} s, {item.found()}")
    return True


def fetch(names: list[str]) -> list[str]:
    """Gets the named things, lanes side by side; returns the titles of those that failed."""
    wanted = [item for item in ITEMS if item.name in names]
    lanes = sorted({item.lane for item in wanted})

    def one_lane(lane: str) -> list[str]:
        return [item.title for item in wanted if item.lane == lane and not have(item)]

    cache.root().mkdir(parents=True, exist_ok=True)
    with (cache.root() / ".lock").open("w") as lock, ThreadPoolExecutor(max_workers=len(lanes)) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second fetch waits, then finds everything there
        for left in cache.root().glob(f"{STAGE}*"):  # of a fetch that was killed
            shutil.rmtree(left)
        return [title for failed in pool.map(one_lane, lanes) for title in failed]


def main() -> int:
    """Reads the command line and fetches."""
    parser = argparse.ArgumentParser(description="Fetch and build the real servers for the tests.")
    names = sorted({item.name for item in ITEMS})
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all but spark by default"
    )
    wanted = parser.parse_args().names or list(DEFAULT)
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; expected names of {', '.join(names)}")
    failed = fetch(wanted)
    if failed:
        print(f"not fetched: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
