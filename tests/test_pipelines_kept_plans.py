"""Numbering plans that were kept are those that would be built."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.kept_plans import KeptPlans, keep_plans
from transforms.columns import numbering
from transforms.columns.intervals import IntervalMap

STARTS = np.array([np.iinfo(np.int64).min, 100, 200], np.int64)
VALUES = np.array([0, 7, -1], np.int64)


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    plans = KeptPlans(tmp_path / "new", "1")
    assert plans.load("regions") is None
    plans.save("regions", STARTS, VALUES)
    found = plans.load("regions")
    assert found is not None
    assert [part.tolist() for part in found] == [STARTS.tolist(), VALUES.tolist()]
    assert KeptPlans(tmp_path / "new", "2").load("regions") is None


@pytest.mark.parametrize("damage", [b"", b"no file of arrays", None])
def test_damaged_files_are_not_read(tmp_path: Path, damage: bytes | None) -> None:
    plans = KeptPlans(tmp_path, "1")
    plans.save("regions", STARTS, VALUES)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-60] + bytes(8) + whole[-52:] if damage is None else damage)
    assert plans.load("regions") is None


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    KeptPlans(tmp_path / "file", "1").save("regions", STARTS, VALUES)


def test_a_run_uses_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBEAM_CACHE", str(tmp_path))
    monkeypatch.setattr(numbering, "_keepers", [])
    keep_plans()
    (keeper,) = numbering._keepers
    calls = []

    def small() -> IntervalMap:
        calls.append(1)
        return IntervalMap(STARTS, VALUES)

    for _ in range(2):  # two processes
        made = numbering._built_once(small)()
        assert made.find(np.array([150, 5, 999])).tolist() == [7, 0, -1]
    assert len(calls) == 1
    assert keeper.load("small") is not None
