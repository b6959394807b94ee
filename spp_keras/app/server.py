"""HTTP for the page, by Python's own server: routes, limits, and every error as JSON."""

import contextlib
import errno
import json
import re
import socket
import socketserver
import sys
import time
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from spp_keras.app import security, static_page
from spp_keras.app.image_decoding import UnusableImage
from spp_keras.app.session import Session, UnknownImage

MAX_BYTES = 20_000_000
_MOST_BYTES_OF_A_WINDOW = 10_000
# Of silence in the middle of a request.
_SECONDS = 30
_WINDOW = re.compile(r"/photograph/([0-9a-f]{32})/window")
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Server(ThreadingHTTPServer):
    """A server that listens from the start and answers once `serve_forever` is called.

    Args:
        host: Name or address to listen on.
        port: Port; 0 takes one that is free.
        max_bytes: How many a photograph's file may have. Defaults to `MAX_BYTES`.

    Attributes:
        answers: What it answers by, to be set before it serves.
        url: Address of the page.
    """

    daemon_threads = True
    answers: Session

    def __init__(self, host: str, port: int, max_bytes: int = MAX_BYTES):
        self.host, self.max_bytes = host, max_bytes
        # Of a form that goes with the family.
        address: Any
        try:
            [(self.address_family, *_, address), *_] = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
            super().__init__(address, _Handler)
        except OSError as error:
            raise ValueError(_why_not(error, host, port)) from error
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.server_address[1]}/"

    def server_bind(self) -> None:
        # Not that of `HTTPServer`, which asks the network for our name and may wait for it.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that closes a page in the middle of an answer is nothing to tell.
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_GET(self) -> None:
        self._reply(self._get)

    def do_POST(self) -> None:
        self._reply(self._post)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """JSON and the end of the connection, for what the base class refuses too."""
        self.close_connection = True
        self._send(code, {"error": message or self.responses[code][1]})

    def version_string(self) -> str:
        return "spp-keras"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Only errors are told; a line for each window of a drag would hide them."""

    def _get(self) -> tuple[Any, str]:
        if self.path == "/":
            return static_page.read_page(), "text/html; charset=utf-8"
        if self.path == "/model":
            return self.server.answers.model() | {"max_bytes": self.server.max_bytes}, ""
        raise self._nothing_here("POST")

    def _post(self) -> tuple[Any, str]:
        window = _WINDOW.fullmatch(self.path)
        if self.path == "/photograph":
            return self.server.answers.photograph(self._body(self.server.max_bytes)), ""
        if window:
            body = self._body(_MOST_BYTES_OF_A_WINDOW)
            try:
                sent = json.loads(body)
            except ValueError as error:
                raise _Refused(400, "A window must be sent as JSON.") from error
            return self.server.answers.window(window[1], sent), ""
        raise self._nothing_here("GET")

    def _reply(self, answer: Callable[[], tuple[Any, str]]) -> None:
        """Sends what a method gives, or in JSON why it gives nothing."""
        try:
            why_not = security.find_refusal(self.headers, self.server.host)
            if why_not:
                raise _Refused(403, why_not)
            content, kind = answer()
            self._send(200, content, kind or "application/json")
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            status, message = _status(error)
            if status == 500:
                traceback.print_exc()
            else:
                self.log_error("%s %s: %d %s", self.command, self.path, status, message)
            self.send_error(status, message)
            self._hear_out()

    def _nothing_here(self, other: str) -> _Refused:
        known = {"GET": self.path in ("/", "/model")}
        known["POST"] = self.path == "/photograph" or bool(_WINDOW.fullmatch(self.path))
        if known[other]:
            return _Refused(405, f"{self.path} is for {other}.")
        return _Refused(404, "There is nothing here; the page is at /.")

    def _body(self, most: int) -> bytes:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length:
            raise _Refused(411, "A request must say its length in the header Content-Length.")
        if not (length.isascii() and length.isdecimal()):
            raise _Refused(400, "Content-Length must be a number of bytes.")
        if len(length) > 15 or int(length) > most:
            raise _Refused(
                413,
                f"The file has more than {most / 1e6:g} MB; scale it down, or serve with a larger "
                "--max-upload-mb.",
            )
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError("The request ended before its body did.")
        return body

    def _send(self, status: int, content: Any, kind: str = "application/json") -> None:
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), **_HEADERS}
        headers["Content-Security-Policy"] = static_page.content_security_policy()
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _hear_out(self) -> None:
        """Lets a client that is still sending read why it is refused, for a second at most.

        Closed at once with bytes unread, the connection would be reset, and the
        answer lost on its way.
        """
        until = time.monotonic() + 1
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(0.2)
            while time.monotonic() < until and self.connection.recv(1 << 16):
                pass


def _status(error: Exception) -> tuple[int, str]:
    if isinstance(error, _Refused):
        return error.status, str(error)
    if isinstance(error, UnusableImage):
        return 422, str(error)
    if isinstance(error, UnknownImage):
        return 404, str(error)
    # Which is for the person who started the server, and not for whoever asks.
    return 500, "The server failed; what went wrong is in its terminal."


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"`port` must be free; something else listens there. Stop it, or give another port "
            f"(0 takes a free one). Received: port={port}."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"`port` must be one that you may open, 1024 or above. Received: port={port}."
    return (
        "`host` must be a name or an address of this machine, such as 127.0.0.1. "
        f"Received: host={host!r} ({error.strerror or error})."
    )
