"""The HTTP server of the app: routes, limits, and every error as JSON."""

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

MAX_BYTES = 50_000_000
_MAX_BOX_BYTES = 10_000
# Seconds without data in the middle of a request.
_TIMEOUT = 30
_BOX_PATH = re.compile(r"/image/([0-9a-f]{32})/box")
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Server(ThreadingHTTPServer):
    """A server that listens from the start and responds once `serve_forever` is called.

    Args:
        host: Name or address to listen on.
        port: Port; 0 takes one that is free.
        max_bytes: Bytes that an image file may have. Defaults to `MAX_BYTES`.

    Attributes:
        session: The session that computes results, to be set before `serve_forever`.
        url: Address of the page.
    """

    daemon_threads = True
    session: Session

    def __init__(self, host: str, port: int, max_bytes: int = MAX_BYTES):
        self.host, self.max_bytes = host, max_bytes
        # A tuple whose length depends on the family.
        address: Any
        try:
            [(self.address_family, *_, address), *_] = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
            super().__init__(address, _Handler)
        except OSError as error:
            raise ValueError(_describe_error(error, host, port)) from error
        url_host = f"[{host}]" if ":" in host else host
        self.url = f"http://{url_host}:{self.server_address[1]}/"

    def server_bind(self) -> None:
        # Not that of `HTTPServer`, which looks up the host name in the network and may wait.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that closes the page in the middle of a response is no error.
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Refused(Exception):
    """A request that gets an error as response."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT

    def do_GET(self) -> None:
        self._reply(self._get)

    def do_POST(self) -> None:
        self._reply(self._post)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Sends JSON and closes the connection, also for errors of the base class."""
        self.close_connection = True
        self._send(code, {"error": message or self.responses[code][1]})

    def version_string(self) -> str:
        return "spp-keras"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Logs nothing: lines for each box of a drag would hide the errors."""

    def _get(self) -> tuple[Any, str]:
        if self.path == "/":
            return static_page.read_page(), "text/html; charset=utf-8"
        if self.path == "/model":
            return self.server.session.describe_model() | {"max_bytes": self.server.max_bytes}, ""
        raise self._make_path_error("POST")

    def _post(self) -> tuple[Any, str]:
        box_path = _BOX_PATH.fullmatch(self.path)
        if self.path == "/image":
            return self.server.session.predict(self._read_body(self.server.max_bytes)), ""
        if box_path:
            body = self._read_body(_MAX_BOX_BYTES)
            try:
                box = json.loads(body)
            except ValueError as error:
                raise _Refused(400, "A box must be sent as JSON.") from error
            return self.server.session.predict_box(box_path[1], box), ""
        raise self._make_path_error("GET")

    def _reply(self, respond: Callable[[], tuple[Any, str]]) -> None:
        """Sends the content that a method returns, or its error."""
        try:
            refusal = security.find_refusal(self.headers, self.server.host)
            if refusal:
                raise _Refused(403, refusal)
            content, media_type = respond()
            self._send(200, content, media_type or "application/json")
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            status, message = _describe_failure(error)
            if status == 500:
                traceback.print_exc()
            else:
                self.log_error("%s %s: %d %s", self.command, self.path, status, message)
            self.send_error(status, message)
            self._drain()

    def _make_path_error(self, other_method: str) -> _Refused:
        is_known = {"GET": self.path in ("/", "/model")}
        is_known["POST"] = self.path == "/image" or bool(_BOX_PATH.fullmatch(self.path))
        if is_known[other_method]:
            return _Refused(405, f"{self.path} is for {other_method}.")
        return _Refused(404, "There is nothing here; the page is at /.")

    def _read_body(self, max_bytes: int) -> bytes:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length:
            raise _Refused(411, "A request must have the header Content-Length.")
        if not (length.isascii() and length.isdecimal()):
            raise _Refused(400, "Content-Length must be a number of bytes.")
        if len(length) > 15 or int(length) > max_bytes:
            raise _Refused(
                413,
                f"The file has more than {max_bytes / 1e6:g} MB; scale it down, or start the app "
                "with a larger --max-upload-mb.",
            )
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError("The request ended before its body did.")
        return body

    def _send(self, status: int, content: Any, media_type: str = "application/json") -> None:
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content-Type": media_type, "Content-Length": str(len(content)), **_HEADERS}
        headers["Content-Security-Policy"] = static_page.content_security_policy()
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _drain(self) -> None:
        """Reads on for a second at most, so that a client that is still sending gets the error.

        If the connection were closed with bytes unread, it would be reset, and the
        response lost.
        """
        until = time.monotonic() + 1
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(0.2)
            while time.monotonic() < until and self.connection.recv(1 << 16):
                pass


def _describe_failure(error: Exception) -> tuple[int, str]:
    if isinstance(error, _Refused):
        return error.status, str(error)
    if isinstance(error, UnusableImage):
        return 422, str(error)
    if isinstance(error, UnknownImage):
        return 404, str(error)
    # The details are for the person who started the server.
    return 500, "The server failed; the error is in its terminal."


def _describe_error(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"`port` must be free; another program listens there. Stop it, or give another port "
            f"(0 takes a free one). Received: port={port}."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"`port` must be one that you may open, 1024 or above. Received: port={port}."
    return (
        "`host` must be a name or an address of this machine, such as 127.0.0.1. "
        f"Received: host={host!r} ({error.strerror or error})."
    )
