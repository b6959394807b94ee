"""The page: one HTML file that loads nothing from anywhere else."""

import base64
import functools
import hashlib
import re
from importlib import resources


@functools.cache
def read_page() -> bytes:
    """The bytes of the page.

    Example:

    >>> read_page()[:15]
    b'<!doctype html>'
    """
    return resources.files(__package__).joinpath("page.html").read_bytes()


@functools.cache
def content_security_policy() -> str:
    """The `Content-Security-Policy`, which allows the page's own script and style only.

    Example:

    >>> content_security_policy().partition(";")[0]
    "default-src 'none'"
    """
    allowed = {
        "default-src": "'none'",
        "script-src": _hash("script"),
        "style-src": _hash("style"),
        # Uploaded images as the browser has them, and the page's icon.
        "img-src": "blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{directive} {source}" for directive, source in allowed.items())


def _hash(element: str) -> str:
    [content] = re.findall(rb"<%b>(.*?)</%b>" % ((element.encode(),) * 2), read_page(), re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"
