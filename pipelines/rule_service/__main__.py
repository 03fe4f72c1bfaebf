"""``python -m pipelines.rule_service --store URL``: questions on standard input, answers on standard output."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import traceback
from collections.abc import Sequence

from callbeam_io.store import open_store
from pipelines.rule_service.desk import Desk
from pipelines.rule_service.wire import serve
from transforms.errors import CallbeamError, RequestError


def main(argv: Sequence[str] | None = None) -> int:
    """Answers until standard input ends; 2: there is no such store, 1: it failed."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.rule_service", description=__doc__)
    parser.add_argument("--store", required=True, help="URL of the result store")
    flags = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not stand between the answers
    try:
        desk = Desk(open_store(flags.store, create=False), flags.store)
    except CallbeamError as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return 2 if isinstance(error, RequestError) else 1
    threading.excepthook = _say
    threading.Thread(target=desk.warm, name="warm", daemon=True).start()
    serve(desk.operations(), sys.stdin.buffer, answers)
    os._exit(0)  # a count that is under way is of no use to anybody any more


def _say(crash: threading.ExceptHookArgs) -> None:
    """What went wrong on a thread, without the error's own text: it may hold a number."""
    where = "".join(traceback.format_tb(crash.exc_traceback))
    logging.getLogger(__name__).error("%s\n%s", crash.exc_type.__name__, where)


if __name__ == "__main__":
    sys.exit(main())
