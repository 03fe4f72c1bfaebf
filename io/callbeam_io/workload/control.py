"""Settings of live data that may be changed at any time: in a file, or by a page through the result store."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from callbeam_io.store import Store, open_store
from callbeam_io.workload.live import Texts
from transforms.errors import OptionError, StoreError

CONTROL: Final = "generator"
"""Name of the settings in the store's table ``control``."""
_OBJECT: Final = 'a JSON object such as {"people": 500, "speed": 60}'


@dataclass(frozen=True)
class SettingsFile:
    """Settings in a JSON file. Called, it says what they are now; None while there is no file.

    Raises (when called):
        OptionError: it cannot be read.
    """

    path: str

    def __call__(self) -> Texts | None:
        """The settings."""
        try:
            found = json.loads(Path(self.path).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise OptionError(f"--settings {self.path} ({error})", _OBJECT) from error
        return _object(found, self.path)


@dataclass
class StoreSettings:
    """Settings under `CONTROL` in a result store. Called, it says what they are now; None if there are none.

    Raises (when called):
        OptionError: no store there, the settings are no object, or the store cannot be read right now.
    """

    url: str
    _store: Store | None = field(default=None, repr=False)

    def __call__(self) -> Texts | None:
        """The settings."""
        try:
            if self._store is None:
                self._store = open_store(self.url, create=False)
            found = self._store.control(CONTROL)
        except StoreError as error:
            raise OptionError(f"the settings in the store: {error}") from error
        return None if found is None else _object(found, f"{CONTROL} in the store")

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "_store": None}


def _object(found: object, where: str) -> Texts:
    if not isinstance(found, dict):
        raise OptionError(f"--settings {where}", _OBJECT)
    return found
