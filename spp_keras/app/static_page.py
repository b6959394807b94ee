"""The page itself: one file that asks for nothing from anywhere else."""

import base64
import functools
import hashlib
import re
from importlib import resources


@functools.cache
def read_page() -> bytes:
    """Its bytes.

    Example:

    >>> read_page()[:15]
    b'<!doctype html>'
    """
    return resources.files(__package__).joinpath("page.html").read_bytes()


@functools.cache
def content_security_policy() -> str:
    """The `Content-Security-Policy` by which a browser runs what is in the page and nothing else.

    Example:

    >>> content_security_policy().partition(";")[0]
    "default-src 'none'"
    """
    allowed = {
        "default-src": "'none'",
        "script-src": _hash("script"),
        "style-src": _hash("style"),
        # Photographs as the browser has them, and the page's own icon.
        "img-src": "blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{what} {where}" for what, where in allowed.items())


def _hash(element: str) -> str:
    [inside] = re.findall(rb"<%b>(.*?)</%b>" % ((element.encode(),) * 2), read_page(), re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside).digest()).decode()}'"
