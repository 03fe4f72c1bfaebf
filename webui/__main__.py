"""``python -m webui``: the result browser on a port of this machine."""

from __future__ import annotations

import argparse
import errno
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import waitress
from flask import Flask

from callbeam_io.store import open_store
from callbeam_io.store.web_queries import RequestError, StoreError
from webui import first_start
from webui.app import create_app
from webui.config import WebConfig

THREADS: Final = 8
DONE, FAILED, WRONG = 0, 1, 2


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(
        prog="python -m webui", description="Shows the results of callbeam in a browser."
    )
    flags.add_argument(
        "--store", default="sqlite:///callbeam.db", help="URL of the result store (%(default)s)"
    )
    flags.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    flags.add_argument(
        "--port", type=int, default=8000, help="port to listen at; 0: a free one (%(default)s)"
    )
    flags.add_argument("--link", action="store_true", help="print a link that signs the user admin in, once")
    flags.add_argument(
        "--trusted_proxy",
        metavar="ADDRESS",
        help="address of a proxy whose X-Forwarded-… headers are believed",
    )
    flags.add_argument(
        "--data_folder",
        action="append",
        default=[],
        metavar="FOLDER",
        help="folder whose files an administrator may have read by a run (repeatable; none)",
    )
    return flags


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until it is interrupted; 2: the request was wrong, 1: the store failed."""
    flags = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a short queue is no news
    try:
        listening = _listen(flags.host, flags.port)
        store = open_store(flags.store)
        password = first_start.make_admin(store)
        folders = tuple(map(_folder, flags.data_folder))
        app = create_app(WebConfig(flags.store, data_folders=folders, background=True), store)
        address = _address(flags.host, listening.getsockname()[1])
        _greet(address, password, first_start.signin_link(store, address) if password or flags.link else None)
    except (RequestError, OSError) as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return WRONG
    except StoreError as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return FAILED
    _serve(app, listening, flags.trusted_proxy)
    return DONE


def _folder(given: str) -> str:
    """A folder that is there, as a whole path."""
    if not Path(given).is_dir():
        raise RequestError(
            f"--data_folder {given} is no folder", "a folder of this machine", "check the path"
        )
    return str(Path(given).resolve())


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens before anything else happens: a taken port is found at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except (OSError, OverflowError) as error:
        listening.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        todo = "another process uses it: name another --port" if taken else "name another --host or --port"
        raise RequestError(
            f"--host {host} --port {port} cannot be listened at", "a free port of this machine", todo
        ) from error
    return listening


def _address(host: str, port: int) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


def _greet(address: str, password: str | None, link: str | None) -> None:
    print(f"callbeam: the web app is at {address}", flush=True)
    if password is not None:
        print(f"callbeam: first start. User admin, password {password} (shown only now)", flush=True)
    if link is not None:
        print(f"callbeam: sign in once, within an hour, without a password: {link}", flush=True)


def _serve(app: Flask, listening: socket.socket, trusted_proxy: str | None) -> None:
    believed: dict[str, Any] = {"clear_untrusted_proxy_headers": False}  # they tell that there is a proxy
    if trusted_proxy is not None:
        headers = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
        believed |= {"trusted_proxy": trusted_proxy, "trusted_proxy_headers": headers}
    waitress.serve(app, sockets=[listening], threads=THREADS, ident=None, _quiet=True, **believed)


if __name__ == "__main__":
    sys.exit(main())
