"""What a Flink cluster says of a job: Python sees RUNNING even while a job fails and starts again for ever."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

from transforms.errors import RunError

_ENDED: Final = ("FINISHED", "CANCELED", "FAILED")
_TIMEOUT: Final = 10.0


@dataclass
class FlinkRest:
    """The REST interface of a cluster.

    Attributes:
        master: its address, such as ``http://localhost:8081``.
    """

    master: str

    @classmethod
    def of(cls, master: str) -> FlinkRest:
        """From the value of ``--flink_master``."""
        return cls(master if "://" in master else f"http://{master}")

    def ask(self, path: str, method: str = "GET") -> Any:
        """The decoded answer.

        Raises:
            RunError: the cluster does not answer.
        """
        request = urllib.request.Request(f"{self.master}/v1/{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                text = answer.read()
        except (urllib.error.URLError, OSError) as error:
            raise RunError(f"the Flink cluster {self.master} does not answer: {error}") from error
        return json.loads(text) if text else None

    def job_named(self, name: str) -> str | None:
        """Id of the job of this name that has not ended."""
        jobs = self.ask("jobs/overview")["jobs"]
        return next((j["jid"] for j in jobs if j["name"] == name and j["state"] not in _ENDED), None)

    def state(self, job: str) -> str:
        """Flink's own word for the job's state."""
        return str(self.ask(f"jobs/{job}")["state"])

    def trouble(self, job: str) -> str | None:
        """The first line of the newest exception; None where there was none."""
        entries = self.ask(f"jobs/{job}/exceptions")["exceptionHistory"]["entries"]
        return entries[0]["stacktrace"].splitlines()[0] if entries else None

    def checkpoints(self, job: str) -> dict[str, int]:
        """How many checkpoints were completed, failed, restored."""
        return dict(self.ask(f"jobs/{job}/checkpoints")["counts"])

    def newest_checkpoint(self, job: str) -> tuple[float, int] | None:
        """When the newest completed checkpoint was acknowledged (seconds since 1970), and the bytes of state in it."""
        newest = self.ask(f"jobs/{job}/checkpoints")["latest"]["completed"]
        return None if newest is None else (newest["latest_ack_timestamp"] / 1000, int(newest["state_size"]))

    def cancel(self, job: str) -> None:
        """Cancels the job: Beam's own cancel does not reach one that was submitted as a jar."""
        self.ask(f"jobs/{job}?mode=cancel", "PATCH")
