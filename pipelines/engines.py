"""Which Beam runner carries a run, with the flags that make it safe."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from transforms.errors import OptionError

BEAM_VERSION: Final = "2.77.0"
IN_PROCESS: Final = ("BundleBasedDirectRunner", "FnApiRunner")
LOCAL_STREAMING: Final = "BundleBasedDirectRunner"
RUNNERS: Final = (
    "DirectRunner",
    *IN_PROCESS,
    "PrismRunner",
    "FlinkRunner",
    "PortableRunner",
    "DataflowRunner",
)
PRISM_EXPERIMENT: Final = "prism_disable_sdf_split"
_YEAR_SECONDS: Final = 31_536_000


@dataclass(frozen=True)
class Engine:
    """A runner, its arguments, and why it was taken.

    Attributes:
        runner: the name Beam knows it by.
        args: arguments for Beam, ``--runner`` among them.
        why: one line for the summary.
        in_process: whether the pipeline runs in this process.
        durable: whether the engine keeps state and positions by itself (its own checkpoints).
    """

    runner: str
    args: tuple[str, ...]
    why: str
    in_process: bool
    durable: bool = False

    @property
    def is_dry(self) -> bool:
        """Whether the graph is only checked (``--dry_run``), nothing sent."""
        return self.value("--dry_run") not in (None, "", "False", "false")

    def value(self, flag: str) -> str | None:
        """Value of a flag among the arguments (``--flag=value`` or ``--flag value``); None where it is not
        there."""
        found = None
        for word, following in zip(self.args, [*self.args[1:], ""], strict=True):
            name, equals, value = word.partition("=")
            if name == flag:
                found = value if equals or following.startswith("--") else following
        return found


def choose_engine(runner: str, beam_args: Sequence[str], *, streaming: bool) -> Engine:
    """The engine for a run.

    Args:
        runner: value of ``--runner``.
        beam_args: the other arguments for Beam.
        streaming: whether the input is live.

    Raises:
        OptionError: for an unknown runner, one that is not there, or flags that would lose data on it.
    """
    if runner not in RUNNERS:
        raise OptionError(f"--runner {runner!r}", f"one of {', '.join(RUNNERS)}")
    if runner == "DirectRunner":
        why = "the fastest engine in this process, nothing to install"
        return _engine("BundleBasedDirectRunner", beam_args, why, in_process=True)
    if runner == "PrismRunner":
        return _engine(
            runner,
            [*beam_args, *_prism_args(beam_args)],
            "asked for; its safety flags are set",
            in_process=True,
        )
    if runner in ("FlinkRunner", "PortableRunner") and streaming:
        return Engine(
            runner,
            (f"--runner={runner}", *beam_args, *_flink_args(beam_args)),
            "asked for; its checkpoint flags are set",
            False,
            durable=True,
        )
    if runner == "DataflowRunner" and streaming:
        why = "asked for; the service keeps state and positions"
        return Engine(runner, (f"--runner={runner}", *beam_args), why, False, durable=True)
    if runner == "FnApiRunner" and streaming:
        raise OptionError(
            "--runner FnApiRunner with --streaming",
            "DirectRunner, PrismRunner or FlinkRunner",
            "it cannot group a live stream",
        )
    return _engine(runner, beam_args, "asked for", in_process=runner in IN_PROCESS)


def check_store(engine: Engine, url: str) -> None:
    """Refuses a store that the workers of an engine cannot reach.

    Raises:
        OptionError: a file beside a service that runs elsewhere.
    """
    if engine.runner == "DataflowRunner" and not url.startswith("postgres") and not engine.is_dry:
        raise OptionError(
            f"--output {url.partition(':')[0]}: on DataflowRunner",
            "postgresql+psycopg://…",
            "Dataflow's workers cannot write a file on this machine; --dry_run=True only checks the graph",
        )


def _engine(runner: str, args: Sequence[str], why: str, *, in_process: bool) -> Engine:
    return Engine(runner, (f"--runner={runner}", *args), why, in_process)


def _prism_args(beam_args: Sequence[str]) -> list[str]:
    """Flags without which Prism loses state silently or stops after 300 s, and where its binary is."""
    args = [f"--experiments={PRISM_EXPERIMENT}", "--environment_type=LOOPBACK"]
    _refuse_other(beam_args, "--job_server_timeout", str(_YEAR_SECONDS))
    _refuse_other(beam_args, "--environment_type", "LOOPBACK")
    args.append(f"--job_server_timeout={_YEAR_SECONDS}")
    if not any(a.startswith("--prism_location") for a in beam_args):
        args.append(f"--prism_location={find_prism()}")
    return args


def _flink_args(beam_args: Sequence[str]) -> list[str]:
    """Flags without which a live job on Flink loses the end of a bundle, or never completes a checkpoint."""
    given = {a.partition("=")[0] for a in beam_args}
    if "--shutdown_sources_after_idle_ms" in given:
        raise OptionError(
            "--shutdown_sources_after_idle_ms with --streaming",
            "no such flag",
            "with it no checkpoint completes; leave it out",
        )
    wanted = (
        "--checkpointing_interval=5000",
        "--finish_bundle_before_checkpointing",
        "--max_bundle_time_mills=200",
        "--externalized_checkpoints_enabled",
    )
    return [flag for flag in wanted if flag.partition("=")[0] not in given]


def _refuse_other(beam_args: Sequence[str], flag: str, value: str) -> None:
    """Refuses a value of a flag that is not safe on Prism."""
    for word in beam_args:
        name, _, given = word.partition("=")
        if name == flag and given != value:
            raise OptionError(
                f"{word} on PrismRunner", f"{flag}={value}, which callbeam sets by itself", "leave it out"
            )


def prism_places() -> list[Path]:
    """Where a Prism binary is looked for, in order."""
    home = Path.home()
    cache = Path(os.environ.get("CALLBEAM_CACHE") or home / ".cache" / "callbeam")
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    beam = f"apache_beam-v{BEAM_VERSION}-prism-{platform.system().lower()}-{arch}.zip"
    on_path = shutil.which("prism")
    named = os.environ.get("CALLBEAM_PRISM")
    places = [Path(named)] if named else []
    places += [cache / f"prism-{BEAM_VERSION}", home / "go" / "bin" / "prism"]
    places += [Path(on_path)] if on_path else []
    return [*places, home / ".apache_beam" / "cache" / "prism" / "bin" / beam]


def find_prism() -> Path:
    """The Prism binary.

    Raises:
        OptionError: where there is none, with how to get it.
    """
    named = os.environ.get("CALLBEAM_PRISM")
    if named and not Path(named).is_file():
        raise OptionError(f"CALLBEAM_PRISM={named}: no such file", "the path of a Prism binary")
    for place in prism_places():
        if place.is_file():
            return place
    raise OptionError(
        "--runner PrismRunner: no Prism binary found",
        "one in $CALLBEAM_PRISM or " + ", ".join(str(p) for p in prism_places()),
        f"get it with: go install github.com/apache/beam/sdks/v2/go/cmd/prism@v{BEAM_VERSION}",
    )
