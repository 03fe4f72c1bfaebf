"""Streaming leaves the rows of batch: whatever the order, the chunks, the windows and the engine."""

from __future__ import annotations

import random
from pathlib import Path

import messy
import pytest
from cdr_oracle import expect
from list_feed import ListFeed
from test_pipelines_run import check, write_directory

from callbeam_io.store import open_store
from pipelines import options
from pipelines.config import make_config
from pipelines.engines import choose_engine
from pipelines.live import run_live
from pipelines.preflight import PreparedLive


def prepared(folder: Path, feeds: list[ListFeed], *flags: str) -> PreparedLive:
    url = f"sqlite:///{folder}/results.db"
    words = ["--streaming", "--output", url, "--early_every", "1s", *flags]
    for feed in feeds:
        words += ["--input", feed.name]
    known, rest = options.parse(words)
    config = make_config(known, rest)
    engine = choose_engine(config.runner, config.beam_args, streaming=True)
    return PreparedLive(config.for_feeds(feeds), engine, tuple(feeds), open_store(url), ())


def shuffled(text: str, seed: int) -> str:
    header, *lines = text.splitlines()
    random.Random(seed).shuffle(lines)
    return "\n".join([header, *lines, ""])


@pytest.mark.parametrize(
    ("flag", "window"),
    [
        ("all", (0, 0)),
        ("fixed:1d", (86400, 86400)),
        ("sliding:1d/2h", (86400, 7200)),
        ("sliding:12h/5h", (43200, 18000)),
    ],
)
@pytest.mark.parametrize("order", ["given", "shuffled"])
def test_the_rows_of_batch(tmp_path: Path, flag: str, window: tuple[int, int], order: str) -> None:
    text, listed = messy.csv_text(1500, seed=21, accounts=True), messy.directory()
    text = text.replace("BUSY", "ANSWERED")  # no conflicting repeats: they depend on the order
    if order == "shuffled":
        text = shuffled(text, 1)
    feed = ListFeed(text, chunk=130, split_count=3)
    ready = prepared(
        tmp_path, [feed], "--window", flag, "--directory", str(write_directory(tmp_path, listed))
    )
    assert run_live(ready) == 0
    check(ready.config.output, expect(text, listed, window))


@pytest.mark.prism
@pytest.mark.parametrize("flag", ["all", "sliding:1d/2h"])
def test_the_rows_of_batch_on_prism(tmp_path: Path, prism_binary: Path, flag: str) -> None:
    window = {"all": (0, 0), "sliding:1d/2h": (86400, 7200)}[flag]
    text, listed = messy.csv_text(1500, seed=22).replace("BUSY", "ANSWERED"), messy.directory()
    feed = ListFeed(shuffled(text, 2), chunk=130, split_count=3)
    flags = ["--window", flag, "--directory", str(write_directory(tmp_path, listed))]
    ready = prepared(tmp_path, [feed], *flags, "--runner=PrismRunner", f"--prism_location={prism_binary}")
    assert run_live(ready) == 0
    check(ready.config.output, expect(text, listed, window))
