"""``callbeam doctor``: what is there, what is missing, and how to get it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pipelines import doctor
from pipelines.doctor import Finding, main


def test_this_machine_can_run_batch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("Python", "Apache Beam", "PrismRunner", "Java (FlinkRunner)", "Kafka", "PostgreSQL"):
        assert any(name in line and line[:4] in ("ok  ", "--  ") for line in lines), name


def test_what_is_missing_comes_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CALLBEAM_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CALLBEAM_PRISM", raising=False)
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "go install" in out
    assert "install a Java runtime" in out


def test_without_beam_there_is_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Finding("Apache Beam", False, "not installed", "make setup")
    monkeypatch.setattr(doctor, "CHECKS", (doctor.CHECKS[0], lambda: missing))
    assert main([]) == 1


def test_modules() -> None:
    assert doctor._module("X", "json", "x")().found
    finding = doctor._module("X", "no.such.module", "x")()
    assert (finding.found, finding.todo) == (False, "pip install 'callbeam[x]'")


def test_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    assert doctor._emulator().found
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)
        assert doctor._emulator().found
    finding = doctor._emulator()
    assert (finding.found, "does not answer" in finding.detail) == (False, True)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "localhost:port")
    assert not doctor._emulator().found


def test_it_takes_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--all"]) == 2
    assert "no arguments" in capsys.readouterr().err
