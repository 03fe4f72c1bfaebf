"""The numbering plans as intervals, kept in the user's cache: to build them takes most of a second."""

from __future__ import annotations

import os
import re
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import phonenumbers
from numpy.typing import NDArray

from transforms.columns import digit_patterns, intervals, numbering


@dataclass(frozen=True)
class KeptPlans:
    """Steps of interval maps in files of a folder; what cannot be read or written there is built again.

    Attributes:
        folder: is made where it is missing.
        version: of what the maps are built from and by: other versions have other files.
    """

    folder: Path
    version: str

    def load(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Starts and values of a map that was saved; None where there is none."""
        try:
            steps = np.load(self._path(name), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        whole = steps.dtype == np.int64 and steps.ndim == 2 and len(steps) == 3 and steps.shape[1] > 1
        if not whole or zlib.crc32(steps[:2].tobytes()) != steps[2, 0]:
            return None
        return steps[0], steps[1]

    def save(self, name: str, starts: NDArray[np.int64], values: NDArray[np.int64]) -> None:
        """Keeps a map, all of it or nothing."""
        steps = np.zeros((3, len(starts)), np.int64)
        steps[0], steps[1] = starts, values
        steps[2, 0] = zlib.crc32(steps[:2].tobytes())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
                np.save(file, steps)
            Path(file.name).replace(self._path(name))
        except OSError:
            return  # a cache that cannot be written only costs time

    def _path(self, name: str) -> Path:
        safe = re.sub(r"\W", "_", name)
        return self.folder / f"numbers-{safe}-{self.version}.npy"


def keep_plans() -> None:
    """From now on this process keeps its numbering plans in ``$CALLBEAM_CACHE`` (``~/.cache/callbeam``)."""
    folder = Path(os.environ.get("CALLBEAM_CACHE") or Path.home() / ".cache" / "callbeam")
    built_by = b"".join(Path(str(m.__file__)).read_bytes() for m in (digit_patterns, intervals, numbering))
    numbering.keep_in(KeptPlans(folder, f"{phonenumbers.__version__}-{zlib.crc32(built_by):08x}"))
