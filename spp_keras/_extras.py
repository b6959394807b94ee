"""Packages of the optional extras, and the line that installs a missing one."""

import importlib
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any


def import_package(module: str, extra: str, purpose: str) -> Any:
    """A module of a package that a plain installation does not have.

    Args:
        module: Its full name.
        extra: The optional dependency group of `pyproject.toml` that has the package.
        purpose: What needs it, as the subject of a sentence: "Training".

    Raises:
        ImportError: If it is missing. The message has the line that installs it.

    Example:

    >>> import_package("json", "train", "Training").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{purpose} needs {_describe(error, module, extra)}") from error


def require(extra: str, purpose: str, *packages: str) -> None:
    """Checks that packages are there before long work begins.

    Args:
        extra: The optional dependency group of `pyproject.toml` that has them.
        purpose: What needs them, as the subject of a sentence.
        *packages: Names of their modules.

    Raises:
        ImportError: As `import_package`.
    """
    for package in packages:
        import_package(package, extra, purpose)


def install_line(extra: str) -> str:
    """A shell command that installs the packages of an extra for the running Python.

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
        pattern = re.compile(rf"(.+?)\s*;\s*extra == ['\"]{extra}['\"]")
        packages = [match[1] for line in requires if (match := pattern.fullmatch(line))]
    return shlex.join([sys.executable, "-m", "pip", "install", *packages])


def _describe(error: ImportError, module: str, extra: str) -> str:
    missing = (error.name or module).partition(".")[0]
    # A package that is there and does not load: the reason is in the original message.
    reason = "" if isinstance(error, ModuleNotFoundError) else f" The import failed: {error}."
    return f"the package `{missing}`. Install it with: {install_line(extra)}{reason}"
