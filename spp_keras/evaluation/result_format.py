"""Tables of results, and the versions that results depend on."""

import datetime
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import keras
import tensorflow as tf

import spp_keras


def describe_versions(*packages: str) -> dict[str, Any]:
    """The date and the versions of packages, for a file of results.

    Args:
        *packages: Packages that the results depend on besides TensorFlow and Keras.
    """
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {
            "spp_keras": spp_keras.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            **{name: metadata.version(name) for name in packages},
        },
    }


def format_markdown(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table from lines of cells, the header first.

    Example:

    >>> print(format_markdown([["run", "top-1"], ["runs/a", "68.0%"]]))
    | run | top-1 |
    |---|---|
    | runs/a | 68.0% |
    """
    header, *rows = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([header, "|" + "---|" * len(lines[0]), *rows])
