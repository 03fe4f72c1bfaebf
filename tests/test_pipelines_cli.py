"""``callbeam COMMAND``: usage, unknown commands, and the exit status of the command itself."""

from __future__ import annotations

import importlib

import pytest

from pipelines.cli import _COMMANDS, main, usage


@pytest.mark.parametrize(("words", "status"), [([], 2), (["--help"], 0), (["-h"], 0)])
def test_usage(words: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == status
    assert capsys.readouterr().out.strip() == usage()


def test_every_command_is_in_the_usage_and_there() -> None:
    for name, (module, what) in _COMMANDS.items():
        assert f"  {name:<10}{what}" in usage()
        assert callable(importlib.import_module(module).main), name


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fly"]) == 2
    said = capsys.readouterr()
    assert "unknown command 'fly'" in said.err
    assert "usage: callbeam COMMAND" in said.err
    assert not said.out


def test_the_status_of_the_command_is_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 2
    assert "--input" in capsys.readouterr().err
    assert main(["doctor", "please"]) == 2
    with pytest.raises(SystemExit) as caught:
        main(["run", "--help"])
    assert caught.value.code == 0
