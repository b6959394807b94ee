"""Writes pages of the public names of the package from their docstrings.

    pip install -e '.[dev]'
    python docs/make_api.py                # docs/api/index.html
    python docs/make_api.py --output folder

A package's public names are those that its `__init__` brings in.
"""

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# Before TensorFlow is loaded: its notes on processors are not of these pages.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Or pdoc warns that it keeps what is imported from asking for the machine's name.
os.environ.setdefault("PDOC_ALLOW_EXEC", "1")

import pdoc.docstrings
import pdoc.render

# Whose public names are what their `__init__` brings in.
PACKAGES = (
    "spp_keras.layers",
    "spp_keras.zoo",
    "spp_keras.data",
    "spp_keras.training",
    "spp_keras.evaluation",
    "spp_keras.detection",
    "spp_keras.export",
    "spp_keras.serving",
    "spp_keras.report",
)
# What the pages in this folder and the docstrings send readers to besides.
MODULES = (
    "spp_keras.geometry",
    "spp_keras.recipes",
    "spp_keras.detection.proposal_files",
    "spp_keras.detection.compression",
    "spp_keras.demo",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "api", help="default: docs/api"
    )
    to = parser.parse_args(arguments).output
    for name in PACKAGES:
        package = importlib.import_module(name)
        package.__all__ = public_names(package)
        # `zoo` loads on first use, which pdoc, who reads the dictionary, never makes.
        vars(package).update({one: getattr(package, one) for one in package.__all__})
    pdoc.docstrings.GOOGLE_LIST_SECTIONS.append("Call arguments")
    templates = Path(__file__).parent / "pdoc"
    pdoc.render.configure(docformat="google", template_directory=templates)
    pages = "spp_keras", r"!spp_keras\..", *PACKAGES, r"!spp_keras\.\w+\..", *MODULES
    pdoc.pdoc(*pages, output_directory=to)
    print(to / "index.html")
    return 0


def public_names(package: object) -> list[str]:
    """What the `__init__` of a package brings in: its `__all__`, or all but modules."""
    if hasattr(package, "__all__"):
        return list(package.__all__)
    return [
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    ]


if __name__ == "__main__":
    sys.exit(main())
