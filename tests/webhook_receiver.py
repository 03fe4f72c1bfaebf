"""A receiver of webhooks for tests: a real server that answers as it is told and keeps what it got."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from callbeam_io.delivery.webhook import Webhook

SECRET = "sixteen letters and more"


@dataclass
class Receiver:
    """Attributes:
    answers: what comes next: a status, or a function of the handler; when there is none left, 204.
    got: per message its headers and body.
    """

    answers: list[object] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    @property
    def hook(self) -> Webhook:
        """The webhook of this receiver, with all that it needs allowed."""
        host = ("localhost",)
        url = f"{self.scheme}://localhost:{self.port}/take?in=1"
        return Webhook(url, SECRET, host, host if self.scheme == "http" else (), host)

    @property
    def keys(self) -> list[str]:
        """The idempotency keys in the order of their coming."""
        return [headers["Idempotency-Key"] for headers, _ in self.got]


@contextmanager
def receiver(*answers: object, certificate: Path | None = None) -> Iterator[Receiver]:
    """A receiver on a port of its own."""
    made = Receiver(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append((dict(self.headers), body))
            answer = made.answers.pop(0) if made.answers else 204
            if callable(answer):
                answer(self)
                return
            assert isinstance(answer, int)
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        made.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def redirects(handler: BaseHTTPRequestHandler) -> None:
    """Sends the caller to another address."""
    handler.send_response(307)
    handler.send_header("Location", "http://127.0.0.1:1/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def busy(handler: BaseHTTPRequestHandler) -> None:
    """Asks for a minute."""
    handler.send_response(503)
    handler.send_header("Retry-After", "90")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def then_closes(handler: BaseHTTPRequestHandler) -> None:
    """Answers well, and closes the connection without a word about that."""
    handler.send_response(204)
    handler.end_headers()
    handler.close_connection = True


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Answers well, with far too much behind it."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 30))
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 65536)
    except OSError:
        handler.close_connection = True


def trickle(handler: BaseHTTPRequestHandler) -> None:
    """Begins an answer and never ends it."""
    try:
        while True:
            handler.wfile.write(b"H" if handler.close_connection else b"HTTP/1.1 200 OK\r\nX-A: ")
            handler.close_connection = True
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    """Is no HTTP."""
    handler.wfile.write(b"hello\r\n\r\n")
    handler.close_connection = True
