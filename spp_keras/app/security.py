"""Who may ask a server that has no passwords: the person in front of it, no other web page."""

import ipaddress
import socket
from collections.abc import Mapping
from email.message import Message
from urllib.parse import urlsplit


def find_refusal(headers: Mapping[str, str] | Message, host: str) -> str | None:
    """Why a request is not answered; `None` if it is.

    A name that leads here but is not ours is how a web page elsewhere gets past
    the browser's rules (DNS rebinding); an address cannot be taken in that way. What
    another page sends by itself, the browser marks with its origin.

    Args:
        headers: Of the request.
        host: Name or address that the server was told to listen on.

    Example:

    >>> find_refusal({"Host": "localhost:8000", "Origin": "http://localhost:8000"}, "127.0.0.1")
    >>> find_refusal({"Host": "elsewhere.example:8000"}, "127.0.0.1")
    'This server answers to its address and to localhost, not to elsewhere.example.'
    >>> find_refusal({"Host": "localhost:8000", "Origin": "http://elsewhere.example"}, "127.0.0.1")
    'This server answers its own page alone, not one of http://elsewhere.example.'
    """
    asked = headers.get("Host", "")
    name = _name(asked)
    if not _is_address(name) and name not in _names(host):
        return f"This server answers to its address and to localhost, not to {name or 'no name'}."
    origin = headers.get("Origin")
    if origin is not None and _place(origin) != asked.lower():
        return f"This server answers its own page alone, not one of {origin}."
    from_elsewhere = headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
    # A link to the page comes from elsewhere too, and is harmless.
    if from_elsewhere and headers.get("Sec-Fetch-Mode") != "navigate":
        return "This server answers its own page alone, not one of another site."
    return None


def is_loopback(host: str) -> bool:
    """Whether a server that listens there is reached from its own machine alone.

    Example:

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _names(host: str) -> set[str]:
    names = {"localhost", host.lower()}
    return names if is_loopback(host) else names | {socket.gethostname().lower()}


def _name(asked: str) -> str:
    """The host of `host:port`, without the brackets of an address with colons."""
    try:
        return urlsplit(f"//{asked}").hostname or ""
    except ValueError:
        return ""


def _place(origin: str) -> str:
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
