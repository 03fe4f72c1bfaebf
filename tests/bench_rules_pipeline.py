"""What twenty rules cost whole runs: batch and streaming with them, and without.

    PYTHONPATH=.:io:tests python tests/bench_rules_pipeline.py batch 10000000
    PYTHONPATH=.:io:tests python tests/bench_rules_pipeline.py stream 1000000
    PYTHONPATH=.:io:tests python tests/bench_rules_pipeline.py simulate 10000000

The rules are those of ``bench_rules``. In batch a tenth as many subscribers make the records within a month; the
stream is that of ``bench_stream``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from bench_inputs import ROOT, Input, make_input
from bench_process import Cost, timed
from bench_rules import twenty

from callbeam_io.store import open_store


def command(module: str, *words: str) -> Cost:
    """Times a command of the project."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "io")])
    return timed([sys.executable, "-m", module, *words], ROOT, {**os.environ, "PYTHONPATH": paths})


def rules_file(folder: Path) -> str:
    """The twenty rules as a rules file."""
    path = folder / "rules.json"
    path.write_text(json.dumps(twenty()), encoding="utf-8")
    return str(path)


def batch(found: Input, folder: Path, *flags: str) -> Cost:
    """A batch run into a store of its own."""
    words = [f"--input={found.records}", f"--directory={found.directory}", "--consent_default=in"]
    return command("pipelines.run", *words, f"--output=sqlite:///{folder}/results.db", *flags)


def shown(name: str, cost: Cost, than: Cost | None = None) -> None:
    """Prints a row."""
    ratio = "" if than is None else f", {cost.wall / than.wall:.2f} x"
    print(f"{name:<22} {cost.wall:6.1f} s{ratio}, {cost.cpu:.1f} CPU-s, {cost.peak >> 20:,} MB", flush=True)


def main() -> None:
    """Prints what the runs cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("batch", "stream", "simulate"))
    parser.add_argument("records", type=int)
    options = parser.parse_args()
    if options.kind == "stream":
        streams(options.records)
        return
    found = make_input(options.records)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rules = rules_file(folder)
        if options.kind == "simulate":
            words = [f"--input={found.records}", f"--directory={found.directory}", "--consent_default=in"]
            shown("simulate 20 rules", command("pipelines.rules", "simulate", rules, *words, "--json"))
            return
        without = batch(found, folder)
        shown("without rules", without)
        (folder / "results.db").unlink()
        shown("with 20 rules", batch(found, folder, "--rules", rules), without)


def streams(records: int) -> None:
    """The rate of a stream without rules and with them, until all that it read is decided and stored."""
    from bench_stream import folder_feed, parts, start

    data = list(parts(records, max(records // 20, 1)))
    for named, flags in (("without rules", []), ("with 20 rules", ["--consent_default", "in"])):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            where, send = folder_feed(folder / "in")
            for part in data:
                send(part)
            more = ["--rules", rules_file(folder), *flags] if flags else []
            process = start(where, folder, "--allowed_lateness", "1h", *more)
            begun = time.monotonic()
            wait_until_read(process.url, records)
            process.drain(300)
            print(f"{named:<22} {records / (time.monotonic() - begun):,.0f}/s", flush=True)


def wait_until_read(url: str, records: int) -> None:
    """Until the pipeline was given so many records."""
    store = open_store(url)
    while ((store.runs(limit=1)[0]["live"] or {}).get("rows") or 0) < records:
        time.sleep(0.2)


if __name__ == "__main__":
    main()
