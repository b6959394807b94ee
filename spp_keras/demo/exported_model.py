"""An exported model, asked as a server does: TensorFlow alone, several images in one request."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from spp_keras import model_repository


class Answer(NamedTuple):
    """What a model says of an image.

    Args:
        name: Name of the image.
        label: The best class.
        score: Its score.
    """

    name: str
    label: str
    score: float


def ask(model: Path, images: Sequence[Path]) -> list[Answer]:
    """The best class of each image, by one request to the latest version of a model.

    Args:
        model: Folder of the versions.
        images: Paths of image files, of any sizes.
    """
    version = model_repository.latest_version(model)
    signature = tf.saved_model.load(str(version)).signatures["bytes"]
    outputs = signature(image_bytes=tf.constant([path.read_bytes() for path in images]))
    labels, scores = outputs["labels"].numpy(), outputs["scores"].numpy()
    return [
        Answer(path.name, label.decode(), float(score))
        for path, label, score in zip(images, labels[:, 0], scores[:, 0], strict=True)
    ]


def format_answers(answers: Sequence[Answer]) -> str:
    """A line of text for each answer."""
    width = max(len(answer.name) for answer in answers)
    return "\n".join(
        f"    {answer.name:<{width}}  {answer.label} {answer.score:.2f}" for answer in answers
    )
