"""How results are shown, and what they say of where they are from."""

import datetime
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import keras
import tensorflow as tf

import spp_keras


def describe_versions(*packages: str) -> dict[str, Any]:
    """The day and the versions, for a file of results.

    Args:
        *packages: What the results follow from besides TensorFlow and Keras.
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
    """A table in Markdown, whose first line is its head.

    Example:

    >>> print(format_markdown([["run", "top-1"], ["runs/a", "68.0%"]]))
    | run | top-1 |
    |---|---|
    | runs/a | 68.0% |
    """
    head, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|" + "---|" * len(lines[0]), *rest])
