"""Checks of arguments that several exports take, made before any work."""

from collections.abc import Sequence
from typing import Any

import keras

from spp_keras.data import size_policies
from spp_keras.detection import Detector


def check_classifier(model: keras.Model) -> None:
    """Raises unless a model maps color images to class scores."""
    is_classifier = (
        isinstance(model, keras.Model) and len(getattr(model, "inputs", None) or ()) == 1
    )
    is_classifier = is_classifier and len(model.inputs[0].shape) == 4
    is_classifier = is_classifier and model.inputs[0].shape[-1] == 3
    if not is_classifier or len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        raise ValueError(
            "`model` must be a `keras.Model` from images (batch, height, width, 3) to class scores "
            "(batch, classes). Of a model made by `with_sizes` or `with_boxes`, export the model "
            f"that it was made from. Received: model={getattr(model, 'name', model)!r}."
        )


def check_detector(model: Any) -> None:
    """Raises unless a model is a detector whose labels can be lines of a file."""
    if not isinstance(model, Detector):
        raise ValueError(
            "`model` must be a `spp_keras.detection.Detector`; `export_model` takes classifiers, "
            f"too. Received: model={getattr(model, 'name', model)!r}."
        )
    check_labels(model.labels, len(model.labels), model.name)


def check_labels(labels: Sequence[str], classes: int, model_name: str) -> tuple[str, ...]:
    """Checks that there is one label a class, each of one line, and returns them.

    Args:
        labels: Class names.
        classes: Number of classes.
        model_name: Name of the model, for the message.
    """
    names = tuple(labels)
    if len(names) != classes:
        raise ValueError(
            f"`labels` must name the {classes} classes of {model_name!r}, in their order. "
            f"Received: {len(names)} labels."
        )
    for name in names:
        if not isinstance(name, str) or not name.strip() or len(name.splitlines()) != 1:
            raise ValueError(
                f"`labels` must be strings of one line, none empty. Received: {name!r} among them."
            )
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None:
        raise ValueError(f"`labels` must differ. Received: {duplicate!r} twice.")
    return names


def resolve_size_policy(
    policy: size_policies.SizePolicy | None, height: int | None, width: int | None
) -> size_policies.SizePolicy:
    """Returns a size policy that suits a model, or raises.

    Args:
        policy: The policy, or `None` for the default.
        height: Height of the model's images, `None` for any.
        width: Width of the model's images, `None` for any.
    """
    if height is None or width is None:
        policy = policy or size_policies.Whole(longest_side=size_policies.DEFAULT_LONGEST_SIDE)
        if policy.max_pixels(aspect=1) is None:
            raise ValueError(
                "`size_policy` must have a `short_side` or a `longest_side`, so that the memory "
                f"that one image takes is bounded. Received: size_policy={policy}."
            )
        return policy
    policy = policy or size_policies.center_crop(height)
    size: tuple[int, int] | None = None
    if isinstance(policy, size_policies.Warp):
        size = policy.size
    elif isinstance(policy, size_policies.Crop):
        size = (max(policy.image_sizes),) * 2
    if size != (height, width) or height != width:
        raise ValueError(
            "`size_policy` must be a `Crop` or `Warp` of the model's one size, "
            f"{height}x{width}, which must be square. Received: size_policy={policy}."
        )
    return policy
