"""The files beside a TFLite file, labels and preprocessing; their names are spelled here alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from spp_keras import _files
from spp_keras.data import backgrounds, size_policies

LABELS = ".labels.txt"
PREPROCESSING = ".preprocessing.json"
# Name of the preprocessing file in 0.1.
_OLD_PREPROCESSING = ".view.json"


class Preprocessing(NamedTuple):
    """How image files become inputs of a TFLite file.

    Args:
        size_policy: How an image is sized.
        min_side: Pixels that the shorter side must have after sizing.
        orientation: `"exif"` or `"file"`, how image files are oriented.
        background: The color behind transparent images. Defaults to `"white"`.
    """

    size_policy: size_policies.SizePolicy
    min_side: int
    orientation: str
    background: str = backgrounds.WHITE


def write_labels(path: Path, labels: Sequence[str]) -> None:
    """Writes the class names, one a line, beside a TFLite file."""
    _files.write_file(path.with_suffix(LABELS), "".join(f"{label}\n" for label in labels))


def read_labels(path: Path) -> tuple[str, ...]:
    """Reads the class names beside a TFLite file."""
    return tuple(_read(path, LABELS).splitlines())


def write_preprocessing(path: Path, preprocessing: Preprocessing) -> None:
    """Writes the preprocessing beside a TFLite file."""
    values = {
        "size_policy": size_policies.policy_to_dict(preprocessing.size_policy),
        "min_side": preprocessing.min_side,
        "orientation": preprocessing.orientation,
        "background": preprocessing.background,
    }
    _files.write_file(path.with_suffix(PREPROCESSING), json.dumps(values) + "\n")


def read_preprocessing(path: Path) -> Preprocessing:
    """Reads the preprocessing beside a TFLite file."""
    values = json.loads(_read(path, PREPROCESSING))
    policy = size_policies.policy_from_dict(values["size_policy"])
    background = values.get("background", backgrounds.WHITE)
    return Preprocessing(policy, values["min_side"], values["orientation"], background)


def _read(path: Path, suffix: str) -> str:
    file = path.with_suffix(suffix)
    if file.is_file():
        return file.read_text(encoding="utf-8")
    remedy = "copy it from where `export_model` wrote both"
    if suffix == PREPROCESSING and path.with_suffix(_OLD_PREPROCESSING).is_file():
        remedy = f"the {_OLD_PREPROCESSING} there is of spp_keras 0.1; export the model again"
    raise ValueError(
        f"`model` must have {file.name} beside it: {remedy}. Received: model={str(path)!r}."
    )
