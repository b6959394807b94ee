"""The line that installs what only some users need."""

import re
import shlex
import sys
from importlib import metadata
from pathlib import Path


def install_line(extra: str) -> str:
    """A shell command that installs the packages of an extra for the Python that runs.

    It names these packages and not `spp_keras[extra]`: this package is on no index, and where
    it was installed from may be gone. It names the Python, whose environment need not be active.

    Args:
        extra: Name of an optional dependency group of `pyproject.toml`.

    Example:

    >>> install_line("detection").partition(" -m ")[2].startswith("pip install ")
    True
    """
    try:
        requires = metadata.requires("spp_keras") or []
    except metadata.PackageNotFoundError:
        # Imported from a clone that is not installed.
        packages = [f"{Path(__file__).parents[1]}[{extra}]"]
    else:
        of_extra = re.compile(rf"(.+?)\s*;\s*extra == ['\"]{extra}['\"]")
        packages = [found[1] for one in requires if (found := of_extra.fullmatch(one))]
    return shlex.join([sys.executable, "-m", "pip", "install", *packages])
