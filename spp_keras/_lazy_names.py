"""Public names of a package that load on first use."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def make_lazy(
    package: str, homes: Mapping[str, str | None]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a package.

    Args:
        package: Name of the package.
        homes: Name of the module that each public name comes from, or `None` for a
            module of the package itself.

    Example:

    >>> load, list_names = make_lazy("json", {"decoder": None, "sqrt": "math"})
    >>> load("sqrt")(9.0), load("decoder").__name__, "sqrt" in list_names()
    (3.0, 'json.decoder', True)
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        if home is None:
            return importlib.import_module(f"{package}.{name}")
        return getattr(importlib.import_module(home), name)

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, list_names
