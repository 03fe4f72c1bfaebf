"""``callbeam run|generate|rules|deliver|web|watch|demo|doctor``: everything as one command."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

_COMMANDS: Final = {
    "run": ("pipelines.run", "the pipeline, batch or streaming, on any runner"),
    "generate": ("pipelines.generate", "the workload generator"),
    "rules": ("pipelines.rules", "add, list, show, test, simulate, enable, disable, export rules"),
    "deliver": ("pipelines.deliver", "sends promotions that wait to be sent, or exports them"),
    "web": ("webui.__main__", "the result browser"),
    "watch": ("webui.watch", "notes and tells how the live pipeline is doing, without a web app"),
    "demo": ("pipelines.demo", "generator, streaming pipeline and web UI together"),
    "doctor": ("pipelines.doctor", "what this machine can do, and how to get what is missing"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Hands the arguments to the named command; its exit status is ours."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0 if words else 2
    if words[0] not in _COMMANDS:
        print(f"callbeam: unknown command {words[0]!r}. {usage()}", file=sys.stderr)
        return 2
    module = importlib.import_module(_COMMANDS[words[0]][0])
    return int(module.main(words[1:]))


def usage() -> str:
    """The commands, a line each."""
    lines = [f"  {name:<10}{what}" for name, (_, what) in _COMMANDS.items()]
    return "\n".join(["usage: callbeam COMMAND [arguments]; callbeam COMMAND --help says more", *lines])


if __name__ == "__main__":
    sys.exit(main())
