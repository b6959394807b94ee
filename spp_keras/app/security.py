"""Protection of a server without passwords against requests by other web pages."""

import ipaddress
import socket
from collections.abc import Mapping
from email.message import Message
from urllib.parse import urlsplit


def find_refusal(headers: Mapping[str, str] | Message, host: str) -> str | None:
    """The reason to refuse a request; `None` if there is none.

    A host name that resolves to this machine but is not its own is how another web page gets
    past the same-origin policy (DNS rebinding); IP addresses cannot be used like that. The
    browser marks requests that another page sends with its origin.

    Args:
        headers: Headers of the request.
        host: Name or address that the server listens on.

    Example:

    >>> find_refusal({"Host": "localhost:8000", "Origin": "http://localhost:8000"}, "127.0.0.1")
    >>> find_refusal({"Host": "elsewhere.example:8000"}, "127.0.0.1")
    'This server accepts its address and localhost as host, not elsewhere.example.'
    >>> find_refusal({"Host": "localhost:8000", "Origin": "http://elsewhere.example"}, "127.0.0.1")
    'This server accepts requests of its own page only, not of http://elsewhere.example.'
    """
    host_header = headers.get("Host", "")
    name = _parse_host(host_header)
    if not _is_address(name) and name not in _list_names(host):
        return f"This server accepts its address and localhost as host, not {name or 'none'}."
    origin = headers.get("Origin")
    if origin is not None and _parse_netloc(origin) != host_header.lower():
        return f"This server accepts requests of its own page only, not of {origin}."
    from_elsewhere = headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
    # Following a link to the page is harmless.
    if from_elsewhere and headers.get("Sec-Fetch-Mode") != "navigate":
        return "This server accepts requests of its own page only, not of another site."
    return None


def is_loopback(host: str) -> bool:
    """Whether a server that listens on this host is reachable from its own machine only.

    Example:

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _list_names(host: str) -> set[str]:
    names = {"localhost", host.lower()}
    return names if is_loopback(host) else names | {socket.gethostname().lower()}


def _parse_host(header: str) -> str:
    """The host of `host:port`, without the brackets of an address with colons."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _parse_netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
