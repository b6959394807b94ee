"""Writes pages of the public names of the package from their docstrings.

    pip install -e '.[dev]'
    python docs/make_api.py                # docs/api/index.html
    python docs/make_api.py --output folder

The packages are those of `spp_keras.__all__`; their public names are those that their `__init__`
imports.
"""

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# Before TensorFlow is loaded: its messages about processors do not belong here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Otherwise pdoc warns that it blocks subprocesses of the modules that it imports.
os.environ.setdefault("PDOC_ALLOW_EXEC", "1")

import pdoc.docstrings
import pdoc.render

import spp_keras

# Modules that the pages in this folder and the docstrings link to.
MODULES = (
    "spp_keras.geometry",
    "spp_keras.detection.proposal_files",
    "spp_keras.detection.compression",
    "spp_keras.demo",
)
# Packages of `spp_keras.__all__`.
PACKAGES = tuple(
    f"spp_keras.{name}"
    for name in spp_keras.__all__
    if hasattr(getattr(spp_keras, name), "__path__")
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "api", help="default: docs/api"
    )
    output = parser.parse_args(arguments).output
    for name in ("spp_keras", *PACKAGES):
        package = importlib.import_module(name)
        package.__all__ = list_public_names(package)
        # pdoc reads the dictionary, where names that load on first use are missing.
        vars(package).update({name: getattr(package, name) for name in package.__all__})
    pdoc.docstrings.GOOGLE_LIST_SECTIONS.append("Call arguments")
    templates = Path(__file__).parent / "pdoc"
    pdoc.render.configure(docformat="google", template_directory=templates)
    pages = "spp_keras", r"!spp_keras\..", *PACKAGES, r"!spp_keras\.\w+\..", *MODULES
    pdoc.pdoc(*pages, output_directory=output)
    print(output / "index.html")
    return 0


def list_public_names(package: object) -> list[str]:
    """Names that the `__init__` of a package imports: its `__all__`, or all but modules."""
    if hasattr(package, "__all__"):
        return list(package.__all__)
    return [
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    ]


if __name__ == "__main__":
    sys.exit(main())
