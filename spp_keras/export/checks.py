"""Checks of what is exported, before any work."""

from collections.abc import Sequence
from typing import Any

import keras

from spp_keras.data import size_policies
from spp_keras.detection import Detector


def check_classifier(model: keras.Model) -> None:
    """A model from images, in color, to the scores of classes."""
    fits = isinstance(model, keras.Model) and len(getattr(model, "inputs", None) or ()) == 1
    fits = fits and len(model.inputs[0].shape) == 4 and model.inputs[0].shape[-1] == 3
    if not fits or len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        raise ValueError(
            "`model` must be a `keras.Model` from images (batch, height, width, 3) to class scores "
            "(batch, classes); give the model that `with_sizes` or `with_boxes` was given. "
            f"Received: model={getattr(model, 'name', model)!r}."
        )


def check_detector(value: Any) -> None:
    """A model that finds objects, whose names can go into a file of lines."""
    if not isinstance(value, Detector):
        raise ValueError(
            "`detector` must be a `spp_keras.detection.Detector`; classifiers have an export of "
            f"their own. Received: detector={getattr(value, 'name', value)!r}."
        )
    check_labels(value.labels, len(value.labels), value.name)


def check_labels(value: Sequence[str], classes: int, model: str) -> tuple[str, ...]:
    """Names of as many classes as the model of that name has, each on a line of its own."""
    names = tuple(value)
    if len(names) != classes:
        raise ValueError(
            f"`labels` must name the {classes} classes of {model!r}, in their order. "
            f"Received: {len(names)} labels."
        )
    for name in names:
        if not isinstance(name, str) or not name.strip() or len(name.splitlines()) != 1:
            raise ValueError(
                f"`labels` must be strings of one line, none empty. Received: {name!r} among them."
            )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"`labels` must differ. Received: {twice!r} twice.")
    return names


def check_view(
    value: size_policies.SizePolicy | None, height: int | None, width: int | None
) -> size_policies.SizePolicy:
    """What a model of that size, or of any, sees of an image; it must bound its size."""
    if height is None or width is None:
        value = value or size_policies.Whole(longest_side=size_policies.DEFAULT_LONGEST_SIDE)
        if value.max_pixels(aspect=1) is None:
            raise ValueError(
                "`view` must have a `short_side` or a `longest_side`, or the largest photograph "
                f"that comes decides what memory is needed. Received: view={value}."
            )
        return value
    value = value or size_policies.center_crop(height)
    if isinstance(value, size_policies.Whole):
        side = None
    else:
        side = value.image_size if isinstance(value, size_policies.Warp) else max(value.image_sizes)
    if (side, side) != (height, width):
        raise ValueError(
            f"`view` must be `Crop` or `Warp` of the model's one size, {height}x{width}, which "
            f"must be square. Received: view={value}."
        )
    return value
